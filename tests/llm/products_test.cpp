// SPDX-License-Identifier: Apache-2.0
// Products with weights as a file has them, for every type of tensor and every instruction set of this CPU.
#include "examples/llm/products.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "examples/llm/row_products.hpp"
#include "llm/gguf_bytes.hpp"

namespace llm::test {
namespace {

struct TypeRow {
  TensorType type;
  int64_t elements, bytes;
};
constexpr TypeRow kTypes[] = {
#define LLM_TENSOR_TYPE(name, id, elements, bytes) {TensorType::name, elements, bytes},
#include "examples/llm/tensor_types.def"
};

/// Where a block has f16 numbers.
std::vector<size_t> halves(TensorType type) {
  switch (type) {
    case TensorType::Q4_1:
    case TensorType::Q4_K: return {0, 2};
    case TensorType::Q6_K: return {208};
    case TensorType::F32:
    case TensorType::BF16: return {};
    default: return {0};
  }
}

/// Blocks of random bits, with numbers from 2^-24 to 2^4 where they are floating-point.
std::string random_blocks(const TypeRow& row, int64_t blocks, std::mt19937_64& random) {
  std::string out;
  for (int64_t i = 0; i < blocks; ++i) {
    std::string block;
    while (block.size() < static_cast<size_t>(row.bytes)) block += static_cast<char>(random());
    const float number = std::ldexp(static_cast<float>(random() % 2001) - 1000, -static_cast<int>(random() % 10) - 10);
    if (row.type == TensorType::F32) block = raw(number);
    if (row.type == TensorType::BF16) block = raw(static_cast<uint16_t>(std::bit_cast<uint32_t>(number) >> 16));
    for (const size_t at : halves(row.type))
      block.replace(at, 2, raw(static_cast<uint16_t>((random() & 0x8000) | random() % 0x4c00)));
    out += block;
  }
  return out;
}

struct Case {
  std::string name, bytes;
  Tensor weights;
  std::vector<float> decoded, x;
  int64_t count = 0;

  Case(const TypeRow& row, int64_t rows, int64_t least_columns, int64_t x_rows) : count(x_rows) {
    std::mt19937_64 random(static_cast<uint64_t>(row.type) * 1000 + static_cast<uint64_t>(least_columns));
    const int64_t blocks = (least_columns + row.elements - 1) / row.elements, columns = blocks * row.elements;
    bytes = random_blocks(row, rows * blocks, random);
    weights = {"w", row.type, rows, columns, std::as_bytes(std::span(bytes))};
    name = std::string(type_name(row.type)) + " " + std::to_string(rows) + " x " + std::to_string(columns) + ", " +
           std::to_string(count) + " rows of x";
    decoded.resize(static_cast<size_t>(rows * columns));
    dequantise(row.type, weights.data, decoded.data());
    std::normal_distribution<float> normal(0, 1);
    for (int64_t i = 0; i < count * columns; ++i) x.push_back(normal(random));
  }

  /// A sum of n products, each rounded and added in any order, is within n u sum |w x| of the exact one, n u < 0.01
  /// (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1; 1 % more for its second order).
  void expect_near(float found, int64_t row, int64_t i) const {
    double exact = 0, size = 0;
    for (int64_t c = 0; c < weights.columns; ++c) {
      const double product = double{decoded[row * weights.columns + c]} * x[i * weights.columns + c];
      exact += product;
      size += std::fabs(product);
    }
    const double bound = 1.01 * static_cast<double>(weights.columns) * 0x1p-24 * size + 0x1p-126;
    ASSERT_LE(std::fabs(found - exact), bound) << name << ": row " << row << " of weights, " << i << " of x";
  }
};

TEST(RowProducts, decoded_rows_are_dequantised_ones) {
  for (const TypeRow& type : kTypes)
    for (const int64_t columns : {1, 31, 64, 577}) {
      const Case c(type, 5, columns, 0);
      for (const RowProducts* each : all_row_products())
        for (int64_t row = 0; row < 5; ++row) {
          std::vector<float> out(static_cast<size_t>(c.weights.columns + 1), 7.0F);
          each->decode(type.type, c.weights.row(row), c.weights.columns, out.data());
          EXPECT_EQ(out.back(), 7.0F) << "past the end";
          EXPECT_EQ(std::memcmp(out.data(), c.decoded.data() + row * c.weights.columns,
                                static_cast<size_t>(c.weights.columns) * sizeof(float)),
                    0)
              << each->name << " " << c.name;
        }
    }
}

TEST(RowProducts, products_are_within_their_bound) {
  for (const TypeRow& type : kTypes)
    for (const int64_t columns : {1, 31, 64, 577})
      for (int count = 1; count <= kMostProducts; ++count) {
        const Case c(type, 3, columns, count);
        for (const RowProducts* each : all_row_products())
          for (int64_t row = 0; row < 3; ++row) {
            SCOPED_TRACE(each->name);
            std::vector<float> room(static_cast<size_t>(c.weights.columns)), y(13, 7.0F);
            each->multiply(type.type, c.weights.row(row), c.weights.columns, c.x.data(), count, y.data(), 3,
                           room.data());
            for (int i = 0; i < 13; ++i) {
              if (i % 3 == 0 && i < 3 * count) {
                c.expect_near(y[i], row, i / 3);
              } else {
                EXPECT_EQ(y[i], 7.0F) << "not asked for";
              }
            }
          }
      }
}

/// 600 rows are more than a panel. Some counts are of the few rows that are multiplied with the file's bytes, some of
/// the many for which panels are decoded.
TEST(Products, any_number_of_threads_gives_the_same_bits) {
  for (const TypeRow& type : kTypes)
    for (const int64_t count : {0, 1, 4, 5, 8, 9, 33}) {
      const Case c(type, 600, 130, count);
      std::vector<float> first;
      for (const int threads : {1, 2, 3, 7}) {
        Products products;
        products.set_threads(threads);
        std::vector<float> y(static_cast<size_t>(count * 600));
        products.multiply(c.x.data(), count, c.weights, y.data());
        if (threads == 1) first = y;
        EXPECT_TRUE(y.empty() || std::memcmp(y.data(), first.data(), y.size() * sizeof(float)) == 0)
            << c.name << ", " << threads << " threads";
      }
      for (int64_t i = 0; i < count; ++i)
        for (int64_t row = 0; row < 600; row += 13) c.expect_near(first[i * 600 + row], row, i);
    }
}

TEST(Products, multiply_alike_gives_a_row_the_bits_that_it_has_alone) {
  for (const TypeRow& type : kTypes)
    for (const int64_t columns : {1, 48, 384}) {
      const Case c(type, 150, columns, 33);
      Products alone, together;
      alone.set_threads(1);
      together.set_threads(3);
      std::vector<float> expected(33 * 150);
      for (int64_t i = 0; i < 33; ++i)
        alone.multiply(c.x.data() + i * c.weights.columns, 1, c.weights, expected.data() + i * 150);
      for (const int64_t first : {0, 1, 2, 3, 11, 32}) {
        std::vector<float> y(static_cast<size_t>((33 - first) * 150));
        together.multiply_alike(c.x.data() + first * c.weights.columns, 33 - first, c.weights, y.data());
        EXPECT_EQ(std::memcmp(y.data(), expected.data() + first * 150, y.size() * sizeof(float)), 0)
            << c.name << ", from row " << first << " on";
      }
      for (int64_t row = 0; row < 150; row += 13) c.expect_near(expected[32 * 150 + row], row, 32);
    }
}

/// As multiply_alike() needs it of every instruction set.
TEST(RowProducts, a_product_has_the_same_bits_beside_any_others) {
  for (const TypeRow& type : kTypes)
    for (const int64_t columns : {1, 31, 48, 577}) {
      const Case c(type, 1, columns, kMostProducts);
      for (const RowProducts* each : all_row_products()) {
        std::vector<float> room(static_cast<size_t>(c.weights.columns)), alone(kMostProducts), beside(kMostProducts);
        for (int i = 0; i < kMostProducts; ++i)
          each->multiply(type.type, c.weights.row(0), c.weights.columns, c.x.data() + i * c.weights.columns, 1,
                         alone.data() + i, 1, room.data());
        for (int first = 0; first < kMostProducts; ++first)
          for (int count = 1; first + count <= kMostProducts; ++count) {
            each->multiply(type.type, c.weights.row(0), c.weights.columns, c.x.data() + first * c.weights.columns,
                           count, beside.data(), 1, room.data());
            EXPECT_EQ(std::memcmp(beside.data(), alone.data() + first, static_cast<size_t>(count) * sizeof(float)), 0)
                << each->name << " " << c.name << ", " << count << " from " << first << " on";
          }
      }
    }
}

TEST(Products, nothing_is_multiplied_with_nothing) {
  Products products;
  products.set_threads(2);
  const Tensor none{"w", TensorType::F32, 0, 8, {}};
  std::vector<float> x(20 * 8), y(1, 7.0F);
  products.multiply(x.data(), 20, none, y.data());
  products.multiply(x.data(), 1, none, y.data());
  products.multiply_alike(x.data(), 20, none, y.data());
  products.multiply_alike(x.data(), 0, {"w", TensorType::F32, 1, 8, std::as_bytes(std::span(x)).first(32)}, y.data());
  EXPECT_EQ(y[0], 7.0F);
}

}  // namespace
}  // namespace llm::test
