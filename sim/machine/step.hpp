// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bit>
#include <cstdint>
#include <string>
#include <type_traits>

#include "sim/isa/program.hpp"

// What a handler sees: one instruction, run once for up to 32 lanes of a warp.
namespace ptxsim {

class Machine;
struct Cluster;
struct Cta;
struct Warp;
struct Split;

inline constexpr uint32_t kLanes = 32;
inline constexpr uint32_t kAllLanes = ~0u;

/// The 32 values of a register. Types narrower than 32 bits live in the low bits of a 32-bit lane, upper bits zero; a
/// predicate is 0 or 1.
template <class T>
class Lanes {
 public:
  using Cell = std::conditional_t<(sizeof(T) < 4), uint32_t, T>;
  explicit Lanes(std::byte* at) : at_(reinterpret_cast<Cell*>(at)) {}
  T operator[](uint32_t lane) const {
    if constexpr (sizeof(T) < 4)
      return std::bit_cast<T>(static_cast<std::conditional_t<sizeof(T) == 1, uint8_t, uint16_t>>(at_[lane]));
    else
      return at_[lane];
  }
  void set(uint32_t lane, T value) {
    if constexpr (sizeof(T) < 4)
      at_[lane] = std::bit_cast<std::conditional_t<sizeof(T) == 1, uint8_t, uint16_t>>(value);
    else
      at_[lane] = value;
  }
  Cell* data() { return at_; }
  const Cell* data() const { return at_; }

 private:
  Cell* at_;
};

struct Step {
  Machine& machine;
  Cta& cta;
  Warp& warp;
  Split& split;
  const Inst& inst;
  const Operand* operands;  ///< of `inst`, flattened
  std::byte* registers;     ///< the file of the split's frame
  uint32_t mask;            ///< lanes that run it: the split's, less those whose guard is false; never 0

  /// Operand `index` as 32 values of T; sizeof(T) must fit its units.
  template <class T>
  Lanes<T> lanes(int index) const {
    return Lanes<T>(registers + size_t{operands[index].slot} * (kLanes * 4));
  }
  bool sink(int index) const { return operands[index].sink(); }
  /// The value in the lowest running lane, for operands that are the same in all.
  template <class T>
  T uniform(int index) const {
    return lanes<T>(index)[first_lane()];
  }
  uint32_t first_lane() const { return static_cast<uint32_t>(std::countr_zero(mask)); }
  /// A register that holds an address: 32- or 64-bit, plus `offset`.
  uint64_t address(int index, uint32_t lane, int64_t offset = 0) const {
    const uint64_t base = operands[index].units == 2 ? lanes<uint64_t>(index)[lane] : lanes<uint32_t>(index)[lane];
    return operands[index].units == 2 ? base + static_cast<uint64_t>(offset)
                                      : static_cast<uint32_t>(base + static_cast<uint64_t>(offset));
  }

  /// Ends the launch with a report (H22, fault, ...): does not return.
  [[noreturn]] void fault(HazardId id, const std::string& what, int lane = -1) const;
  /// Notes a hazard and goes on.
  void hazard(HazardId id, const std::string& what, int lane = -1, const Site* other = nullptr) const;
};

/// "0-7 12 30": lanes of a mask in a report.
std::string lane_list(uint32_t mask);

/// Calls f(lane) for the lanes of `mask`; the loop over all 32 is one the compiler can vectorise.
template <class F>
inline void for_lanes(uint32_t mask, F&& f) {
  if (mask == kAllLanes) {
    for (uint32_t lane = 0; lane < kLanes; ++lane) f(lane);
  } else {
    for (uint32_t rest = mask; rest != 0; rest &= rest - 1) f(static_cast<uint32_t>(std::countr_zero(rest)));
  }
}

/// d = f(a), d = f(a, b), d = f(a, b, c), lane by lane: most of the ALU. Operands 0, 1, ...
template <class D, class A, class F>
inline Outcome unary(Step& s, F f) {
  auto d = s.lanes<D>(0);
  const auto a = s.lanes<A>(1);
  for_lanes(s.mask, [&](uint32_t l) { d.set(l, f(a[l])); });
  return Outcome::next;
}
template <class D, class A, class B, class F>
inline Outcome binary(Step& s, F f) {
  auto d = s.lanes<D>(0);
  const auto a = s.lanes<A>(1);
  const auto b = s.lanes<B>(2);
  for_lanes(s.mask, [&](uint32_t l) { d.set(l, f(a[l], b[l])); });
  return Outcome::next;
}
template <class D, class A, class B, class C, class F>
inline Outcome ternary(Step& s, F f) {
  auto d = s.lanes<D>(0);
  const auto a = s.lanes<A>(1);
  const auto b = s.lanes<B>(2);
  const auto c = s.lanes<C>(3);
  for_lanes(s.mask, [&](uint32_t l) { d.set(l, f(a[l], b[l], c[l])); });
  return Outcome::next;
}

}  // namespace ptxsim
