// SPDX-License-Identifier: Apache-2.0
#include "sim/isa/matrix_elements.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>

#include "sim/machine/step.hpp"
#include "sim/numeric/float8.hpp"
#include "sim/numeric/half.hpp"

namespace ptxsim {
namespace {

struct F16Element {
  using Bits = uint16_t;
  static float value(Bits x) { return f16_to_f32(x); }
};
struct Bf16Element {
  using Bits = uint16_t;
  static float value(Bits x) { return bf16_to_f32(x); }
};
struct Tf32Element {  // the low 13 bits of the register or word do not take part
  using Bits = uint32_t;
  static float value(Bits x) { return std::bit_cast<float>(x & 0xffffe000u); }
};
struct E4m3Element {
  using Bits = uint8_t;
  static float value(Bits x) { return e4m3_to_f32(x); }
};
struct E5m2Element {
  using Bits = uint8_t;
  static float value(Bits x) { return e5m2_to_f32(x); }
};
struct S8Element {
  using Bits = uint8_t;
  static float value(Bits x) { return static_cast<float>(static_cast<int8_t>(x)); }
};
struct U8Element {
  using Bits = uint8_t;
  static float value(Bits x) { return static_cast<float>(x); }
};

template <class E>
constexpr uint32_t kPerRegister = 4 / sizeof(typename E::Bits);

void put_row(float* a, uint32_t at, float value) {
  for (uint32_t t = 0; t < 4; ++t) a[at + t] = value;
}

const uint32_t* words(const RegisterMatrix& from, uint32_t j) {
  return reinterpret_cast<const uint32_t*>(from.file + size_t{from.registers[j].slot} * kLanes * 4);
}

template <class E>
float part(uint32_t word, uint32_t h) {
  return E::value(static_cast<typename E::Bits>(word >> (h * 8 * sizeof(typename E::Bits))));
}

template <class E>
void a_from_registers(const RegisterMatrix& from, float scale, float* a) {
  constexpr uint32_t kParts = kPerRegister<E>;
  const uint32_t halves = from.rows / 8;
  for (uint32_t j = 0; j < from.count; ++j) {
    const uint32_t* word = words(from, j);
    for (uint32_t lane = 0; lane < kLanes; ++lane)
      for (uint32_t h = 0; h < kParts; ++h) {
        const uint32_t k = 4 * kParts * (j / halves) + kParts * (lane % 4) + h;
        put_row(a, fragment_a_index(from.k, lane / 4 + 8 * (j % halves), k), scale * part<E>(word[lane], h));
      }
  }
}

template <class E>
void b_from_registers(const RegisterMatrix& from, float* b) {
  constexpr uint32_t kParts = kPerRegister<E>;
  for (uint32_t j = 0; j < from.count; ++j) {
    const uint32_t* word = words(from, j);
    for (uint32_t lane = 0; lane < kLanes; ++lane)
      for (uint32_t h = 0; h < kParts; ++h)
        b[fragment_b_index(from.k, 4 * kParts * j + kParts * (lane % 4) + h, lane / 4)] = part<E>(word[lane], h);
  }
}

/// Calls f(k, x, value) for 16 bytes at a time: the inner loop converts without knowing where values go.
template <class E, class F>
void for_values(const DenseMatrix& from, F f) {
  using Bits = typename E::Bits;
  constexpr uint32_t kChunk = 16 / sizeof(Bits);
  const uint32_t outer = from.mn_major ? from.k : from.extent;
  const uint32_t inner = from.mn_major ? from.extent : from.k;
  for (uint32_t o = 0; o < outer; ++o)
    for (uint32_t i = 0; i < inner; i += kChunk) {
      std::array<Bits, kChunk> bits;
      std::array<float, kChunk> value;
      std::memcpy(bits.data(), from.bytes + (size_t{o} * inner + i) * sizeof(Bits), 16);
      for (uint32_t c = 0; c < kChunk; ++c) value[c] = E::value(bits[c]);
      for (uint32_t c = 0; c < kChunk; ++c) from.mn_major ? f(o, i + c, value[c]) : f(i + c, o, value[c]);
    }
}

template <class E>
void a_from_memory(const DenseMatrix& from, float scale, float* a) {
  for_values<E>(from, [&](uint32_t k, uint32_t row, float value) {
    put_row(a, fragment_a_index(from.k, row, k), scale * value);
  });
}

template <class E>
void b_from_memory(const DenseMatrix& from, float* b) {
  for_values<E>(from, [&](uint32_t k, uint32_t n, float value) { b[fragment_b_index(from.k, k, n)] = value; });
}

template <class E>
constexpr MatrixElement kElement = {sizeof(typename E::Bits), &a_from_registers<E>, &b_from_registers<E>,
                                    &a_from_memory<E>, &b_from_memory<E>};

struct alignas(64) Line {
  std::array<float, 16> value;
};

/// Room for D as f32, in lines of the cache.
struct Scratch {
  explicit Scratch(size_t floats) : lines(std::make_unique_for_overwrite<Line[]>((floats + 15) / 16)) {}
  float* data() { return lines[0].value.data(); }
  std::unique_ptr<Line[]> lines;
};

/// Column pairs of a register become two registers of f32, in the order of the f32 accumulator.
void accumulate_f16(FragmentProduct product, ProductMode mode, float* image) {
  const size_t registers = size_t{product.row_blocks} * product.n / 4;
  Scratch wide(registers * 64);
  float* d = wide.data();
  for (size_t i = 0; i < registers; ++i)
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      const uint32_t word = std::bit_cast<uint32_t>(image[i * 32 + lane]);
      d[i * 64 + lane] = f16_to_f32(low_half(word));
      d[i * 64 + 32 + lane] = f16_to_f32(high_half(word));
    }
  product.d = d;
  multiply_add(product, mode);
  for (size_t i = 0; i < registers; ++i)
    for (uint32_t lane = 0; lane < kLanes; ++lane)
      image[i * 32 + lane] =
          std::bit_cast<float>(pack_halves(f32_to_f16(d[i * 64 + lane]), f32_to_f16(d[i * 64 + 32 + lane])));
}

/// Sums of up to 32 products of bytes are exact in f32: below 2^24.
void accumulate_s32(FragmentProduct product, bool satfinite, float* image) {
  const size_t count = size_t{product.row_blocks} * product.n / 2 * 32;
  Scratch sums(count);
  float* d = sums.data();
  std::fill_n(d, count, 0.0f);
  product.d = d;
  multiply_add(product);
  for (size_t i = 0; i < count; ++i) {
    const int64_t sum = int64_t{std::bit_cast<int32_t>(image[i])} + static_cast<int32_t>(d[i]);
    const int64_t clamped =
        std::clamp<int64_t>(sum, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max());
    image[i] = std::bit_cast<float>(static_cast<uint32_t>(satfinite ? clamped : sum));
  }
}

}  // namespace

const MatrixElement& matrix_element(Type type) {
  switch (type) {
    case Type::f16: return kElement<F16Element>;
    case Type::bf16: return kElement<Bf16Element>;
    case Type::tf32: return kElement<Tf32Element>;
    case Type::e4m3: return kElement<E4m3Element>;
    case Type::e5m2: return kElement<E5m2Element>;
    case Type::s8: return kElement<S8Element>;
    default: return kElement<U8Element>;
  }
}

void accumulate(FragmentProduct product, Type type, bool satfinite, ProductMode mode, float* image) {
  if (type == Type::f16) {
    accumulate_f16(product, mode, image);
  } else if (type == Type::s32) {
    accumulate_s32(product, satfinite, image);
  } else {
    product.d = image;
    multiply_add(product, mode);
  }
}

}  // namespace ptxsim
