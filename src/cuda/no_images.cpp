// SPDX-License-Identifier: Apache-2.0
// In place of images.cpp where no nvcc is.
#include "cuda/images.hpp"

namespace attend::cuda {

const KernelImage* find_image(std::string_view) { return nullptr; }

}  // namespace attend::cuda
