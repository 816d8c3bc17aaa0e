// SPDX-License-Identifier: Apache-2.0
#include <attend/dtype.hpp>

#include "base/element.hpp"
#include "base/text.hpp"

namespace attend {

const char* dtype_name(DType type) {
  switch (type) {
#define ATTEND_DTYPE(name, bytes, significand_bits, safetensors, npy) \
  case DType::name:                                                   \
    return #name;
#include <attend/dtypes.def>
#undef ATTEND_DTYPE
  }
  return "?";
}

Result<DType> parse_dtype(std::string_view text) {
  std::string names;
#define ATTEND_DTYPE(name, bytes, significand_bits, safetensors, npy) \
  if (text == #name) return DType::name;                              \
  names += names.empty() ? #name : ", " #name;
#include <attend/dtypes.def>
#undef ATTEND_DTYPE
  return invalid_argument("dtype is " + in_quotes(text) + ", expected one of " + names);
}

void widen(DType type, const void* from, int64_t n, float* to) {
  visit_dtype(type, [&]<class E>() {
    const auto* source = static_cast<const typename E::Storage*>(from);
    for (int64_t i = 0; i < n; ++i) to[i] = E::widen(source[i]);
  });
}

void narrow(DType type, const float* from, int64_t n, void* to) {
  visit_dtype(type, [&]<class E>() {
    auto* target = static_cast<typename E::Storage*>(to);
    for (int64_t i = 0; i < n; ++i) target[i] = E::narrow(from[i]);
  });
}

}  // namespace attend
