// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.9 "cp.reduce.async.bulk": what the operations compute.
#include "sim/isa/copy_reduce.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "sim/numeric/float_lanes.hpp"
#include "sim/numeric/half.hpp"

namespace ptxsim {
namespace {

template <class T, class F>
void each(std::byte* to, const std::byte* values, uint32_t bytes, F f) {
  for (uint32_t at = 0; at + sizeof(T) <= bytes; at += sizeof(T)) {
    T a, b;
    std::memcpy(&a, to + at, sizeof a);
    std::memcpy(&b, values + at, sizeof b);
    a = f(a, b);
    std::memcpy(to + at, &a, sizeof a);
  }
}

template <class T, CopyReduce operation>
T integer(T a, T b) {
  switch (operation) {
    case CopyReduce::add: return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
    case CopyReduce::min: return std::min(a, b);
    case CopyReduce::max: return std::max(a, b);
    case CopyReduce::inc: return a >= b ? T{0} : static_cast<T>(a + 1);
    case CopyReduce::dec: return a == 0 || a > b ? b : static_cast<T>(a - 1);
    case CopyReduce::and_: return a & b;
    case CopyReduce::or_: return a | b;
    case CopyReduce::xor_: return a ^ b;
  }
  return a;
}
template <class T, CopyReduce operation>
void integers(std::byte* to, const std::byte* values, uint32_t bytes) {
  each<T>(to, values, bytes, &integer<T, operation>);
}

/// "Flushes subnormal inputs and results to sign-preserving zero."
void add_f32(std::byte* to, const std::byte* values, uint32_t bytes) {
  each<float>(to, values, bytes, [](float a, float b) { return canonical(flush(flush(a) + flush(b))); });
}
void add_f64(std::byte* to, const std::byte* values, uint32_t bytes) {
  each<double>(to, values, bytes, [](double a, double b) { return canonical(a + b); });
}

template <bool bf16, CopyReduce operation>
uint16_t half(uint16_t a, uint16_t b) {
  const float x = bf16 ? bf16_to_f32(a) : f16_to_f32(a), y = bf16 ? bf16_to_f32(b) : f16_to_f32(b);
  // The f32 sum rounds to the same half as the exact one: 24 bits are at least twice 11 and 2 more.
  if constexpr (operation == CopyReduce::add) return bf16 ? f32_to_bf16(x + y) : f32_to_f16(x + y);
  if (std::isnan(x) && std::isnan(y)) return 0x7fff;
  if (std::isnan(x) || std::isnan(y)) return std::isnan(x) ? b : a;
  const bool a_below = x < y || (x == y && std::signbit(x));
  return a_below == (operation == CopyReduce::min) ? a : b;
}
template <bool bf16, CopyReduce operation>
void halves(std::byte* to, const std::byte* values, uint32_t bytes) {
  each<uint16_t>(to, values, bytes, &half<bf16, operation>);
}

template <bool bf16>
Reduce of_half(CopyReduce operation) {
  if (operation == CopyReduce::add) return &halves<bf16, CopyReduce::add>;
  if (operation == CopyReduce::min) return &halves<bf16, CopyReduce::min>;
  return operation == CopyReduce::max ? &halves<bf16, CopyReduce::max> : nullptr;
}

template <class T>
Reduce extreme(CopyReduce operation) {
  if (operation == CopyReduce::min) return &integers<T, CopyReduce::min>;
  return operation == CopyReduce::max ? &integers<T, CopyReduce::max> : nullptr;
}

template <class T>
Reduce bitwise(CopyReduce operation) {
  if (operation == CopyReduce::and_) return &integers<T, CopyReduce::and_>;
  if (operation == CopyReduce::or_) return &integers<T, CopyReduce::or_>;
  return operation == CopyReduce::xor_ ? &integers<T, CopyReduce::xor_> : nullptr;
}

Reduce of_u32(CopyReduce operation) {
  if (operation == CopyReduce::inc) return &integers<uint32_t, CopyReduce::inc>;
  if (operation == CopyReduce::dec) return &integers<uint32_t, CopyReduce::dec>;
  return operation == CopyReduce::add ? &integers<uint32_t, CopyReduce::add> : extreme<uint32_t>(operation);
}

}  // namespace

CopyReduce decode_copy_reduce(Decode& d) {
  return static_cast<CopyReduce>(d.must_be_one_of({"add", "min", "max", "inc", "dec", "and", "or", "xor"}));
}

Reduce copy_reduce(CopyReduce operation, Type type) {
  const bool adds = operation == CopyReduce::add;
  switch (type) {
    case Type::u32: return of_u32(operation);
    case Type::s32: return adds ? &integers<uint32_t, CopyReduce::add> : extreme<int32_t>(operation);
    case Type::u64: return adds ? &integers<uint64_t, CopyReduce::add> : extreme<uint64_t>(operation);
    case Type::s64: return extreme<int64_t>(operation);
    case Type::b32: return bitwise<uint32_t>(operation);
    case Type::b64: return bitwise<uint64_t>(operation);
    case Type::f16: return of_half<false>(operation);
    case Type::bf16: return of_half<true>(operation);
    case Type::f32: return adds ? &add_f32 : nullptr;
    case Type::f64: return adds ? &add_f64 : nullptr;
    default: return nullptr;
  }
}

}  // namespace ptxsim
