// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attend.h>

#include <attend/attention.hpp>
#include <string_view>

#include "capi/error.hpp"

namespace attend::capi {

/// Reads a descriptor that read_struct() has copied, and checks the Problem. Arrays are copied.
Status read_desc(std::string_view operation, const attend_attention_fwd_desc& desc, AttentionFwd* problem);

}  // namespace attend::capi
