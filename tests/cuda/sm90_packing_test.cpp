// SPDX-License-Identifier: Apache-2.0
// Heads of a group in the rows of one item (kernels/attention_fwd/sm90.cuh, simple.cuh), in the simulator.
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "cuda/context.hpp"
#include "cuda/kernels/attention_fwd/sm90_params.hpp"
#include "sim/launch/simulator_backend.hpp"
#include "simulated.hpp"

namespace attend::cuda {
namespace {

using Sm90Packing = CudaTest;

/// That the plan packs so many heads, and that what it computes is right.
void expect_packed(const std::string& line, int heads, uint64_t seed, bool poison = true) {
  const AttentionFwd problem = problem_of("attention_fwd " + line);
  PlanOptions options;
  options.device = test_device();
  const auto ready = plan(problem, options);
  ASSERT_TRUE(ready.ok()) << ready.status().message();
  ASSERT_TRUE(ready->kernel().starts_with("attention_fwd.sm90.")) << ready->explain();
  const std::string says =
      heads == 1 ? "packing    none, " : "packing    " + std::to_string(heads) + " heads in the rows of an item";
  EXPECT_NE(ready->explain().find(says), std::string::npos) << ready->explain();
  expect_right(problem, seed, poison, 2);
}

std::string heads_of(int group, int key_heads = 2) {
  return "hq=" + std::to_string(group * key_heads) + " hk=" + std::to_string(key_heads) + " ";
}

/// 3 has no power of two in it, 6 has one.
int pack_of(int group) { return group == 3 ? 1 : group == 6 ? 2 : group; }

class GroupsByRows : public CudaTest, public testing::WithParamInterface<int> {};

TEST_P(GroupsByRows, with_masks_and_terms_in_turn) {
  const char* const masks[] = {"", "mask=causal", "mask=causal&window:40:0", "mask=window:20:9",
                               "mask=dense:random:0.3:5"};
  const char* const terms[] = {"", "alibi=1 ", "sink=1 ", "bias=bhq "};
  const int group = GetParam();
  uint64_t seed = static_cast<uint64_t>(group);
  for (const int sq : {1, 2, 7, 16, 17, 64, 130}) {
    ++seed;  // every other one poisons: then blocks are computed again
    const std::string line = heads_of(group, group < 16 ? 2 : 1) + "sq=" + std::to_string(sq) +
                             " sk=170 d=64 dtype=" + (seed % 3 == 0 ? "f16 " : "bf16 ") + "lse=1 " + terms[seed % 4] +
                             masks[seed % 5];
    expect_packed(line, pack_of(group), seed, seed % 2 == 0);
  }
}
INSTANTIATE_TEST_SUITE_P(Sm90Packing, GroupsByRows, testing::Values(2, 3, 4, 6, 8, 16));

TEST_F(Sm90Packing, every_mask) {
  for (const char* size : {"sq=7 ", "sq=70 "}) {
    const AttentionFwd plain =
        problem_of("attention_fwd b=2 hq=8 hk=2 sk=140 d=64 lse=1 dtype=bf16 " + std::string(size));
    for (int kind = 0; kind < static_cast<int>(std::variant_size_v<MaskTerm>) - 1; ++kind)
      expect_right(verify::with_mask(plain, static_cast<MaskKind>(kind), 4), static_cast<uint64_t>(kind),
                   kind % 2 == 0);
  }
}

TEST_F(Sm90Packing, masks_that_differ_between_the_heads_of_a_group) {
  uint64_t seed = 50;
  for (const char* mask : {"dense:random:0.5:3:perhead", "block_sparse:16x24:random:0.6:5:perhead",
                           "dense:random:0.1:9:perbatch:perhead&causal"})
    for (const int group : {2, 4, 8})
      expect_packed(heads_of(group) + "b=2 sq=9 sk=150 d=64 dtype=f16 lse=1 mask=" + mask, group, ++seed);
}

TEST_F(Sm90Packing, intersections_of_masks) {
  uint64_t seed = 60;
  for (const char* mask : {"causal&window:100:0", "causal&documents:0,30,64,200", "causal&tree:40:random:3",
                           "window:64:64&padding:random:3&causal_top_left"})
    expect_packed(heads_of(4) + "sq=40 sk=200 d=128 dtype=bf16 lse=1 mask=" + mask, 4, ++seed);
}

TEST_F(Sm90Packing, every_term_is_the_head_s_own) {
  uint64_t seed = 70;
  for (const char* terms : {"alibi=batch", "sink=1", "bias=bhq", "bias=h", "softcap=20 alibi=1 bias=hq sink=1"})
    for (const int group : {4, 16})
      expect_packed(heads_of(group, 1) + "b=2 sq=5 sk=140 d=64 dtype=bf16 lse=1 mask=causal " + terms, group, ++seed);
}

TEST_F(Sm90Packing, ragged_batches_with_empty_members) {
  for (const int group : {2, 4, 8, 16})
    expect_packed(
        heads_of(group, 1) + "b=5 d=64 dtype=bf16 layout=thd lse=1 sink=1 mask=causal sq=3,0,1,40,9 sk=128,12,0,161,4",
        group, static_cast<uint64_t>(group));
}

TEST_F(Sm90Packing, rows_without_a_key) {
  expect_packed(heads_of(4) + "sq=5 sk=0 d=64 dtype=bf16 lse=1", 4, 1);
  expect_packed(heads_of(4) + "sq=5 sk=0 d=64 dtype=bf16 lse=1 sink=1", 4, 2);
  expect_packed(heads_of(8) + "sq=60 sk=20 d=64 dtype=f16 lse=1 mask=causal", 8, 3);
}

TEST_F(Sm90Packing, layouts_and_sizes_of_heads) {
  uint64_t seed = 80;
  for (const char* layout : {"bshd", "bhsd"})
    for (const char* columns : {"d=96", "d=128 dv=64", "d=192 dv=128", "d=192", "d=256", "d=40"})
      expect_packed(heads_of(4) + "b=2 sq=13 sk=100 dtype=bf16 mask=causal layout=" + layout + " " + columns, 4,
                    ++seed);
}

TEST_F(Sm90Packing, three_consumer_warpgroups_and_no_overlap) {
  for (const char* kernel : {"attention_fwd.sm90.bf16.d64.192x64", "attention_fwd.sm90.bf16.d128.no_overlap"})
    expect_right(problem_of("attention_fwd hq=16 hk=2 sq=30 sk=200 d=64 dtype=bf16 lse=1 mask=causal"), 5, true, 1,
                 kernel);
}

TEST_F(Sm90Packing, blocks_that_are_computed_again_hold_several_heads) {
  // Values that some heads see and others do not: the simple kernel takes the warp's 16 rows of all heads.
  const AttentionFwd problem = problem_of(
      "attention_fwd hq=8 hk=2 sq=11 sk=140 d=64 dtype=bf16 lse=1 alibi=1 bias=hq sink=1 "
      "mask=dense:random:0.5:11:perhead");
  const verify::Inputs inputs = verify::Inputs::make(problem);
  auto* v = static_cast<uint16_t*>(inputs.data(2));
  for (const int64_t key : {3, 77, 139}) v[problem.v_offset(0, key, 1) + 5] = key == 77 ? 0x7f80 : 0x7fc0;
  PlanOptions options;
  options.device = test_device();
  const auto ready = plan(problem, options);
  ASSERT_TRUE(ready.ok());
  EXPECT_NE(ready->explain().find("packing    4 heads"), std::string::npos) << ready->explain();
  const Status status = verify::run_on_device(*ready, options.device, inputs);
  ASSERT_TRUE(status.ok()) << status.message();
  const Comparison comparison = compare_with_reference(problem, inputs.args(), ready->arithmetic());
  EXPECT_TRUE(comparison.first_failure.empty()) << comparison.first_failure;
}

TEST_F(Sm90Packing, one_block_takes_many_items) {
  expect_right(problem_of("attention_fwd b=3 hq=8 hk=4 sq=130 sk=300 d=64 dtype=bf16 mask=causal lse=1"), 7, true, 1);
}

enum class Fault { none, heads_per_row, head_stride, row_stride, box };

/// Tells the kernel, or the copy engine, something else about packs than the lists say.
class FaultyBackend : public ptxsim::SimulatorBackend {
 public:
  explicit FaultyBackend(Fault fault) : fault_(fault) {}
  Status launch(KernelHandle kernel, const LaunchConfig& config, std::span<const std::byte> params) override {
    using attention_fwd::Sm90Params;
    std::vector<std::byte> changed(params.begin(), params.end());
    if (fault_ == Fault::heads_per_row && params.size() == sizeof(Sm90Params))
      reinterpret_cast<Sm90Params*>(changed.data())->common.pack_shift = 1;
    return SimulatorBackend::launch(kernel, config, changed);
  }
  Result<TensorMap> encode_tiled(const TiledDesc& desc) override {
    TiledDesc changed = desc;
    if (desc.rank == 5) {
      if (fault_ == Fault::head_stride) changed.stride_bytes[0] *= 2;
      if (fault_ == Fault::row_stride) changed.stride_bytes[1] *= 2;
      if (fault_ == Fault::box) std::swap(changed.box[1], changed.box[2]);
    }
    return SimulatorBackend::encode_tiled(changed);
  }

 private:
  Fault fault_;
};

TEST_F(Sm90Packing, faults_are_noticed) {
  if (on_cuda_device()) GTEST_SKIP() << kSimulatorOnly;
  const AttentionFwd problem = problem_of("attention_fwd hq=8 hk=2 sq=10 sk=140 d=64 dtype=bf16 lse=1 mask=causal");
  for (const Fault fault : {Fault::none, Fault::heads_per_row, Fault::head_stride, Fault::row_stride, Fault::box}) {
    const verify::Inputs inputs = verify::Inputs::make(problem);
    PlanOptions options;
    options.device = make_device(std::make_unique<FaultyBackend>(fault));
    const auto ready = plan(problem, options);
    ASSERT_TRUE(ready.ok());
    Status status = verify::run_on_device(*ready, options.device, inputs);
    const bool right = status.ok() && inputs.output_fault().empty() &&
                       compare_with_reference(problem, inputs.args(), ready->arithmetic()).first_failure.empty();
    EXPECT_EQ(right, fault == Fault::none) << static_cast<int>(fault) << ": " << status.message();
  }
}

TEST_F(Sm90Packing, strides_beyond_the_reach_of_a_map_are_not_packed) {
  AttentionFwd problem = problem_of("attention_fwd hq=8 hk=1 sq=4 sk=16 d=64 dtype=bf16");
  problem.q_strides.head = int64_t{1} << 37;
  PlanOptions options;
  options.device = test_device();
  const auto ready = plan(problem, options);
  ASSERT_TRUE(ready.ok()) << ready.status().message();
  EXPECT_NE(ready->explain().find("packing    2 heads in"), std::string::npos) << ready->explain();
}

}  // namespace
}  // namespace attend::cuda
