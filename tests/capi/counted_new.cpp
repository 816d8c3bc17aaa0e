// SPDX-License-Identifier: Apache-2.0
#include "counted_new.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

thread_local int64_t allocations = 0;
thread_local int64_t until_failure = -1;

void* counted(size_t size, size_t alignment) noexcept {
  ++allocations;
  if (until_failure >= 0 && until_failure-- == 0) return nullptr;
  const size_t rounded = (size + alignment - 1) / alignment * alignment;
  if (rounded < size) return nullptr;
  return std::aligned_alloc(alignment, rounded > 0 ? rounded : alignment);
}

void* counted_or_throw(size_t size, size_t alignment) {
  if (void* memory = counted(size, alignment)) return memory;
  throw std::bad_alloc();
}

constexpr size_t kUsual = alignof(std::max_align_t);

}  // namespace

int64_t allocations_of_this_thread() { return allocations; }
void fail_allocation(int64_t after) { until_failure = after; }

// In a file of its own, since g++ warns of a free() that it can see beside a replaceable operator new. The whole
// family: a sanitizer pairs its own forms with each other.
void* operator new(size_t size) { return counted_or_throw(size, kUsual); }
void* operator new[](size_t size) { return counted_or_throw(size, kUsual); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return counted(size, kUsual); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return counted(size, kUsual); }
void* operator new(size_t size, std::align_val_t at) { return counted_or_throw(size, static_cast<size_t>(at)); }
void* operator new[](size_t size, std::align_val_t at) { return counted_or_throw(size, static_cast<size_t>(at)); }
void* operator new(size_t size, std::align_val_t at, const std::nothrow_t&) noexcept {
  return counted(size, static_cast<size_t>(at));
}
void* operator new[](size_t size, std::align_val_t at, const std::nothrow_t&) noexcept {
  return counted(size, static_cast<size_t>(at));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept { std::free(memory); }
