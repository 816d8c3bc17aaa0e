// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

// Small numbers that every element type of matrix instructions holds exactly, and their encodings, written from the
// formats' definitions and not from the simulator's conversions.
namespace ptxsim::test {

inline uint32_t element_bytes(const std::string& type) {
  return type == "f64" ? 8 : type == "f32" || type == "tf32" || type == "s32" ? 4 : type.ends_with("16") ? 2 : 1;
}

/// Of a number with at most 3 significant bits, 2^-4 to 2^4 in size, in a float format: sign, exponent, fraction.
inline uint64_t encode_float(double value, int exponent_bits, int fraction_bits) {
  const uint64_t sign = std::signbit(value) ? uint64_t{1} << (exponent_bits + fraction_bits) : 0;
  if (value == 0) return sign;
  int exponent = 0;
  const double fraction = std::frexp(std::fabs(value), &exponent) * 2 - 1;  // value = (1 + fraction) 2^(exponent - 1)
  const int bias = (1 << (exponent_bits - 1)) - 1;
  return sign | static_cast<uint64_t>(exponent - 1 + bias) << fraction_bits |
         static_cast<uint64_t>(std::ldexp(fraction, fraction_bits));
}

inline uint64_t encode(const std::string& type, double value) {
  if (type == "f64") return encode_float(value, 11, 52);
  if (type == "f32" || type == "tf32") return encode_float(value, 8, 23);
  if (type == "f16") return encode_float(value, 5, 10);
  if (type == "bf16") return encode_float(value, 8, 7);
  if (type == "e4m3") return encode_float(value, 4, 3);
  if (type == "e5m2") return encode_float(value, 5, 2);
  const auto integer = static_cast<int64_t>(value);
  return static_cast<uint64_t>(integer) & (type == "s32" ? 0xffffffffu : 0xffu);
}

/// Of an accumulator element, whose values may have more bits.
inline double decode(const std::string& type, uint64_t bits) {
  if (type == "s32") return static_cast<int32_t>(bits);
  const int exponent_bits = type == "f64" ? 11 : type == "f16" ? 5 : 8;
  const int fraction_bits = type == "f64" ? 52 : type == "f16" ? 10 : 23;
  const uint64_t fraction = bits & ((uint64_t{1} << fraction_bits) - 1);
  const int exponent = static_cast<int>(bits >> fraction_bits & ((uint64_t{1} << exponent_bits) - 1));
  const double sign = (bits >> (exponent_bits + fraction_bits) & 1) != 0 ? -1 : 1;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  if (exponent == (1 << exponent_bits) - 1) return fraction != 0 ? std::nan("") : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(static_cast<double>(fraction), 1 - bias - fraction_bits);
  return sign * std::ldexp(1 + std::ldexp(static_cast<double>(fraction), -fraction_bits), exponent - bias);
}

/// A matrix of numbers that a type holds exactly: quarters in floats, whole in integers.
struct Matrix {
  uint32_t rows, columns;
  std::vector<double> values;
  Matrix(uint32_t rows_of, uint32_t columns_of) : rows(rows_of), columns(columns_of), values(size_t{rows} * columns) {}
  double& at(uint32_t row, uint32_t column) { return values[size_t{row} * columns + column]; }
  double at(uint32_t row, uint32_t column) const { return values[size_t{row} * columns + column]; }
};

inline Matrix random_matrix(uint32_t rows, uint32_t columns, const std::string& type, std::mt19937& random) {
  Matrix out(rows, columns);
  constexpr double kNumbers[] = {0, 1, 2, 3, 0.5, 1.5, 0.25, 4};
  for (double& value : out.values) {
    if (type == "u8")
      value = static_cast<double>(random() % 256);
    else if (type == "s8")
      value = static_cast<double>(random() % 256) - 128;
    else if (type == "s32")
      value = static_cast<double>(random() % 2000) - 1000;
    else
      value = (random() % 2 == 0 ? 1 : -1) * kNumbers[random() % 8];
  }
  return out;
}

/// sign * A B + C, exact for numbers of random_matrix.
inline Matrix product(const Matrix& a, const Matrix& b, const Matrix& c, double sign = 1) {
  Matrix d = c;
  for (uint32_t row = 0; row < a.rows; ++row)
    for (uint32_t k = 0; k < a.columns; ++k)
      for (uint32_t column = 0; column < b.columns; ++column)
        d.at(row, column) += sign * a.at(row, k) * b.at(k, column);
  return d;
}

}  // namespace ptxsim::test
