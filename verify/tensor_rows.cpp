// SPDX-License-Identifier: Apache-2.0
#include "tensor_rows.hpp"

#include <vector>

namespace attend::verify {
namespace {

/// Gaps of a buffer larger than this stay zero.
constexpr int64_t kLargestPoisonedBytes = int64_t{1} << 30;

}  // namespace

bool is_sparse(const GuardedBuffer& buffer) { return static_cast<int64_t>(buffer.size()) > kLargestPoisonedBytes; }

void fill_buffer(const GuardedBuffer& buffer, DType type, uint32_t bits) {
  const int64_t lead = static_cast<int64_t>(buffer.lead()) / dtype_bytes(type);
  const int64_t count = static_cast<int64_t>(buffer.size()) / dtype_bytes(type);
  for (int64_t i = -lead; i < count; ++i) set_element_bits(type, buffer.data(), i, bits);
}

void poison_rows(const GuardedBuffer& buffer, DType type, const TensorRows& rows) {
  if (!is_sparse(buffer)) return fill_buffer(buffer, type, output_poison(type));
  rows.for_each([&](int64_t, int64_t, int64_t, int64_t offset) {
    for (int64_t c = 0; c < rows.columns; ++c) set_element_bits(type, buffer.data(), offset + c, output_poison(type));
  });
}

std::string row_fault(const GuardedBuffer& buffer, DType type, const TensorRows& rows, const std::string& name) {
  const auto written = [&](int64_t i) { return element_bits(type, buffer.data(), i) != output_poison(type); };
  std::string fault;
  std::vector<bool> in_row(is_sparse(buffer) ? 0 : buffer.size() / static_cast<size_t>(dtype_bytes(type)));
  rows.for_each([&](int64_t n, int64_t head, int64_t row, int64_t offset) {
    for (int64_t c = 0; c < rows.columns; ++c) {
      if (!in_row.empty()) in_row[static_cast<size_t>(offset + c)] = true;
      if (!fault.empty() || written(offset + c)) continue;
      fault = name + "[batch " + std::to_string(n) + ", row " + std::to_string(row) + ", head " + std::to_string(head) +
              ", column " + std::to_string(c) + "] was not written";
    }
  });
  const int64_t lead = in_row.empty() ? 0 : static_cast<int64_t>(buffer.lead()) / dtype_bytes(type);
  for (int64_t i = -lead; i < static_cast<int64_t>(in_row.size()) && fault.empty(); ++i) {
    if ((i < 0 || !in_row[static_cast<size_t>(i)]) && written(i))
      fault = "element " + std::to_string(i) + " of " + name + " lies in no row and was written";
  }
  return fault;
}

std::string list_fault(const GuardedBuffer& buffer, const std::string& name) {
  const int64_t count = static_cast<int64_t>(buffer.size() / sizeof(float));
  for (int64_t i = 0; i < count; ++i) {
    if (element_bits(DType::f32, buffer.data(), i) == output_poison(DType::f32))
      return name + "[" + std::to_string(i) + "] was not written";
  }
  return {};
}

}  // namespace attend::verify
