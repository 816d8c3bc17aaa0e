// SPDX-License-Identifier: Apache-2.0
// Rotation, encoding and new tokens of a cache.
#include <attend/attend.h>

#include <attend/kv_append.hpp>

#include "capi/error.hpp"
#include "capi/handles.hpp"
#include "capi/problem.hpp"
#include "capi/structs.hpp"

namespace attend::capi {
namespace {

Status read_rope(std::string_view operation, const attend_rope* from, Rope* to) {
  attend_rope rope = attend_rope_init();
  ATTEND_CAPI_TRY(read_struct(operation, "rope", from, &rope));
  ATTEND_CAPI_TRY(read_flag(operation, "rope.interleaved", rope.interleaved, &to->interleaved));
  if (rope.pairs < 0 || rope.pairs > 256)
    return refuse(operation, "rope.pairs", std::to_string(rope.pairs), "0 to 256");
  if (rope.frequencies == nullptr && rope.pairs > 0)
    return refuse_null(operation, "rope.frequencies", std::to_string(rope.pairs) + " floats");
  to->magnitude = rope.magnitude == 0 ? 1 : rope.magnitude;
  to->frequencies = Array<float>::view(rope.frequencies, rope.pairs);
  return {};
}

Status check_row(std::string_view operation, attend_kv_format format, attend_dtype type, int64_t columns,
                 const void* row, const void* scales, const void* values, DType* dtype) {
  ATTEND_CAPI_TRY(read_dtype(operation, "type", type, dtype));
  if (kv_format_row(static_cast<KvFormat>(format)).name[0] == '?')
    return refuse(operation, "format", std::to_string(format), "a row of kv_formats.def");
  if (columns < 1 || columns > 512) return refuse(operation, "columns", std::to_string(columns), "1 to 512");
  if (row == nullptr) return refuse_null(operation, "row", "a row of the cache");
  if (values == nullptr) return refuse_null(operation, "the floats", std::to_string(columns) + " of them");
  if (scales == nullptr && format != ATTEND_KV_PLAIN) return refuse_null(operation, "scales", "those of the row");
  return {};
}

double otherwise(double value, double usual) { return value == 0 ? usual : value; }

}  // namespace
}  // namespace attend::capi

using attend::Array;
using attend::DType;
using attend::KvFormat;
using attend::Result;
using attend::Rope;
using attend::Status;
using attend::capi::refuse_null;

attend_status attend_rope_frequencies(const attend_rope_options* options, float* frequencies, float* magnitude) {
  constexpr const char* kOperation = "rope_frequencies";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    attend_rope_options from = attend_rope_options_init();
    ATTEND_CAPI_TRY(attend::capi::read_struct(kOperation, "options", options, &from));
    ATTEND_CAPI_TRY(attend::capi::expect_zero(kOperation, "options.reserved", from.reserved, "it is reserved"));
    attend::RopeOptions to;
    to.dims = from.dims;
    to.base = attend::capi::otherwise(from.base, to.base);
    to.scaling = static_cast<attend::RopeScaling>(from.scaling);
    to.factor = attend::capi::otherwise(from.factor, to.factor);
    if (from.trained_length != 0) to.trained_length = from.trained_length;
    to.low_turns = attend::capi::otherwise(from.low_turns, to.low_turns);
    to.high_turns = attend::capi::otherwise(from.high_turns, to.high_turns);
    to.slow_turns = attend::capi::otherwise(from.slow_turns, to.slow_turns);
    to.fast_turns = attend::capi::otherwise(from.fast_turns, to.fast_turns);
    const Result<Rope> rope = attend::make_rope(to);
    if (!rope.ok()) return rope.status();
    if (frequencies == nullptr && rope->dims() > 0)
      return refuse_null(kOperation, "frequencies", std::to_string(rope->dims() / 2) + " floats");
    for (int64_t i = 0; i < rope->frequencies.size(); ++i) frequencies[i] = rope->frequencies[i];
    if (magnitude != nullptr) *magnitude = rope->magnitude;
    return {};
  });
}

attend_status attend_rotate(const attend_rope* rope, attend_dtype dtype, int64_t b, int64_t rows, int64_t heads,
                            int64_t cols, const void* from, const int32_t* positions, void* to) {
  constexpr const char* kOperation = "rotate";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    Rope turn;
    DType type = DType::f32;
    ATTEND_CAPI_TRY(attend::capi::read_rope(kOperation, rope, &turn));
    ATTEND_CAPI_TRY(attend::capi::read_dtype(kOperation, "dtype", dtype, &type));
    for (const int64_t size : {b, rows, heads, cols})
      if (size < 0 || size > INT32_MAX)
        return attend::capi::refuse(kOperation, "b, rows, heads or cols", std::to_string(size), "0 to 2147483647");
    if (positions == nullptr && b * rows > 0)
      return refuse_null(kOperation, "positions", std::to_string(b * rows) + " numbers");
    return attend::rotate(turn, {from, type, attend::Layout::bshd, b, rows, heads, cols},
                          Array<int32_t>::view(positions, b * rows),
                          {to, type, attend::Layout::bshd, b, rows, heads, cols});
  });
}

attend_status attend_kv_append(const attend_attention_fwd* problem, const attend_kv_append_args* args) {
  constexpr const char* kOperation = "kv_append";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (problem == nullptr) return refuse_null(kOperation, "problem", "a Problem with a cache");
    attend_kv_append_args from = attend_kv_append_args_init();
    ATTEND_CAPI_TRY(attend::capi::read_struct(kOperation, "args", args, &from));
    attend::KvAppendArgs to;
    Rope rope;
    if (from.rope != nullptr) {
      ATTEND_CAPI_TRY(attend::capi::read_rope(kOperation, from.rope, &rope));
      to.rope = &rope;
    }
    ATTEND_CAPI_TRY(attend::capi::read_dtype(kOperation, "args.type", from.type, &to.type));
    to.new_k = from.new_k;
    to.new_v = from.new_v;
    to.new_k_strides = attend::capi::to_strides(from.new_k_strides);
    to.new_v_strides = attend::capi::to_strides(from.new_v_strides);
    if (from.positions == nullptr) {
      ATTEND_CAPI_TRY(
          attend::capi::expect_zero(kOperation, "args.positions_count", from.positions_count, "positions is NULL"));
    } else {
      to.positions = Array<int32_t>::view(from.positions, from.positions_count);
    }
    to.k = from.k;
    to.v = from.v;
    to.k_scales = from.k_scales;
    to.v_scales = from.v_scales;
    to.k_mean = from.k_mean;
    return attend::kv_append(problem->problem, to, {from.threads, nullptr});
  });
}

attend_status attend_kv_encode(attend_kv_format format, attend_dtype type, const float* from, int64_t columns,
                               void* row, void* scales) {
  constexpr const char* kOperation = "kv_encode";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    DType dtype = DType::f32;
    ATTEND_CAPI_TRY(attend::capi::check_row(kOperation, format, type, columns, row, scales, from, &dtype));
    attend::kv_encode(static_cast<KvFormat>(format), dtype, from, columns, row, scales);
    return {};
  });
}

attend_status attend_kv_decode(attend_kv_format format, attend_dtype type, const void* row, const void* scales,
                               int64_t columns, float* to) {
  constexpr const char* kOperation = "kv_decode";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    DType dtype = DType::f32;
    ATTEND_CAPI_TRY(attend::capi::check_row(kOperation, format, type, columns, row, scales, to, &dtype));
    attend::kv_decode(static_cast<KvFormat>(format), dtype, row, scales, columns, to);
    return {};
  });
}
