// SPDX-License-Identifier: Apache-2.0
#include "row_products.hpp"

#include <vector>

namespace llm {

namespace baseline {
extern const RowProducts kRowProducts;
}
#ifdef LLM_X86
namespace avx2 {
extern const RowProducts kRowProducts;
}
namespace avx512 {
extern const RowProducts kRowProducts;
}
#endif

std::span<const RowProducts* const> all_row_products() {
  static const std::vector<const RowProducts*> all = [] {
    std::vector<const RowProducts*> found;
#ifdef LLM_X86
    const bool has_avx2 =
        __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;  // F16C is older than both
    if (has_avx2 && __builtin_cpu_supports("avx512f") != 0) found.push_back(&avx512::kRowProducts);
    if (has_avx2) found.push_back(&avx2::kRowProducts);
#endif
    found.push_back(&baseline::kRowProducts);
    return found;
  }();
  return all;
}

const RowProducts& row_products() { return *all_row_products().front(); }

}  // namespace llm
