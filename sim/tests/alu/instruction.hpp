// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <vector>

#include "sim/ptxsim.hpp"

// Tests of single instructions: PTX text for many of them, made from a table, run on edge and random operands, and
// compared with what host code expects.
namespace ptxsim::test {

/// Values of one lane: operands or results, each in the low bits of a word.
using Words = std::vector<uint64_t>;

/// Kinds of operands, one letter each; the class of the register and what values it is fed with:
///   c 8 bits in a 16-bit register   h 16 bits   r 32 bits   d 64 bits   s shift amounts and positions, 32 bits   p
///   predicate f f32   e f64   x f16   y bf16   X f16x2   Y bf16x2   b pair of 8-bit floats, 16 bits   q 128 bits, two
///   words
struct Case {
  std::string text;     ///< "add.s32 $0, $1, $2;" or several instructions; $0... are results, then sources
  std::string results;  ///< kinds
  std::string sources;
  std::function<Words(const Words&)> expected;  ///< results of one lane's sources
  std::vector<Words> inputs = {};               ///< sources to run on; when there are none, operands()
};

/// A word as T and back.
template <class T>
T as(uint64_t word) {
  if constexpr (sizeof(T) == 8)
    return std::bit_cast<T>(word);
  else if constexpr (sizeof(T) == 4)
    return std::bit_cast<T>(static_cast<uint32_t>(word));
  else if constexpr (sizeof(T) == 2)
    return std::bit_cast<T>(static_cast<uint16_t>(word));
  else
    return std::bit_cast<T>(static_cast<uint8_t>(word));
}
template <class T>
uint64_t word(T value) {
  if constexpr (sizeof(T) == 8)
    return std::bit_cast<uint64_t>(value);
  else if constexpr (sizeof(T) == 4)
    return std::bit_cast<uint32_t>(value);
  else if constexpr (sizeof(T) == 2)
    return std::bit_cast<uint16_t>(value);
  else
    return std::bit_cast<uint8_t>(value);
}

/// Case of d = f(a, b, ...), all of C++ types.
template <class D, class... S, class F>
Case map(std::string text, std::string results, std::string sources, F f) {
  return {std::move(text), std::move(results), std::move(sources), [f](const Words& in) {
            return [&]<size_t... I>(std::index_sequence<I...>) {
              return Words{word<D>(static_cast<D>(f(as<S>(in[I])...)))};
            }
            (std::index_sequence_for<S...>{});
          }};
}

/// The kernels of the cases, one entry each.
std::string module_text(const std::vector<Case>& cases);

/// Operands for `lanes` lanes, edge cases of every kind first.
std::vector<Words> operands(const std::string& kinds, size_t lanes, uint64_t seed);

/// Runs them all; results must be equal, NaN of real kinds counting as equal.
void check(const std::vector<Case>& cases, const Schedule& schedule = {});

/// Results of one case, by lane.
std::vector<Words> run(const Case& the_case, const std::vector<Words>& sources, const Schedule& schedule = {});

/// The text is refused when it is parsed.
void expect_refused(const std::string& instruction);

}  // namespace ptxsim::test
