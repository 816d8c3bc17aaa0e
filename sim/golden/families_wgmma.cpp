// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cstring>

#include "sim/golden/families.hpp"

namespace ptxsim::golden {
namespace {

constexpr uint32_t kSharedBytes = 49152, kSharedB = 12288, kPatternWords = 1021;

/// Types of the operands and of the result, and the bits of a small integer in them, so that sums are exact in whatever
/// order.
struct OperandType {
  const char *name, *result;  ///< "a.b"
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

constexpr OperandType kTypes[] = {
    {"bf16.bf16", "f32", 2, 16, bf16_bits},        {"f16.f16", "f32", 2, 16, small_bits<5, 10>},
    {"f16.f16", "f16", 2, 16, small_bits<5, 10>},  {"tf32.tf32", "f32", 4, 8, tf32_bits},
    {"e4m3.e4m3", "f32", 1, 32, small_bits<4, 3>}, {"e5m2.e5m2", "f32", 1, 32, small_bits<5, 2>},
    {"e4m3.e4m3", "f16", 1, 32, small_bits<4, 3>}, {"s8.s8", "s32", 1, 32, s8_bits}};

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
    if (mn_major && groups <= 16) std::swap(desc.leading, desc.stride);
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

/// One product of 64 rows by `columns`, issued `chain` times into the same accumulators.
struct Product {
  const OperandType* type;
  uint32_t columns;
  bool a_mn, b_mn, a_in_registers;
  Descriptor a, b;
  int chain;

  bool integers() const { return std::string_view(type->result) == "s32"; }
  uint32_t results() const { return std::string_view(type->result) == "f16" ? columns / 4 : columns / 2; }
  std::string opcode() const {
    return "wgmma.mma_async.sync.aligned.m64n" + std::to_string(columns) + "k" + std::to_string(type->k) + "." +
           type->result + "." + type->name;
  }
  std::string name() const {
    const auto layout = [](const Descriptor& desc, bool mn) {
      return std::string(mn ? "MN" : "K") + "-major swizzle " + std::to_string(desc.swizzle) + " start " +
             std::to_string(desc.start) + " leading " + std::to_string(desc.leading) + " stride " +
             std::to_string(desc.stride);
    };
    return opcode() + ", A " + (a_in_registers ? "in registers" : layout(a, a_mn)) + ", B " + layout(b, b_mn) +
           (chain > 1 ? ", " + std::to_string(chain) + " times" : "");
  }
  std::string text() const;
  Vector vector(std::vector<std::byte> in) const {
    Vector vector;
    vector.name = name();
    vector.ptx = kernel_text("  .shared .align 1024 .b8 tile[" + std::to_string(kSharedBytes) + "];\n", text());
    vector.threads = 128;
    vector.in = std::move(in);
    vector.out.resize(size_t{128} * results() * 4);
    return vector;
  }
};

/// Shared memory repeats a pattern whose length is prime, so that every address of an operand shows in the result.
std::string Product::text() const {
  std::string d, zeros, stores;
  for (uint32_t i = 0; i < results(); ++i) {
    const std::string name = "%r" + std::to_string(i);
    d += (i == 0 ? "" : ", ") + name;
    zeros += std::string("  mov.b32 ") + name + ", 0;\n";
    stores += "  st.global.b32 [%out+" + std::to_string(4 * i) + "], " + name + ";\n";
  }
  const bool may_transpose = type->bytes == 2;
  std::string flags;
  if (!integers()) flags += ", 1, 1";
  if (may_transpose && !a_in_registers) flags += a_mn ? ", 1" : ", 0";
  if (may_transpose) flags += b_mn ? ", 1" : ", 0";
  std::string products;
  for (int i = 0; i < chain; ++i)
    products += "  " + opcode() + " {" + d + "}, " + (a_in_registers ? "{%a0, %a1, %a2, %a3}" : "%l2") + ", %l3, " +
                (i == 0 ? "%p1" : "%p2") + flags + ";\n";
  return "  .reg .b32 %r<" + std::to_string(results()) +
         ">, %base;\n  mov.u32 %base, tile;\n  mov.u32 %a0, %thread;\nfill:\n  rem.u32 %a1, %a0, " +
         std::to_string(kPatternWords) +
         ";\n  mul.wide.u32 %l0, %a1, 4;\n  add.s64 %l0, %in, %l0;\n  ld.global.b32 %a2, [%l0];\n"
         "  shl.b32 %a3, %a0, 2;\n  add.s32 %a3, %a3, %base;\n  st.shared.b32 [%a3], %a2;\n"
         "  add.s32 %a0, %a0, 128;\n  setp.lt.u32 %p0, %a0, " +
         std::to_string(kSharedBytes / 4) +
         ";\n  @%p0 bra fill;\n  and.b32 %a4, %thread, 127;\n  shl.b32 %a4, %a4, 4;\n  add.s32 %a4, %a4, %base;\n"
         "  fence.proxy.async;\n  bar.sync 0;\n  ld.shared.v4.b32 {%a0, %a1, %a2, %a3}, [%a4];\n"
         "  cvt.u64.u32 %l1, %base;\n  add.s64 %l2, %l1, " +
         std::to_string(a.start) + ";\n  shr.u64 %l2, %l2, 4;\n  or.b64 %l2, %l2, " + hex(a.bits()) +
         ";\n  add.s64 %l3, %l1, " + std::to_string(kSharedB + b.start) +
         ";\n  shr.u64 %l3, %l3, 4;\n  or.b64 %l3, %l3, " + hex(b.bits()) + ";\n" + zeros +
         "  setp.ne.u32 %p1, 0, 0;\n  setp.eq.u32 %p2, 0, 0;\n  wgmma.fence.sync.aligned;\n" + products +
         "  wgmma.commit_group.sync.aligned;\n  wgmma.wait_group.sync.aligned 0;\n  mul.wide.u32 %l0, %thread, " +
         std::to_string(4 * results()) + ";\n  add.s64 %out, %out, %l0;\n" + stores;
}

}  // namespace

void make_wgmma(Random& random, std::vector<Vector>& out) {
  for (const OperandType& type : kTypes) {
    const uint32_t n = 8 * (1 + static_cast<uint32_t>(random() % 32));
    Product product{&type, n, false, false, false, {}, {}, 1};
    if (product.integers() && n > 24) product.columns = n < 48 ? 32 : n / 16 * 16;
    const bool may_transpose = type.bytes == 2;
    product.a_mn = may_transpose && random() % 2;
    product.b_mn = may_transpose && random() % 2;
    product.a_in_registers = !product.a_mn && random() % 3 == 0;
    product.a = draw_descriptor(random, type, 64, product.a_mn);
    product.b = draw_descriptor(random, type, product.columns, product.b_mn);
    out.push_back(product.vector(pattern(random, type)));
  }
}

/// Values with all fraction bits of e4m3 and exponents of 0 to -6: sums of their products do not fit a narrow adder.
void make_wgmma_sum(Random& random, std::vector<Vector>& out) {
  constexpr OperandType kType = {"e4m3.e4m3", "f32", 1, 32, small_bits<4, 3>};
  for (const int chain : {1, 4}) {
    Product product{&kType, 32, false, false, false, {}, {}, chain};
    product.a = draw_descriptor(random, kType, 64, false);
    product.b = draw_descriptor(random, kType, product.columns, false);
    std::vector<std::byte> in(kPatternWords * 4);
    for (std::byte& each : in) {
      const uint64_t bits = random();
      each = static_cast<std::byte>((bits & 0x80) | (1 + bits % 7) << 3 | (bits >> 8 & 7));
    }
    Vector vector = product.vector(std::move(in));
    vector.match = Match::f32_near;
    // 33 terms an instruction, each cut to 13 bits below the largest: no more than the sum of 32 * chain products
    // below 4.
    vector.tolerance = 0;
    for (int i = 1; i <= chain; ++i)
      vector.tolerance += 33.0f * static_cast<float>(std::bit_floor(128u * static_cast<uint32_t>(i))) / 8192.0f;
    out.push_back(std::move(vector));
  }
}

}  // namespace ptxsim::golden
