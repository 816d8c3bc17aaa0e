// SPDX-License-Identifier: Apache-2.0
#include "guarded_buffer.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <new>
#include <utility>

namespace attend::verify {

GuardedBuffer::GuardedBuffer(size_t bytes, bool guard) : size_(bytes) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t used = (bytes + page - 1) / page * page;
  if (used < bytes) throw std::bad_alloc();
  mapped_ = used + page;  // without a guard too, so that an empty buffer has an address
  void* memory = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  base_ = data_ = static_cast<std::byte*>(memory);
  if (!guard) return;
  if (::mprotect(base_ + used, page, PROT_NONE) != 0) {
    ::munmap(base_, mapped_);
    throw std::bad_alloc();
  }
  data_ = base_ + (used - bytes);
}

GuardedBuffer::~GuardedBuffer() {
  if (base_ != nullptr) ::munmap(base_, mapped_);
}

void GuardedBuffer::swap(GuardedBuffer& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(data_, other.data_);
  std::swap(mapped_, other.mapped_);
  std::swap(size_, other.size_);
}

}  // namespace attend::verify
