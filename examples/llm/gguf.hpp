// SPDX-License-Identifier: Apache-2.0
// Reader of GGUF files, version 3: metadata and tensors, of a file that is mapped, never copied.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "error.hpp"

namespace llm {

enum class TensorType : uint32_t {
#define LLM_TENSOR_TYPE(name, id, elements, bytes) name = id,
#include "tensor_types.def"
};

/// "Q4_1": as in tensor_types.def.
const char* type_name(TensorType type);

/// A tensor as it lies in the file: `rows` rows of `columns` elements (GGUF's first dimension), each row whole blocks.
struct Tensor {
  std::string name;
  TensorType type{};
  int64_t rows = 0, columns = 0;
  std::span<const std::byte> data;

  int64_t row_bytes() const;
  std::span<const std::byte> row(int64_t index) const {
    return data.subspan(static_cast<size_t>(index * row_bytes()), static_cast<size_t>(row_bytes()));
  }
};

/// The `columns` elements of one row in f32. `row` is what Tensor::row() says.
void dequantise(TensorType type, std::span<const std::byte> row, float* out);

class Gguf {
 public:
  /// Maps the file, which nobody may shorten while it is read. Throws Error naming file, field, found and expected for
  /// whatever is not a whole GGUF v3 file: truncated, overlapping, unknown types, sizes that overflow, offsets that are
  /// not aligned.
  static Gguf open(const std::string& path);
  /// The same of bytes that outlive it; `name` is what errors call them.
  static Gguf parse(std::span<const std::byte> bytes, const std::string& name);

  /// Values of metadata, by key. Throws Error when the key is missing or of another kind; `otherwise` for a missing
  /// one.
  int64_t integer(const std::string& key) const;
  int64_t integer(const std::string& key, int64_t otherwise) const;
  double real(const std::string& key) const;
  double real(const std::string& key, double otherwise) const;
  bool boolean(const std::string& key, bool otherwise) const;
  std::string_view text(const std::string& key) const;
  std::string_view text(const std::string& key, std::string_view otherwise) const;
  const std::vector<std::string_view>& texts(const std::string& key) const;
  const std::vector<int64_t>& integers(const std::string& key) const;
  const std::vector<double>& reals(const std::string& key) const;
  bool has(const std::string& key) const { return metadata_.contains(key); }

  const std::vector<Tensor>& tensors() const { return tensors_; }
  /// Throws Error when there is no such tensor, or it is not [rows][columns]; a vector has 1 row.
  const Tensor& tensor(const std::string& name, int64_t rows, int64_t columns) const;
  bool has_tensor(const std::string& name) const { return by_name_.contains(name); }
  const std::string& name() const { return name_; }
  /// While it lives the file stays mapped, and with it the data of tensors. Null after parse().
  std::shared_ptr<const void> mapping() const { return mapping_; }

  using Value = std::variant<int64_t, double, bool, std::string_view, std::vector<int64_t>, std::vector<double>,
                             std::vector<std::string_view>>;
  const std::map<std::string, Value>& metadata() const { return metadata_; }

 private:
  std::string name_;
  std::shared_ptr<const void> mapping_;  ///< keeps the file mapped
  std::map<std::string, Value> metadata_;
  std::vector<Tensor> tensors_;
  std::map<std::string, size_t> by_name_;
};

}  // namespace llm
