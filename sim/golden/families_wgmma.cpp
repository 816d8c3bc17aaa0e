// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cstring>

#include "sim/golden/families.hpp"

namespace ptxsim::golden {
namespace {

constexpr uint32_t kSharedBytes = 40960, kPatternWords = 1021;

/// An operand type and the bits of a small integer in it, so that sums are exact in whatever order.
struct OperandType {
  const char *name, *result;
  uint32_t bytes, k;
  uint32_t (*bits)(int value);
};

uint32_t bf16_bits(int value) { return std::bit_cast<uint32_t>(static_cast<float>(value)) >> 16; }
/// -3 to 3 in formats with these exponent and fraction bits.
template <int kExponent, int kFraction>
uint32_t small_bits(int value) {
  constexpr uint32_t kBias = (1u << (kExponent - 1)) - 1;
  const uint32_t sign = value < 0 ? 1u << (kExponent + kFraction) : 0,
                 magnitude = static_cast<uint32_t>(std::abs(value));
  if (magnitude == 0) return sign;
  const uint32_t exponent = magnitude >= 2 ? 1 : 0;
  const uint32_t fraction = magnitude == 3 ? 1u << (kFraction - 1) : 0;
  return sign | (kBias + exponent) << kFraction | fraction;
}
uint32_t s8_bits(int value) { return static_cast<uint32_t>(value) & 0xff; }
uint32_t tf32_bits(int value) { return std::bit_cast<uint32_t>(static_cast<float>(value)); }

constexpr OperandType kTypes[] = {{"bf16", "f32", 2, 16, bf16_bits},        {"f16", "f32", 2, 16, small_bits<5, 10>},
                                  {"tf32", "f32", 4, 8, tf32_bits},         {"e4m3", "f32", 1, 32, small_bits<4, 3>},
                                  {"e5m2", "f32", 1, 32, small_bits<5, 2>}, {"s8", "s32", 1, 32, s8_bits}};

/// Fields of a matrix descriptor (PTX ISA, "Matrix descriptor"), offsets in bytes.
struct Descriptor {
  uint32_t start = 0, leading = 16, stride = 128, swizzle = 0;
  uint64_t bits() const {
    return uint64_t{leading >> 4} << 16 | uint64_t{stride >> 4} << 32 | uint64_t{swizzle == 0 ? 0 : 4 - swizzle} << 62;
  }
};

/// A layout of `extent` rows (of M or N) by the k of one instruction that stays within `room` bytes.
Descriptor draw_descriptor(Random& random, const OperandType& type, uint32_t extent, bool mn_major) {
  Descriptor desc;
  desc.swizzle = static_cast<uint32_t>(random() % 4);
  const uint32_t width = 16u << desc.swizzle;  // bytes that a swizzle, or a core matrix, keeps together
  if (desc.swizzle == 0) {
    // Core matrices of 8 rows of 16 bytes lie anywhere: close together, or with gaps.
    const uint32_t groups = extent / 8;
    const uint32_t close = 128;
    const bool stride_first = random() % 2 != 0;
    desc.leading = stride_first ? close * groups : close;
    desc.stride = stride_first ? close : close * 2;
    if (mn_major) std::swap(desc.leading, desc.stride);
  } else if (!mn_major) {
    desc.stride = 8 * width;
    desc.leading = 16;
    // Any 32 bytes of a row that is wider than one instruction's k.
    if (width > 32) desc.start = 32 * static_cast<uint32_t>(random() % (width / 32));
  } else {
    // Atoms of `width` bytes of M or N by 8 k: along M or N every `leading`, along k every `stride`.
    const uint32_t along = (extent * type.bytes + width - 1) / width;
    const bool k_first = random() % 2 != 0;
    desc.leading = k_first ? 8 * width * (type.k / 8) : 8 * width;
    desc.stride = k_first ? 8 * width : 8 * width * along;
  }
  return desc;
}

std::vector<std::byte> pattern(Random& random, const OperandType& type) {
  std::vector<std::byte> bytes(kPatternWords * 4);
  for (size_t at = 0; at + type.bytes <= bytes.size(); at += type.bytes) {
    const uint32_t bits = type.bits(static_cast<int>(random() % 7) - 3);
    std::memcpy(bytes.data() + at, &bits, type.bytes);
  }
  return bytes;
}

std::string hex(uint64_t value) {
  std::string digits;
  for (int shift = 60; shift >= 0; shift -= 4) digits += "0123456789abcdef"[value >> shift & 15];
  return "0x" + digits;
}

}  // namespace

/// Shared memory repeats a pattern whose length is prime, so that every address of an operand shows in the result.
void make_wgmma(Random& random, std::vector<Vector>& out) {
  for (const OperandType& type : kTypes) {
    const uint32_t n = 8 * (1 + static_cast<uint32_t>(random() % 12));
    const bool integers = std::string_view(type.result) == "s32";
    const uint32_t columns = integers ? (n > 32 ? n / 16 * 16 : n > 24 ? 32 : n) : n;
    const bool may_transpose = type.bytes == 2;
    const bool a_mn = may_transpose && random() % 2, b_mn = may_transpose && random() % 2;
    const bool a_in_registers = !a_mn && random() % 3 == 0;
    const Descriptor a = draw_descriptor(random, type, 64, a_mn), b = draw_descriptor(random, type, columns, b_mn);
    std::string d, zeros, stores;
    const uint32_t results = columns / 2;
    for (uint32_t i = 0; i < results; ++i) {
      const std::string name = "%r" + std::to_string(i);
      d += (i == 0 ? "" : ", ") + name;
      zeros += std::string("  mov.b32 ") + name + ", 0;\n";
      stores += "  st.global.b32 [%out+" + std::to_string(4 * i) + "], " + name + ";\n";
    }
    const std::string kind = integers ? "s32" : "f32";
    const std::string opcode = "wgmma.mma_async.sync.aligned.m64n" + std::to_string(columns) + "k" +
                               std::to_string(type.k) + "." + kind + "." + type.name + "." + type.name;
    std::string flags = ", %p1";
    if (!integers) flags += ", 1, 1";
    if (may_transpose) flags += a_in_registers ? "" : a_mn ? ", 1" : ", 0";
    if (may_transpose) flags += b_mn ? ", 1" : ", 0";
    const std::string shared_words = std::to_string(kSharedBytes / 4);
    const std::string body =
        "  .reg .b32 %r<" + std::to_string(results) +
        ">, %base;\n"
        "  mov.u32 %base, tile;\n  mov.u32 %a0, %thread;\nfill:\n  rem.u32 %a1, %a0, " +
        std::to_string(kPatternWords) +
        ";\n  mul.wide.u32 %l0, %a1, 4;\n  add.s64 %l0, %in, %l0;\n  ld.global.b32 %a2, [%l0];\n  shl.b32 %a3, %a0, "
        "2;\n"
        "  add.s32 %a3, %a3, %base;\n  st.shared.b32 [%a3], %a2;\n  add.s32 %a0, %a0, 128;\n  setp.lt.u32 %p0, %a0, " +
        shared_words +
        ";\n  @%p0 bra fill;\n"
        "  and.b32 %a4, %thread, 127;\n  shl.b32 %a4, %a4, 4;\n  add.s32 %a4, %a4, %base;\n  fence.proxy.async;\n"
        "  bar.sync 0;\n  ld.shared.v4.b32 {%a0, %a1, %a2, %a3}, [%a4];\n"
        "  cvt.u64.u32 %l1, %base;\n  add.s64 %l2, %l1, " +
        std::to_string(a.start) +
        ";\n  shr.u64 %l2, %l2, 4;\n"
        "  or.b64 %l2, %l2, " +
        hex(a.bits()) + ";\n  add.s64 %l3, %l1, " + std::to_string(16384 + b.start) +
        ";\n  shr.u64 %l3, %l3, 4;\n  or.b64 %l3, %l3, " + hex(b.bits()) + ";\n" + zeros +
        "  setp.ne.u32 %p1, 0, 0;\n  wgmma.fence.sync.aligned;\n  " + opcode + " {" + d + "}, " +
        (a_in_registers ? "{%a0, %a1, %a2, %a3}" : "%l2") + ", %l3" + flags +
        ";\n  wgmma.commit_group.sync.aligned;\n  wgmma.wait_group.sync.aligned 0;\n  mul.wide.u32 %l0, %thread, " +
        std::to_string(4 * results) + ";\n  add.s64 %out, %out, %l0;\n" + stores;
    Vector vector;
    const auto describe = [](const Descriptor& desc, bool mn) {
      return std::string(mn ? "MN" : "K") + "-major swizzle " + std::to_string(desc.swizzle) + " start " +
             std::to_string(desc.start) + " leading " + std::to_string(desc.leading) + " stride " +
             std::to_string(desc.stride);
    };
    vector.name = opcode + ", A " + (a_in_registers ? "in registers" : describe(a, a_mn)) + ", B " + describe(b, b_mn);
    vector.ptx = kernel_text("  .shared .align 1024 .b8 tile[" + std::to_string(kSharedBytes) + "];\n", body);
    vector.threads = 128;
    vector.in = pattern(random, type);
    vector.out.resize(size_t{128} * results * 4);
    out.push_back(std::move(vector));
  }
}

}  // namespace ptxsim::golden
