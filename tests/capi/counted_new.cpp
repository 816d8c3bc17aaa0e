// SPDX-License-Identifier: Apache-2.0
#include "counted_new.hpp"

#include <cstdlib>
#include <new>

namespace {
thread_local int64_t allocations = 0;
}  // namespace

int64_t allocations_of_this_thread() { return allocations; }

// In a file of its own, since g++ warns of a free() that it can see beside a replaceable operator new.
void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
