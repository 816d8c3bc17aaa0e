// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

namespace attend::cuda {

/// Device code of one kernel, a row of images.def.
struct KernelImage {
  std::string name;
  std::string_view ptx;    ///< text
  std::string_view cubin;  ///< machine code
  int major = 0;           ///< compute capability of the machine code
};

/// Null in a build without nvcc.
const KernelImage* find_image(std::string_view name);

}  // namespace attend::cuda
