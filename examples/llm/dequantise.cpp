// SPDX-License-Identifier: Apache-2.0
// Blocks of ggml's formats, in f32. A block has one or two f16 scales, and its integers packed; the 4 bits of elements
// i and i + 16 (i + 32 in the K formats) share a byte, the lower half first. Every product of a scale and an integer is
// exact in f32, so that only the sum with a minimum rounds.
#include <bit>
#include <cstring>

#include "gguf.hpp"

namespace llm {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF files are read as they lie: little-endian");

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// f16 as f32, exactly: the exponent's offset of 15 becomes 127 by a multiplication, which subnormals need as well.
float half(const std::byte* from) {
  const auto bits = load<uint16_t>(from);
  const uint32_t sign = (bits & 0x8000u) << 16, magnitude = (bits & 0x7fffu) << 13;
  if (magnitude >= 0x7c00u << 13) return std::bit_cast<float>(sign | 0x7f800000u | magnitude);
  const float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(scaled));
}

int at(const std::byte* from, int index) { return std::to_integer<int>(from[index]); }
int low(const std::byte* from, int index) { return at(from, index) & 15; }
int high(const std::byte* from, int index) { return at(from, index) >> 4; }
int signed_at(const std::byte* from, int index) { return static_cast<int8_t>(at(from, index)); }

void block_F32(const std::byte* in, float* out) { *out = load<float>(in); }

void block_F16(const std::byte* in, float* out) { *out = half(in); }

void block_BF16(const std::byte* in, float* out) {
  *out = std::bit_cast<float>(static_cast<uint32_t>(load<uint16_t>(in)) << 16);
}

/// f16 scale; 32 signed bytes.
void block_Q8_0(const std::byte* in, float* out) {
  const float scale = half(in);
  for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(signed_at(in + 2, i));
}

/// f16 scale; 4 bits an element, 8 stands for 0.
void block_Q4_0(const std::byte* in, float* out) {
  const float scale = half(in);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(low(in + 2, i) - 8);
    out[i + 16] = scale * static_cast<float>(high(in + 2, i) - 8);
  }
}

/// f16 scale, f16 minimum; 4 bits an element.
void block_Q4_1(const std::byte* in, float* out) {
  const float scale = half(in), minimum = half(in + 2);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(low(in + 4, i)) + minimum;
    out[i + 16] = scale * static_cast<float>(high(in + 4, i)) + minimum;
  }
}

/// f16 scale; the fifth bits of all elements, element 0 lowest; the other 4 bits. 16 stands for 0.
void block_Q5_0(const std::byte* in, float* out) {
  const float scale = half(in);
  const auto fifth = load<uint32_t>(in + 2);
  const auto bit = [&](int element) { return static_cast<int>(fifth >> element & 1) << 4; };
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>((low(in + 6, i) | bit(i)) - 16);
    out[i + 16] = scale * static_cast<float>((high(in + 6, i) | bit(i + 16)) - 16);
  }
}

/// f16 scale and f16 scale of the minima; 8 scales and 8 minima of 6 bits in 12 bytes, one of each for 32 elements; 4
/// bits an element. Bytes 0-3 hold scales 0-3 and bytes 4-7 minima 0-3, each with the top 2 bits of number + 4 above;
/// bytes 8-11 the lower 4 bits of scales and minima 4-7.
void block_Q4_K(const std::byte* in, float* out) {
  const float scale = half(in), minimum = half(in + 2);
  const std::byte* packed = in + 4;
  for (int part = 0; part < 8; ++part) {
    int scale6 = 0, minimum6 = 0;
    if (part < 4) {
      scale6 = at(packed, part) & 63;
      minimum6 = at(packed, part + 4) & 63;
    } else {
      scale6 = low(packed, part + 4) | at(packed, part - 4) >> 6 << 4;
      minimum6 = high(packed, part + 4) | at(packed, part) >> 6 << 4;
    }
    const float part_scale = scale * static_cast<float>(scale6), part_minimum = minimum * static_cast<float>(minimum6);
    const std::byte* quants = in + 16 + part / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int quant = part % 2 == 0 ? low(quants, i) : high(quants, i);
      out[part * 32 + i] = part_scale * static_cast<float>(quant) - part_minimum;
    }
  }
}

/// Lower 4 bits of 256 elements, their upper 2 bits, 16 signed scales of 16 elements each, f16 scale; 32 stands for 0.
/// Of each 128 elements, number i has its lower bits in byte i % 64 of 64 (elements 64-127 in the upper halves) and its
/// upper bits in byte i % 32 of 32, at bit i / 32 * 2.
void block_Q6_K(const std::byte* in, float* out) {
  const std::byte *lower = in, *upper = in + 128, *scales = in + 192;
  const float scale = half(in + 208);
  for (int part = 0; part < 2; ++part) {
    for (int i = 0; i < 128; ++i) {
      const int byte = part * 64 + i % 64;
      const int quant =
          (i < 64 ? low(lower, byte) : high(lower, byte)) | (at(upper, part * 32 + i % 32) >> i / 32 * 2 & 3) << 4;
      const float part_scale = scale * static_cast<float>(signed_at(scales, part * 8 + i / 16));
      out[part * 128 + i] = part_scale * static_cast<float>(quant - 32);
    }
  }
}

template <size_t kElements, size_t kBytes, void (*block)(const std::byte*, float*)>
void blocks(std::span<const std::byte> row, float* out) {
  for (; row.size() >= kBytes; row = row.subspan(kBytes), out += kElements) block(row.data(), out);
}

}  // namespace

void dequantise(TensorType type, std::span<const std::byte> row, float* out) {
#define LLM_TENSOR_TYPE(name, id, elements, bytes) \
  if (type == TensorType::name) blocks<elements, bytes, block_##name>(row, out);
#include "tensor_types.def"
}

}  // namespace llm
