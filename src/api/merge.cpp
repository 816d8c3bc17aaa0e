// SPDX-License-Identifier: Apache-2.0
// Public calls that join partial results: checks, and rows over threads.
#include <algorithm>
#include <attend/merge.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/text.hpp"
#include "cpu/merge.hpp"
#include "cpu/parallel.hpp"
#include "ops/argument.hpp"

namespace attend {
namespace {

constexpr int64_t kRowsAtATime = 16;

template <class T>
bool has_elements(const BasicTensor<T>& tensor) {
  return tensor.batch > 0 && tensor.rows > 0 && tensor.heads > 0;
}

template <class T>
Status check_tensor(std::string_view operation, const std::string& name, const BasicTensor<T>& tensor) {
  const struct {
    const char* name;
    int64_t value;
  } sizes[] = {{"batch", tensor.batch}, {"rows", tensor.rows}, {"heads", tensor.heads}};
  for (const auto& size : sizes)
    if (size.value < 0) return wrong(operation, name + "." + size.name, print_number(size.value), "0 or more");
  int64_t elements = 1;
  for (const int64_t size : {tensor.batch, tensor.rows, tensor.heads, tensor.cols})
    if (size > kMaxElements || __builtin_mul_overflow(elements, size, &elements) || elements > kMaxElements)
      return wrong(operation, name, "a tensor of 2^60 elements or more", "fewer");
  if (tensor.cols < 1) return wrong(operation, name + ".cols", print_number(tensor.cols), "1 or more");
  if (dtype_bytes(tensor.dtype) == 0)
    return wrong(operation, name + ".dtype", print_number(static_cast<int64_t>(tensor.dtype)), "f32, f16 or bf16");
  if (tensor.data == nullptr && has_elements(tensor)) return wrong(operation, name + ".data", "null", "a pointer");
  return {};
}

Status check_equal(std::string_view operation, const std::string& name, const char* field, int64_t found,
                   int64_t expected) {
  if (found == expected) return {};
  return wrong(operation, name + "." + field, print_number(found), print_number(expected) + " (= o." + field + ")");
}

Status check_options(std::string_view operation, const MergeOptions& options) {
  if (options.threads < 0) return wrong(operation, "options.threads", print_number(options.threads), "0 or more");
  if (options.executor != nullptr && (options.executor->parallel == nullptr || options.executor->workers < 1))
    return wrong(operation, "options.executor",
                 options.executor->parallel == nullptr ? "without a function"
                                                       : "of " + print_number(options.executor->workers) + " workers",
                 "a function and at least 1 worker");
  return {};
}

int threads_of(const MergeOptions& options) {
  if (options.threads > 0) return options.threads;
  return options.executor != nullptr ? options.executor->workers : cpu::default_threads();
}

template <class T>
auto* row_of(const BasicTensor<T>& tensor, int64_t n, int64_t row, int64_t head) {
  const int64_t offset = n * tensor.strides.batch + row * tensor.strides.row + head * tensor.strides.head;
  using Byte = std::conditional_t<std::is_const_v<T>, const std::byte, std::byte>;
  return static_cast<Byte*>(tensor.data) + offset * dtype_bytes(tensor.dtype);
}

/// Calls body(n, row, head) for all rows of o.
template <class Body>
void for_each_row(const Tensor& o, const MergeOptions& options, const Body& body) {
  const int64_t rows = o.batch * o.rows * o.heads;
  cpu::parallel_for(options.executor, threads_of(options), (rows + kRowsAtATime - 1) / kRowsAtATime,
                    [&](int64_t block, int) {
                      for (int64_t i = block * kRowsAtATime; i < std::min(rows, (block + 1) * kRowsAtATime); ++i)
                        body(i / (o.rows * o.heads), i / o.heads % o.rows, i % o.heads);
                    });
}

}  // namespace

Status merge(std::span<const PartialResult> parts, const Tensor& o, float* lse, const MergeOptions& options) {
  constexpr std::string_view kOperation = "merge";
  if (Status status = check_tensor(kOperation, "o", o); !status.ok()) return status;
  if (Status status = check_options(kOperation, options); !status.ok()) return status;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string name = "parts[" + std::to_string(i) + "]";
    const ConstTensor& part = parts[i].o;
    if (Status status = check_tensor(kOperation, name + ".o", part); !status.ok()) return status;
    const struct {
      const char* field;
      int64_t found, expected;
    } equal[] = {{"batch", part.batch, o.batch},
                 {"rows", part.rows, o.rows},
                 {"heads", part.heads, o.heads},
                 {"cols", part.cols, o.cols}};
    for (const auto& each : equal)
      if (Status status = check_equal(kOperation, name + ".o", each.field, each.found, each.expected); !status.ok())
        return status;
    if (parts[i].lse == nullptr && has_elements(o))
      return wrong(kOperation, name + ".lse", "null", "a pointer: without it the parts have no weights");
  }
  struct Row {
    std::span<const PartialResult> parts;
    int64_t n, row, head, lse;
  };
  for_each_row(o, options, [&](int64_t n, int64_t row, int64_t head) {
    const Row here{parts, n, row, head, (n * o.heads + head) * o.rows + row};
    const cpu::MergeParts found{static_cast<int64_t>(parts.size()),
                                [](const void* self, int64_t i) -> cpu::MergePart {
                                  const Row& at = *static_cast<const Row*>(self);
                                  const PartialResult& part = at.parts[static_cast<size_t>(i)];
                                  return {row_of(part.o, at.n, at.row, at.head), part.o.dtype, part.lse[at.lse]};
                                },
                                &here};
    const float merged = cpu::merge_row(found, row_of(o, n, row, head), o.dtype, o.cols);
    if (lse != nullptr) lse[here.lse] = merged;
  });
  return {};
}

Status merge_ragged(const ConstTensor& parts, const float* parts_lse, const Offsets& cu_parts, const Tensor& o,
                    float* lse, const MergeOptions& options) {
  constexpr std::string_view kOperation = "merge_ragged";
  if (Status status = check_tensor(kOperation, "o", o); !status.ok()) return status;
  if (Status status = check_tensor(kOperation, "parts", parts); !status.ok()) return status;
  if (Status status = check_options(kOperation, options); !status.ok()) return status;
  for (const auto& [name, batch] : {std::pair{"o", o.batch}, std::pair{"parts", parts.batch}})
    if (batch != 1) return wrong(kOperation, std::string(name) + ".batch", print_number(batch), "1");
  if (Status status = check_equal(kOperation, "parts", "heads", parts.heads, o.heads); !status.ok()) return status;
  if (Status status = check_equal(kOperation, "parts", "cols", parts.cols, o.cols); !status.ok()) return status;
  if (cu_parts.size() != o.rows + 1)
    return wrong(kOperation, "cu_parts.size", print_number(cu_parts.size()),
                 print_number(o.rows + 1) + " (= o.rows + 1)");
  if (cu_parts[0] != 0) return wrong(kOperation, "cu_parts[0]", print_number(cu_parts[0]), "0");
  for (int64_t row = 0; row < o.rows; ++row)
    if (cu_parts[row + 1] < cu_parts[row])
      return wrong(kOperation, "cu_parts[" + std::to_string(row + 1) + "]", print_number(cu_parts[row + 1]),
                   "at least " + print_number(cu_parts[row]) + ", the number before it");
  if (cu_parts[o.rows] != parts.rows)
    return wrong(kOperation, "parts.rows", print_number(parts.rows),
                 print_number(cu_parts[o.rows]) + " (= the last of cu_parts)");
  if (parts_lse == nullptr && has_elements(parts)) return wrong(kOperation, "parts_lse", "null", "a pointer");
  struct Row {
    const ConstTensor& parts;
    const float* lse;
    int64_t first, head;
  };
  for_each_row(o, options, [&](int64_t, int64_t row, int64_t head) {
    const Row here{parts, parts_lse, cu_parts[row], head};
    const cpu::MergeParts found{
        cu_parts[row + 1] - cu_parts[row],
        [](const void* self, int64_t i) -> cpu::MergePart {
          const Row& at = *static_cast<const Row*>(self);
          const int64_t part = at.first + i;
          return {row_of(at.parts, 0, part, at.head), at.parts.dtype, at.lse[part * at.parts.heads + at.head]};
        },
        &here};
    const float merged = cpu::merge_row(found, row_of(o, 0, row, head), o.dtype, o.cols);
    if (lse != nullptr) lse[row * o.heads + head] = merged;
  });
  return {};
}

}  // namespace attend
