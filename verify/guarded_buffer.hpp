// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>

namespace attend::verify {

/// Zeroed memory of its own pages. With a guard its last byte is followed by an unreadable page, so that one element
/// too far faults; its start is then only as aligned as its size is. Pages that nobody touches cost nothing, so a
/// region may be far larger than the machine's memory. Throws std::bad_alloc.
class GuardedBuffer {
 public:
  GuardedBuffer() = default;
  GuardedBuffer(size_t bytes, bool guard);
  GuardedBuffer(GuardedBuffer&& other) noexcept { swap(other); }
  GuardedBuffer& operator=(GuardedBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~GuardedBuffer();

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  /// Readable bytes before data(), up to a page.
  size_t lead() const { return static_cast<size_t>(data_ - base_); }

 private:
  void swap(GuardedBuffer& other) noexcept;

  std::byte* base_ = nullptr;
  std::byte* data_ = nullptr;
  size_t mapped_ = 0, size_ = 0;
};

}  // namespace attend::verify
