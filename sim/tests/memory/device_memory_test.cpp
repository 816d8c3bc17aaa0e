// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <numeric>

#include "sim/memory/global.hpp"

namespace ptxsim {
namespace {

TEST(device_memory, blocks_are_aligned_apart_and_poisoned) {
  DeviceMemory memory;
  const uint64_t a = memory.alloc(100, "a"), b = memory.alloc(1, "b");
  EXPECT_EQ(a % 256, 0u);
  EXPECT_EQ(b % 256, 0u);
  EXPECT_GE(b, a + 100 + 1024) << "a red zone lies between them";
  const DeviceMemory::Block* block = memory.find(a, 100);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(block->data[99], std::byte{0xa5});
  EXPECT_EQ(std::accumulate(block->initialised.begin(), block->initialised.end(), 0), 0);
}

TEST(device_memory, a_range_is_found_only_where_all_of_it_lies) {
  DeviceMemory memory;
  const uint64_t a = memory.alloc(64, "a"), b = memory.alloc(64, "b");
  EXPECT_EQ(memory.find(a, 64)->name, "a");
  EXPECT_EQ(memory.find(b + 63, 1)->name, "b");
  EXPECT_EQ(memory.find(a + 63, 2), nullptr);
  EXPECT_EQ(memory.find(a - 1, 1), nullptr);
  EXPECT_EQ(memory.find(a + 64, 1), nullptr);
  EXPECT_EQ(memory.find(a, UINT64_MAX), nullptr);
  EXPECT_EQ(memory.find(0, 4), nullptr);
  EXPECT_EQ(memory.find(UINT64_MAX - 1, 1), nullptr);
}

TEST(device_memory, what_was_freed_is_gone_and_its_address_not_reused) {
  DeviceMemory memory;
  const uint64_t a = memory.alloc(64, "old");
  EXPECT_NE(memory.find(a, 4), nullptr);
  memory.free(a);
  EXPECT_EQ(memory.find(a, 4), nullptr);
  EXPECT_NE(memory.alloc(64, "new"), a);
  EXPECT_NE(memory.describe(a + 8).find("old (64 bytes"), std::string::npos) << memory.describe(a + 8);
  EXPECT_NE(memory.describe(a + 8).find("freed"), std::string::npos);
}

TEST(device_memory, describes_an_address_by_its_neighbour) {
  DeviceMemory memory;
  const uint64_t q = memory.alloc(4096, "q"), k = memory.alloc(512, "k");
  EXPECT_NE(memory.describe(q + 4112).find("16 bytes past the end of q (4096 bytes"), std::string::npos);
  EXPECT_NE(memory.describe(k - 8).find("8 bytes before k (512 bytes"), std::string::npos);
  EXPECT_NE(memory.describe(q + 3).find("byte 3 of q"), std::string::npos);
  EXPECT_NE(memory.describe(16).find("no allocation"), std::string::npos);
}

}  // namespace
}  // namespace ptxsim
