// SPDX-License-Identifier: Apache-2.0
// Compiled once for each instruction set, into the namespace LLM_ISA. Everything else is in no namespace that another
// object file could see, and nothing inline is used that one could share.
#include <cstring>

#include "row_products.hpp"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace llm::LLM_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
using Floats [[gnu::vector_size(4 * kLanes)]] = float;
using Ints [[gnu::vector_size(4 * kLanes)]] = int32_t;

template <class T>
T load(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Bytes, each in a lane of its own, and an f16 as f32.
#if defined(__AVX512F__)
Ints unsigned_bytes(const std::byte* from) {
  return (Ints)_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
Ints signed_bytes(const std::byte* from) {
  return (Ints)_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
#elif defined(__AVX2__)
Ints unsigned_bytes(const std::byte* from) {
  return (Ints)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}
Ints signed_bytes(const std::byte* from) {
  return (Ints)_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}
#else
Ints unsigned_bytes(const std::byte* from) {
  Ints out;
  for (int i = 0; i < kLanes; ++i) out[i] = static_cast<uint8_t>(from[i]);
  return out;
}
Ints signed_bytes(const std::byte* from) {
  Ints out;
  for (int i = 0; i < kLanes; ++i) out[i] = static_cast<int8_t>(from[i]);
  return out;
}
#endif

#if defined(__F16C__)
float half(const std::byte* from) { return _cvtsh_ss(load<uint16_t>(from)); }
#else
float half(const std::byte* from) {
  float out;
  dequantise(TensorType::F16, {from, 2}, &out);
  return out;
}
#endif

Floats floats(Ints from) { return __builtin_convertvector(from, Floats); }

// The formats: elements and bytes of a block, and f(at, kLanes elements from number `at` on) for all of a block.
// dequantise.cpp says what the bytes are.

struct Plain {
  static constexpr int kElements = 2 * kLanes, kBytes = 4 * kElements;
  template <class F>
  static void decode(const std::byte* in, F&& f) {
    f(0, load<Floats>(in));
    f(kLanes, load<Floats>(in + sizeof(Floats)));
  }
};

struct Signed8 {
  static constexpr int kElements = 32, kBytes = 34;
  template <class F>
  static void decode(const std::byte* in, F&& f) {
    const float scale = half(in);
    for (int at = 0; at < kElements; at += kLanes) f(at, scale * floats(signed_bytes(in + 2 + at)));
  }
};

/// 4 bits: elements i and i + 16 share byte i.
template <class F, class Value>
void nibbles(const std::byte* in, F&& f, Value&& value) {
  for (int at = 0; at < 16; at += kLanes) {
    const Ints bytes = unsigned_bytes(in + at);
    f(at, value(floats(bytes & 15)));
    f(at + 16, value(floats(bytes >> 4)));
  }
}

struct Centred4 {
  static constexpr int kElements = 32, kBytes = 18;
  template <class F>
  static void decode(const std::byte* in, F&& f) {
    const float scale = half(in);
    nibbles(in + 2, f, [&](Floats quants) { return scale * (quants - 8); });
  }
};

struct Shifted4 {
  static constexpr int kElements = 32, kBytes = 20;
  template <class F>
  static void decode(const std::byte* in, F&& f) {
    const float scale = half(in), minimum = half(in + 2);
    nibbles(in + 4, f, [&](Floats quants) { return scale * quants + minimum; });
  }
};

template <class Format>
void decode_row(const std::byte* row, int64_t columns, float* out) {
  for (; columns >= Format::kElements; columns -= Format::kElements, row += Format::kBytes, out += Format::kElements)
    Format::decode(row, [&](int at, Floats w) { std::memcpy(out + at, &w, sizeof w); });
  if constexpr (Format::kBytes == 4 * Format::kElements) std::memcpy(out, row, 4 * static_cast<size_t>(columns));
}

float sum(Floats lanes) {
  float total[kLanes];
  std::memcpy(total, &lanes, sizeof lanes);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) total[i] += total[i + half];
  return total[0];
}

template <class Format, int kCount>
void multiply_row(const std::byte* row, int64_t columns, const float* x, float* y, int64_t y_stride) {
  // Two sums for each product, of even and of odd vectors: one would wait for itself.
  Floats sums[kCount][2] = {};
  int64_t c = 0;
  for (; c + Format::kElements <= columns; c += Format::kElements, row += Format::kBytes)
    Format::decode(row, [&](int at, Floats w) {
      for (int i = 0; i < kCount; ++i) sums[i][at / kLanes % 2] += w * load<Floats>(x + i * columns + c + at);
    });
  for (int i = 0; i < kCount; ++i) {
    float total = sum(sums[i][0] + sums[i][1]);
    if constexpr (Format::kBytes == 4 * Format::kElements)
      for (int64_t rest = c; rest < columns; ++rest) total += load<float>(row + 4 * (rest - c)) * x[i * columns + rest];
    y[i * y_stride] = total;
  }
}

template <class Format>
void multiply_rows(const std::byte* row, int64_t columns, const float* x, int count, float* y, int64_t y_stride) {
  static_assert(kMostProducts == 4);
  switch (count) {
    case 1: return multiply_row<Format, 1>(row, columns, x, y, y_stride);
    case 2: return multiply_row<Format, 2>(row, columns, x, y, y_stride);
    case 3: return multiply_row<Format, 3>(row, columns, x, y, y_stride);
    default: return multiply_row<Format, 4>(row, columns, x, y, y_stride);
  }
}

void decode(TensorType type, std::span<const std::byte> bytes, int64_t columns, float* out) {
  const std::byte* row = bytes.data();
  switch (type) {
    case TensorType::F32: return decode_row<Plain>(row, columns, out);
    case TensorType::Q4_0: return decode_row<Centred4>(row, columns, out);
    case TensorType::Q4_1: return decode_row<Shifted4>(row, columns, out);
    case TensorType::Q8_0: return decode_row<Signed8>(row, columns, out);
    default: return dequantise(type, bytes, out);
  }
}

void multiply(TensorType type, std::span<const std::byte> bytes, int64_t columns, const float* x, int count, float* y,
              int64_t y_stride, float* room) {
  const std::byte* row = bytes.data();
  switch (type) {
    case TensorType::F32: return multiply_rows<Plain>(row, columns, x, count, y, y_stride);
    case TensorType::Q4_0: return multiply_rows<Centred4>(row, columns, x, count, y, y_stride);
    case TensorType::Q4_1: return multiply_rows<Shifted4>(row, columns, x, count, y, y_stride);
    case TensorType::Q8_0: return multiply_rows<Signed8>(row, columns, x, count, y, y_stride);
    default:
      dequantise(type, bytes, room);
      return multiply_rows<Plain>(reinterpret_cast<const std::byte*>(room), columns, x, count, y, y_stride);
  }
}

}  // namespace

#define LLM_TEXT(name) #name
#define LLM_NAME_OF(name) LLM_TEXT(name)
extern const RowProducts kRowProducts;
const RowProducts kRowProducts = {LLM_NAME_OF(LLM_ISA), decode, multiply};

}  // namespace llm::LLM_ISA
