// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/dtype.hpp>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "base/float16.hpp"

namespace attend {

/// How one element type is stored and converted; a row of dtypes.def finds its conversions by name in float16.hpp.
template <DType>
struct Element;
#define ATTEND_DTYPE(name, bytes, significand_bits, safetensors, npy)     \
  template <>                                                             \
  struct Element<DType::name> {                                           \
    using Storage = std::conditional_t<(bytes) == 4, float, uint16_t>;    \
    static constexpr float widen(Storage x) { return name##_to_f32(x); }  \
    static constexpr Storage narrow(float x) { return f32_to_##name(x); } \
  };
#include <attend/dtypes.def>
#undef ATTEND_DTYPE

/// Calls `f.template operator()<Element<type>>()`; false for a value that is no row.
template <class F>
constexpr bool visit_dtype(DType type, F&& f) {
  switch (type) {
#define ATTEND_DTYPE(name, bytes, significand_bits, safetensors, npy) \
  case DType::name:                                                   \
    f.template operator()<Element<DType::name>>();                    \
    return true;
#include <attend/dtypes.def>
#undef ATTEND_DTYPE
  }
  return false;
}

}  // namespace attend
