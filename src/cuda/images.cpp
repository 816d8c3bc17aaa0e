// SPDX-License-Identifier: Apache-2.0
// The files that nvcc made, byte for byte, in the library.
#include "cuda/images.hpp"

#include <algorithm>
#include <iterator>

#define ATTEND_EMBED(symbol, file)                                                          \
  asm(".pushsection .rodata, \"a\"\n.balign 16\n" symbol ":\n.incbin \"" file "\"\n" symbol \
      "_end:\n.byte 0\n"                                                                    \
      ".popsection\n")

extern "C" {
#define ATTEND_CUDA_IMAGE(name, major)                                                     \
  ATTEND_EMBED("attend_image_" #name "_ptx", ATTEND_IMAGE_FOLDER "/" #name ".ptx");        \
  ATTEND_EMBED("attend_image_" #name "_cubin", ATTEND_IMAGE_FOLDER "/" #name ".cubin");    \
  extern const char attend_image_##name##_ptx[] __attribute__((visibility("hidden")));     \
  extern const char attend_image_##name##_ptx_end[] __attribute__((visibility("hidden"))); \
  extern const char attend_image_##name##_cubin[] __attribute__((visibility("hidden")));   \
  extern const char attend_image_##name##_cubin_end[] __attribute__((visibility("hidden")));
#include "cuda/images.def"
#undef ATTEND_CUDA_IMAGE
}

namespace attend::cuda {

const KernelImage* find_image(std::string_view name) {
  static const KernelImage kImages[] = {
#define ATTEND_CUDA_IMAGE(name, major)                             \
  {#name,                                                          \
   {attend_image_##name##_ptx, attend_image_##name##_ptx_end},     \
   {attend_image_##name##_cubin, attend_image_##name##_cubin_end}, \
   major},
#include "cuda/images.def"
#undef ATTEND_CUDA_IMAGE
  };
  const auto* found =
      std::find_if(std::begin(kImages), std::end(kImages), [&](const KernelImage& each) { return each.name == name; });
  return found == std::end(kImages) ? nullptr : found;
}

}  // namespace attend::cuda
