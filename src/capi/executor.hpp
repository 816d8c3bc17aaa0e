// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attend.h>

#include <attend/executor.hpp>
#include <string>
#include <string_view>

#include "capi/error.hpp"

namespace attend::capi {

/// `name` is the argument's, as `options.executor`.
Status read_executor(std::string_view operation, const std::string& name, const attend_executor* from, Executor* to);

}  // namespace attend::capi
