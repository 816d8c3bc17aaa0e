// SPDX-License-Identifier: Apache-2.0
#include "sim/tool/bench_kernels.hpp"

namespace ptxsim::tool {
namespace {

constexpr const char* kHeader = ".version 8.0\n.target sm_90a\n.address_size 64\n";

}  // namespace

std::string scalar_kernel(int rounds) {
  return std::string(kHeader) + R"(
.visible .entry k(.param .u64 k_out)
{
  .reg .pred %more;
  .reg .b32 %i, %a, %b, %t;
  .reg .f32 %x, %y;
  .reg .b64 %out, %at;
  ld.param.u64 %out, [k_out];
  mov.u32 %a, %tid.x;
  mov.u32 %b, %ctaid.x;
  mov.u32 %i, 0;
  mov.f32 %x, 0f3F800000;
  mov.f32 %y, 0f3F000000;
again:
  mad.lo.s32 %a, %a, 1664525, 1013904223;
  shr.u32 %t, %a, 7;
  xor.b32 %a, %a, %t;
  and.b32 %t, %a, 255;
  add.s32 %b, %b, %t;
  fma.rn.f32 %x, %x, %y, %y;
  mul.f32 %y, %y, 0f3F7FFFF0;
  add.f32 %x, %x, %y;
  max.f32 %x, %x, %y;
  add.s32 %i, %i, 1;
  setp.lt.s32 %more, %i, )" +
         std::to_string(rounds) + R"(;
  @%more bra again;
  cvt.rzi.s32.f32 %t, %x;
  add.s32 %b, %b, %t;
  mov.u32 %t, %ctaid.x;
  mov.u32 %i, %ntid.x;
  mov.u32 %a, %tid.x;
  mad.lo.s32 %t, %t, %i, %a;
  mul.wide.u32 %at, %t, 4;
  add.s64 %out, %out, %at;
  st.global.u32 [%out], %b;
  ret;
}
)";
}

std::string matrix_kernel(int rounds) {
  std::string d;
  for (int i = 0; i < 64; ++i) d += (i == 0 ? "%d" : ", %d") + std::to_string(i);
  std::string zero;
  for (int i = 0; i < 64; ++i) zero += "  mov.f32 %d" + std::to_string(i) + ", 0f00000000;\n";
  // A at window address `tile`, 64 x 16, B behind it, 128 x 16: K-major without swizzle, core matrices of 128 bytes,
  // 128 bytes apart along K and 256 bytes apart along M and N.
  const std::string product =
      "  wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" + d + "}, %desc_a, %desc_b, 1, 1, 1, 0, 0;\n";
  return std::string(kHeader) + R"(
.visible .entry k(.param .u64 k_out)
.reqntid 128, 1, 1
{
  .shared .align 128 .b8 tile[6144];
  .reg .pred %more;
  .reg .b32 %i, %slot, %one;
  .reg .b64 %desc_a, %desc_b, %out, %at, %strides;
  .reg .f32 %d<64>;
  ld.param.u64 %out, [k_out];
  mov.u32 %one, 0x3f803f80;
  mov.u32 %slot, tile;
  mov.u32 %i, %tid.x;
  mad.lo.s32 %slot, %i, 48, %slot;
  st.shared.v4.b32 [%slot], {%one, %one, %one, %one};
  st.shared.v4.b32 [%slot+16], {%one, %one, %one, %one};
  st.shared.v4.b32 [%slot+32], {%one, %one, %one, %one};
  fence.proxy.async;
  bar.sync 0;
  mov.u32 %slot, tile;
  cvt.u64.u32 %desc_a, %slot;
  shr.u64 %desc_a, %desc_a, 4;
  mov.u64 %strides, 0x0000001000080000;
  or.b64 %desc_a, %desc_a, %strides;
  add.s64 %desc_b, %desc_a, 128;
)" + zero +
         R"(
  mov.u32 %i, 0;
again:
  wgmma.fence.sync.aligned;
)" + product +
         product + product + product + R"(
  wgmma.commit_group.sync.aligned;
  wgmma.wait_group.sync.aligned 0;
  add.s32 %i, %i, 4;
  setp.lt.s32 %more, %i, )" +
         std::to_string(rounds) + R"(;
  @%more bra again;
  mov.u32 %i, %tid.x;
  mul.wide.u32 %at, %i, 4;
  add.s64 %out, %out, %at;
  st.global.f32 [%out], %d0;
  ret;
}
)";
}

}  // namespace ptxsim::tool
