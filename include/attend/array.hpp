// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace attend {

/// A read-only list of numbers that a Problem refers to: either a view of the caller's memory, which must then outlive
/// every use of the Problem, or shared ownership of a vector. A list that was made from a recipe in the text form
/// (`random:0.25:7`) remembers it, so that printing a Problem gives back the line it came from.
template <class T>
class Array {
 public:
  Array() = default;
  Array(std::vector<T> values, std::string recipe = {})  // NOLINT: a vector is a list
      : owner_(std::make_shared<const std::vector<T>>(std::move(values))),
        data_(owner_->data()),
        size_(static_cast<int64_t>(owner_->size())),
        recipe_(std::move(recipe)) {}
  static Array view(const T* data, int64_t size) {
    Array array;
    array.data_ = data;
    array.size_ = size;
    return array;
  }

  const T* data() const { return data_; }
  int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T& operator[](int64_t i) const { return data_[i]; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  /// Text that makes this list again, or empty when the elements themselves are the text.
  const std::string& recipe() const { return recipe_; }

 private:
  std::shared_ptr<const std::vector<T>> owner_;
  const T* data_ = nullptr;
  int64_t size_ = 0;
  std::string recipe_;
};

/// Cumulative lengths, int32 or int64 as the caller has them: b + 1 numbers, the first 0, never falling.
class Offsets {
 public:
  Offsets() = default;
  Offsets(Array<int32_t> values) : narrow_(std::move(values)) {}  // NOLINT: either width is accepted
  Offsets(Array<int64_t> values) : wide_(std::move(values)) {}    // NOLINT
  int64_t size() const { return narrow_.size() + wide_.size(); }
  bool empty() const { return size() == 0; }
  int64_t operator[](int64_t i) const { return narrow_.empty() ? wide_[i] : narrow_[i]; }
  /// Whether the numbers are held as int64.
  bool is_wide() const { return !wide_.empty(); }
  /// The numbers as they are held; the other one is empty.
  const Array<int32_t>& narrow() const { return narrow_; }
  const Array<int64_t>& wide() const { return wide_; }

 private:
  Array<int32_t> narrow_;
  Array<int64_t> wide_;
};

}  // namespace attend
