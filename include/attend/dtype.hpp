// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/status.hpp>
#include <cstdint>
#include <string_view>

namespace attend {

/// Element type of a tensor; the rows of dtypes.def. All conversions round to nearest, ties to even.
enum class DType : int32_t {
#define ATTEND_DTYPE(name, bytes, significand_bits, safetensors, npy) name,
#include <attend/dtypes.def>
#undef ATTEND_DTYPE
};

constexpr int dtype_bytes(DType type) {
  switch (type) {
#define ATTEND_DTYPE(name, bytes, significand_bits, safetensors, npy) \
  case DType::name:                                                   \
    return bytes;
#include <attend/dtypes.def>
#undef ATTEND_DTYPE
  }
  return 0;
}

/// Largest relative error of rounding to this type: 2^-significand_bits.
constexpr double unit_roundoff(DType type) {
  switch (type) {
#define ATTEND_DTYPE(name, bytes, significand_bits, safetensors, npy) \
  case DType::name:                                                   \
    return 1.0 / (int64_t{1} << (significand_bits));
#include <attend/dtypes.def>
#undef ATTEND_DTYPE
  }
  return 0;
}

/// `f32`, `f16`, `bf16`; "?" for a value that is no row.
const char* dtype_name(DType type);
/// Error: invalid_argument naming the text and the rows.
Result<DType> parse_dtype(std::string_view text);

/// Converts n elements of `type` to f32, exactly. `from` is aligned to the element.
void widen(DType type, const void* from, int64_t n, float* to);
/// Rounds n numbers to `type`: to nearest, ties to even; overflow becomes infinity, NaN stays NaN.
void narrow(DType type, const float* from, int64_t n, void* to);

}  // namespace attend
