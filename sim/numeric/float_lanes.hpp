// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bit>
#include <cfenv>
#include <cstdint>

#include "sim/numeric/format.hpp"

// Helpers of IEEE 754 arithmetic on f32 and f64, for loops that are vectorised.
namespace ptxsim {

template <class T>
struct RealBits;
template <>
struct RealBits<float> {
  using type = uint32_t;
  static constexpr type kSign = 0x80000000u, kSmallestNormal = 0x00800000u, kNan = 0x7fffffffu;
};
template <>
struct RealBits<double> {
  using type = uint64_t;
  static constexpr type kSign = uint64_t{1} << 63, kSmallestNormal = uint64_t{1} << 52, kNan = uint64_t{0x7ff8} << 48;
};

/// Every NaN as the one that the device makes; host CPUs pass on payloads, of whichever operand.
template <class T>
constexpr T canonical(T x) {
  using B = RealBits<T>;
  return x != x ? std::bit_cast<T>(B::kNan) : x;
}
/// .ftz: subnormal numbers become zero, with their sign.
template <class T>
constexpr T flush(T x) {
  using B = RealBits<T>;
  const auto bits = std::bit_cast<typename B::type>(x);
  return std::bit_cast<T>((bits & ~B::kSign) < B::kSmallestNormal ? bits & B::kSign : bits);
}
/// .sat: to [0, 1], a NaN to +0.
template <class T>
constexpr T saturate(T x) {
  return x > T{0} ? x < T{1} ? x : T{1} : T{0};
}

/// min and max: one NaN loses against a number; -0 is below +0. `nan`: a NaN wins.
template <class T, bool take_max, bool nan>
constexpr T extremum(T a, T b) {
  using B = RealBits<T>;
  const bool negative_a = (std::bit_cast<typename B::type>(a) & B::kSign) != 0;
  const bool a_first = a < b || (a == b && negative_a);
  const T ordered = a_first == take_max ? b : a;
  const T unordered = nan || (a != a && b != b) ? std::bit_cast<T>(B::kNan) : a != a ? b : a;
  return a != a || b != b ? unordered : ordered;
}

/// Host arithmetic rounds by `mode` while it lives. Operands have to come from memory and results to go there inside
/// its scope, or the compiler may move the arithmetic out of it.
class HostRounding {
 public:
  explicit HostRounding(Round mode) {
    constexpr int kModes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
    std::fesetround(kModes[static_cast<int>(mode)]);
  }
  ~HostRounding() { std::fesetround(FE_TONEAREST); }
  HostRounding(const HostRounding&) = delete;
  HostRounding& operator=(const HostRounding&) = delete;
};

/// d[i] = a[i] * b[i] + c[i] for 32 lanes, rounded once, in the host's rounding mode. Uses the CPU's instruction where
/// it has one.
using FmaF32 = void (*)(const float* a, const float* b, const float* c, float* d);
using FmaF64 = void (*)(const double* a, const double* b, const double* c, double* d);
extern const FmaF32 fma_f32;
extern const FmaF64 fma_f64;

}  // namespace ptxsim
