// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attend.h>

#include <attend/attention.hpp>
#include <string>
#include <string_view>

#include "capi/error.hpp"

namespace attend::capi {

inline Strides to_strides(const attend_strides& from) { return {from.batch, from.row, from.head}; }
inline attend_strides from_strides(const Strides& from) { return {from.batch, from.row, from.head}; }
Status read_dtype(std::string_view operation, const char* name, attend_dtype from, DType* to);
/// Copies cumulative lengths of `lists` lists, which messages call `lists_name`. NULL gives none.
Status read_offsets(std::string_view operation, const std::string& name, const void* data, int64_t count,
                    attend_index_type type, int64_t lists, const char* lists_name, Offsets* to);

/// The reverse, as a view; nothing is written for none.
void describe_offsets(const Offsets& from, const void** data, int64_t* count, attend_index_type* type);

/// Fills an attend_memory_traffic.
Status write_traffic(std::string_view operation, const Result<MemoryTraffic>& found, attend_memory_traffic* to);

/// Reads a descriptor that read_struct() has copied, and checks the Problem. Arrays are copied.
Status read_desc(std::string_view operation, const attend_attention_fwd_desc& desc, AttentionFwd* problem);

}  // namespace attend::capi
