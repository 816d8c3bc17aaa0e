// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "sim/tests/kernels/kernels.hpp"

namespace ptxsim::test {
namespace {

using kernel_files = Compiled;

TEST_F(kernel_files, parse_with_nothing_unsupported) {
  int files = 0;
  for (const auto& file : std::filesystem::directory_iterator(KERNEL_PTX_FOLDER)) {
    if (file.path().extension() != ".ptx") continue;
    const Result<Module> module = Module::from_file(file.path());
    EXPECT_TRUE(module.ok()) << file.path() << ": " << module.status().message();
    EXPECT_TRUE(!module.ok() || !module->entries().empty()) << file.path();
    ++files;
  }
  EXPECT_GE(files, 10);
}

TEST_F(kernel_files, entries_know_their_shape) {
  const Result<EntryInfo> pair = kernels("copy_ring").entry("pair4_none");
  ASSERT_TRUE(pair.ok()) << pair.status().message();
  EXPECT_EQ(pair->required_cluster, (Dim3{2, 1, 1}));
  EXPECT_TRUE(pair->uses_dynamic_shared);
  EXPECT_EQ(pair->static_shared_bytes, 64U);
  const Result<EntryInfo> large = kernels("specialised").entry("specialised_4_none");
  ASSERT_TRUE(large.ok()) << large.status().message();
  EXPECT_EQ(large->max_block, (Dim3{384, 1, 1}));
  ASSERT_EQ(large->params.size(), 6U);
  EXPECT_EQ(large->params[1].offset, 128U);
  EXPECT_EQ(large->params[5].offset, 392U);
}

}  // namespace
}  // namespace ptxsim::test
