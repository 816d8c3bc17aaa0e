// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "cli/io/element.hpp"

namespace ptxsim::tool {

/// Element `index` of an array; exact but for 64-bit integers beyond 2^53.
double element_number(attend::io::Element element, std::span<const std::byte> data, size_t index);
/// As a person writes it: six digits of a real, all of an integer.
std::string element_text(attend::io::Element element, std::span<const std::byte> data, size_t index);

/// Two arrays of the same element type and length, element by element.
struct Comparison {
  size_t different = 0;  ///< elements whose difference exceeds tolerance * max(1, |expected|); NaN equals NaN
  size_t first = 0;      ///< the first of them
  double max_error = 0;  ///< largest difference, relative to max(1, |expected|); infinite for NaN against a number
  bool same_bits = true;
};
Comparison compare(attend::io::Element element, std::span<const std::byte> found, std::span<const std::byte> expected,
                   double tolerance);

}  // namespace ptxsim::tool
