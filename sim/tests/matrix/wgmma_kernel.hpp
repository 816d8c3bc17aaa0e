// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "sim/tests/matrix/elements.hpp"
#include "sim/tests/support/run.hpp"

// PTX text of kernels around wgmma, and where the elements of its operands lie: an element at a time, from the tables
// of the PTX ISA ("Asynchronous Warpgroup Level Matrix Shared Memory Layout", "Register Fragments").
namespace ptxsim::test {

/// A tile in shared memory for one wgmma: `extent` elements along m or n.
struct Tile {
  std::string type;
  uint32_t extent = 64;
  uint32_t width = 16;    ///< of the swizzle: 16 (none), 32, 64, 128 bytes
  bool mn_major = false;  ///< the "transposed" order
  uint32_t base = 0;      ///< offset in the dynamic shared memory, a multiple of 1024
  uint32_t k_step = 0;    ///< bytes by which the descriptor's start is moved inside the pattern
  uint32_t leading = 0, stride = 0;

  /// Offset in the dynamic shared memory of the byte where element (x, k) begins, x along m or n. That memory begins at
  /// a multiple of 1024, so swizzles of offsets are those of addresses.
  uint32_t place(uint32_t x, uint32_t k) const {
    const uint32_t bytes = element_bytes(type);
    const uint32_t per_row = width / bytes;  // elements of a row of the pattern, mn_major
    uint32_t offset;
    if (!mn_major && width == 16)
      offset = x % 8 * 16 + x / 8 * stride + k * bytes / 16 * leading + k * bytes % 16;
    else if (!mn_major)
      offset = x % 8 * width + x / 8 * stride + k * bytes;
    else if (width == 16)
      offset = x / 8 * stride + x % 8 * bytes + k % 8 * 16 + k / 8 * leading;
    else
      offset = x % per_row * bytes + x / per_row * leading + k % 8 * width + k / 8 * stride;
    const uint32_t at = base + k_step + offset;
    switch (width) {
      case 128: return at ^ (at >> 7 & 7) << 4;
      case 64: return at ^ (at >> 7 & 3) << 4;
      case 32: return at ^ (at >> 7 & 1) << 4;
      default: return at;
    }
  }
  /// All fields but the address of the dynamic shared memory.
  uint64_t descriptor() const {
    const uint64_t mode = width == 128 ? 1 : width == 64 ? 2 : width == 32 ? 3 : 0;
    return mode << 62 | uint64_t{stride / 16} << 32 | uint64_t{leading / 16} << 16 | (base + k_step) / 16;
  }
  /// Writes a matrix (rows x k for A, k x columns for B: `k_first`) into the image of shared memory.
  void fill(const Matrix& matrix, bool k_first, std::vector<uint8_t>& image) const {
    const uint32_t bytes = element_bytes(type);
    const uint32_t depth = k_first ? matrix.rows : matrix.columns;
    for (uint32_t x = 0; x < extent; ++x)
      for (uint32_t k = 0; k < depth; ++k) {
        const uint64_t bits = encode(type, k_first ? matrix.at(k, x) : matrix.at(x, k));
        const uint32_t at = place(x, k);
        if (image.size() < at + bytes) image.resize((at + bytes + 1023) / 1024 * 1024, 0xee);
        for (uint32_t b = 0; b < bytes; ++b) image[at + b] = static_cast<uint8_t>(bits >> (8 * b));
      }
  }
};

/// The modifiers of one wgmma, and what its kernels need.
struct WgmmaText {
  uint32_t n = 8, k = 16;
  std::string d = "f32", a = "f16", b = "f16";
  std::string satfinite = {};
  bool a_in_registers = false;
  int scale_a = 1, scale_b = 1;
  bool trans_a = false, trans_b = false;

  uint32_t d_registers() const { return d == "f16" ? n / 4 : n / 2; }
  /// "{%prefix0, ...}".
  static std::string list(const std::string& prefix, uint32_t count) {
    std::string text;
    for (uint32_t i = 0; i < count; ++i) text += (i == 0 ? "{%" : ", %") + prefix + std::to_string(i);
    return text + "}";
  }
  /// With accumulator %<accumulator>0.., fragment %<fragment>0.. or descriptor `desc_a`.
  std::string instruction(const std::string& accumulator, const std::string& operand_a, const std::string& desc_b,
                          const std::string& scale_d) const {
    std::string text = "  wgmma.mma_async.sync.aligned.m64n" + std::to_string(n) + "k" + std::to_string(k) + satfinite +
                       "." + d + "." + a + "." + b + " " + list(accumulator, d_registers()) + ", " +
                       (a_in_registers ? list(operand_a, 4) : operand_a) + ", " + desc_b + ", " + scale_d;
    if (d != "s32") text += ", " + std::to_string(scale_a) + ", " + std::to_string(scale_b);
    if (element_bytes(a) == 2)
      text += (a_in_registers ? "" : trans_a ? ", 1" : ", 0") + std::string(trans_b ? ", 1" : ", 0");
    return text + ";\n";
  }
  /// Row and column of element `e` of the accumulator (in the order of a thread's registers).
  static std::pair<uint32_t, uint32_t> d_at(uint32_t thread, uint32_t e) {
    const uint32_t lane = thread % 32;
    return {thread / 32 * 16 + lane / 4 + 8 * (e / 2 % 2), 8 * (e / 4) + lane % 4 * 2 + e % 2};
  }
  /// Row and k of element `e` of the A fragment, `per_register` to a register.
  static std::pair<uint32_t, uint32_t> a_at(uint32_t thread, uint32_t e, uint32_t per_register) {
    const uint32_t lane = thread % 32, j = e / per_register, part = e % per_register;
    return {thread / 32 * 16 + lane / 4 + 8 * (j % 2), lane % 4 * per_register + 4 * per_register * (j / 2) + part};
  }
};

/// Registers and helpers of the kernels: %smem, %word_in and %word_out (this thread's word 0 of `in` behind the image,
/// and of `out`), accumulators %d0.. and %e0.., fragments %a0.. and %b0... Copies `image_bytes` of `in` to shared
/// memory; no fence, no barrier yet.
inline std::string wgmma_prologue(uint32_t image_bytes) {
  return R"(
  .reg .b32 %d<128>, %e<128>, %a<4>, %b<4>, %smem, %copied, %off, %v, %warp;
  .reg .b64 %word_in, %word_out, %from, %base, %desc_a, %desc_b, %wide;
  .reg .pred %p, %q, %yes, %no;
  setp.eq.u32 %yes, 0, 0;
  not.pred %no, %yes;
  mov.u32 %smem, tile;
  shr.u32 %warp, %tid1, 5;
  shr.u32 %off, %smem, 4;
  cvt.u64.u32 %base, %off;
  mul.wide.u32 %word_out, %tid1, 4;
  add.u64 %word_in, %word_out, %rd_in;
  add.u64 %word_out, %word_out, %rd_out;
  mov.u64 %from, %word_in;
  mov.u32 %copied, 0;
  shl.b32 %off, %tid1, 2;
  add.u32 %off, %off, %smem;
copy:
  ld.global.b32 %v, [%from];
  st.shared.b32 [%off], %v;
  add.u64 %from, %from, 512;
  add.u32 %off, %off, 512;
  add.u32 %copied, %copied, 512;
  setp.lt.u32 %p, %copied, )" +
         std::to_string(image_bytes) + ";\n  @%p bra copy;\n  add.u64 %word_in, %word_in, " +
         std::to_string(image_bytes) + ";\n";
}
inline const char* publish() { return "  fence.proxy.async;\n  bar.sync 0;\n"; }

inline std::string load_words(const std::string& prefix, uint32_t count, uint32_t first) {
  std::string text;
  for (uint32_t i = 0; i < count; ++i)
    text +=
        "  ld.global.b32 %" + prefix + std::to_string(i) + ", [%word_in+" + std::to_string((first + i) * 512) + "];\n";
  return text;
}
inline std::string store_words(const std::string& prefix, uint32_t count, uint32_t first = 0) {
  std::string text;
  for (uint32_t i = 0; i < count; ++i)
    text +=
        "  st.global.b32 [%word_out+" + std::to_string((first + i) * 512) + "], %" + prefix + std::to_string(i) + ";\n";
  return text;
}
/// %<name> = descriptor of the tile.
inline std::string make_descriptor(const std::string& name, uint64_t fields) {
  return "  add.u64 %" + name + ", %base, " + std::to_string(fields) + ";\n";
}

inline Module wgmma_kernel(const std::string& body) {
  return kernel_of(body + "  ret;", ".extern .shared .align 1024 .b8 tile[];\n");
}
inline LaunchOptions wgmma_block(size_t image_bytes, uint32_t threads = 128) {
  LaunchOptions options = block_of(threads);
  options.dynamic_shared_bytes = static_cast<uint32_t>(image_bytes);
  return options;
}

inline std::vector<uint32_t> words_of(const std::vector<uint8_t>& bytes) {
  std::vector<uint32_t> words(bytes.size() / 4);
  std::memcpy(words.data(), bytes.data(), words.size() * 4);
  return words;
}

/// Appends a fragment of 128 threads as words [register][thread]; at(thread, element) gives the bits.
template <class F>
void append_fragment(std::vector<uint32_t>& words, uint32_t elements, uint32_t bytes, F at) {
  const size_t first = words.size();
  words.resize(first + size_t{elements} * bytes / 4 * 128, 0);
  for (uint32_t thread = 0; thread < 128; ++thread)
    for (uint32_t e = 0; e < elements; ++e)
      words[first + e * bytes / 4 * 128 + thread] |= static_cast<uint32_t>(at(thread, e) << (e * bytes % 4 * 8));
}
/// Element `e` of the accumulator of `thread` in words [register][thread].
inline double accumulator_value(const std::vector<uint32_t>& words, const std::string& type, uint32_t thread,
                                uint32_t e) {
  if (type != "f16") return decode(type, words[size_t{e} * 128 + thread]);
  return decode(type, words[size_t{e / 2} * 128 + thread] >> (e % 2 * 16) & 0xffff);
}

inline const std::string kFence = "  wgmma.fence.sync.aligned;\n";
inline const std::string kCommit = "  wgmma.commit_group.sync.aligned;\n";
inline std::string wait(int newest) { return "  wgmma.wait_group.sync.aligned " + std::to_string(newest) + ";\n"; }

}  // namespace ptxsim::test
