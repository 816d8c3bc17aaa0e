// SPDX-License-Identifier: Apache-2.0
// What families of kernels that multiply in 16 bits all must do, asked of each of them: FlashAttention-3 (sm90.cuh) and
// FlashAttention-2 (sm80.cuh).
#include <string>

#include "simulated.hpp"

namespace attend::cuda {
namespace {

constexpr int64_t kColumns[] = {64, 96, 128, 192, 256};  // that all families have rows for

class Families : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (find_image("attention_fwd_simple") == nullptr) GTEST_SKIP() << "built without nvcc";
  }
  /// The row of this family that a plan would choose.
  static std::string kernel_of(const AttentionFwd& problem) {
    for (const int64_t columns : kColumns)
      if (problem.d <= columns && problem.dv <= columns)
        return std::string("attention_fwd.") + GetParam() + "." + std::string(dtype_name(problem.q_type)) + ".d" +
               std::to_string(columns);
    return "none";
  }
  static void expect_right_here(const AttentionFwd& problem, uint64_t seed, bool poison = true, int processors = 3) {
    expect_right(problem, seed, poison, processors, kernel_of(problem));
  }
  static AttentionFwd problem(int64_t sq, int64_t sk, int64_t d, const std::string& rest) {
    return problem_of("attention_fwd sq=" + std::to_string(sq) + " sk=" + std::to_string(sk) +
                      " d=" + std::to_string(d) + " " + rest);
  }
};

TEST_P(Families, lengths_at_the_edges_of_tiles) {
  uint64_t seed = 0;
  for (const int64_t sq : {0, 1, 63, 64, 65, 127, 128, 129, 257}) {
    for (const int64_t sk : {0, 1, 63, 64, 65, 127, 128, 129, 257}) {
      ++seed;
      const std::string type = seed % 3 == 0 ? "dtype=f16" : "dtype=bf16", mask = seed % 2 == 0 ? " mask=causal" : "";
      expect_right_here(problem(sq, sk, seed % 2 == 0 ? 64 : 128, "hq=2 lse=1 " + type + mask), seed);
    }
  }
}

TEST_P(Families, every_mask) {
  const AttentionFwd plain = problem(140, 200, 64, "b=2 hq=2 lse=1 dtype=bf16");
  for (int kind = 0; kind < static_cast<int>(std::variant_size_v<MaskTerm>) - 1; ++kind)
    for (uint64_t seed = 0; seed < 3; ++seed)
      expect_right_here(verify::with_mask(plain, static_cast<MaskKind>(kind), seed),
                        10 * static_cast<uint64_t>(kind) + seed, false);
}

TEST_P(Families, every_mask_where_unused_values_are_nan) {
  const AttentionFwd plain = problem(70, 140, 64, "hq=2 lse=1 dtype=f16");
  for (int kind = 0; kind < static_cast<int>(std::variant_size_v<MaskTerm>) - 1; ++kind)
    expect_right_here(verify::with_mask(plain, static_cast<MaskKind>(kind), 1), static_cast<uint64_t>(kind));
}

TEST_P(Families, intersections_of_masks) {
  for (const char* mask :
       {"causal&window:100:0", "causal&documents:0,100,133,300", "window:64:64&padding:random:3&causal_top_left"})
    expect_right_here(problem(300, 300, 128, std::string("hq=2 dtype=f16 lse=1 mask=") + mask), 5);
}

TEST_P(Families, score_terms) {
  uint64_t seed = 20;
  for (const char* terms :
       {"softcap=5", "alibi=1", "sink=1", "bias=bhq", "bias=h", "scale=0.3", "softcap=20 alibi=1 bias=q sink=1"})
    expect_right_here(problem(150, 200, 64, std::string("b=2 hq=4 hk=2 lse=1 mask=causal dtype=bf16 ") + terms),
                      ++seed);
}

TEST_P(Families, groups_of_heads) {
  for (const char* heads : {"hq=8 hk=1", "hq=6 hk=2", "hq=3 hk=3"})
    for (const int64_t rows : {3, 70})  // few rows: heads of a group share a tile
      expect_right_here(problem(rows, 130, 64, std::string("dtype=f16 mask=causal lse=1 sink=1 ") + heads), 31);
}

TEST_P(Families, few_rows_hold_heads_of_a_group) {
  const char* const masks[] = {"", "mask=causal", "mask=causal&window:40:0", "mask=dense:random:0.3:5"};
  const char* const terms[] = {"", "alibi=1 ", "sink=1 ", "bias=bhq "};
  uint64_t seed = 0;
  for (const int group : {2, 6, 16}) {
    for (const int rows : {1, 7, 17}) {
      ++seed;
      const AttentionFwd few = problem(
          rows, 170, 64,
          "lse=1 dtype=bf16 hk=2 hq=" + std::to_string(2 * group) + " " + terms[seed % 4] + masks[seed % 3 + seed / 6]);
      PlanOptions options;
      options.device = test_device();
      options.kernel = kernel_of(few);
      const auto ready = plan(few, options);
      ASSERT_TRUE(ready.ok()) << ready.status().message();
      const std::string says = "packing    " + std::to_string(group == 6 ? 2 : group) + " heads in the rows of an item";
      EXPECT_NE(ready->explain().find(says), std::string::npos) << ready->explain();
      expect_right_here(few, seed, seed % 2 == 0, 2);
    }
  }
}

TEST_P(Families, layouts) {
  for (const char* layout : {"bshd", "bhsd"})
    expect_right_here(problem(140, 133, 64, std::string("b=3 hq=2 dtype=bf16 lse=1 layout=") + layout), 41);
}

TEST_P(Families, ragged_batches_with_empty_members) {
  for (uint64_t seed = 0; seed < 6; ++seed)
    expect_right_here(problem_of("attention_fwd b=4 hq=2 hk=1 d=128 dtype=bf16 layout=thd lse=1 mask=causal "
                                 "sq=130,0,1,169 sk=128,12,0,261"),
                      seed);
}

TEST_P(Families, columns_that_are_no_row_run_on_zeros) {
  for (const int64_t d : {8, 40, 72, 104, 120, 136, 200})
    expect_right_here(problem(65, 140, d, "hq=2 dtype=f16 mask=causal"), static_cast<uint64_t>(d));
  expect_right_here(problem(65, 140, 128, "dv=64 hq=2 dtype=f16 mask=causal"), 3);
  expect_right_here(problem(65, 140, 64, "dv=88 hq=2 dtype=bf16 mask=causal"), 4);
}

TEST_P(Families, columns_that_are_no_multiple_of_8_lie_in_rows_that_are) {
  for (const int64_t d : {1, 59, 111}) {
    AttentionFwd padded = problem(65, 140, d, "hq=2 hk=1 dtype=bf16 mask=causal lse=1");
    for (Strides* strides : {&padded.q_strides, &padded.k_strides, &padded.v_strides, &padded.o_strides}) {
      const int64_t heads = strides == &padded.q_strides || strides == &padded.o_strides ? 2 : 1;
      strides->head = (d + 7) / 8 * 8;
      strides->row = heads * strides->head;
      strides->batch = 140 * strides->row;
    }
    expect_right_here(padded, static_cast<uint64_t>(d));
  }
}

TEST_P(Families, few_multiprocessors_take_many_items) {
  expect_right_here(problem(500, 500, 64, "b=2 hq=3 dtype=bf16 mask=causal&window:200:0 lse=1"), 7, true, 1);
}

TEST_P(Families, values_that_a_row_does_not_see_may_be_nan) {
  const AttentionFwd window = problem(140, 140, 64, "hq=2 dtype=bf16 lse=1 mask=window:20:0");
  const verify::Inputs inputs = verify::Inputs::make(window);
  auto* v = static_cast<uint16_t*>(inputs.data(2));
  for (const int64_t key : {0, 37, 139})
    v[window.v_offset(0, key, 1) + 3] = key == 37 ? 0x7f80 : 0x7fc0;  // infinity, NaN
  PlanOptions options;
  options.device = test_device();
  options.kernel = kernel_of(window);
  const auto ready = plan(window, options);
  ASSERT_TRUE(ready.ok());
  const Status status = verify::run_on_device(*ready, options.device, inputs);
  ASSERT_TRUE(status.ok()) << status.message();
  const Comparison comparison = compare_with_reference(window, inputs.args(), ready->arithmetic());
  EXPECT_TRUE(comparison.first_failure.empty()) << comparison.first_failure;
}

TEST_P(Families, addresses_that_are_not_aligned_are_refused) {
  const AttentionFwd small = problem(8, 8, 64, "dtype=f16");
  PlanOptions options;
  options.device = test_device();
  options.kernel = kernel_of(small);
  const auto ready = plan(small, options);
  ASSERT_TRUE(ready.ok()) << ready.status().message();
  const Result<void*> memory = options.device.allocate(4 * 1024 + 16);
  ASSERT_TRUE(memory.ok());
  auto* const bytes = static_cast<std::byte*>(*memory);
  AttentionFwdArgs args;
  args.q = bytes, args.k = bytes + 1024, args.v = bytes + 2048 + 2, args.o = bytes + 3 * 1024;
  const Status status = ready->run(args);
  EXPECT_EQ(status.code(), StatusCode::invalid_argument);
  EXPECT_NE(status.message().find("args.v is not aligned to 16 bytes"), std::string::npos) << status.message();
  EXPECT_TRUE(options.device.free(*memory).ok());
}

TEST_P(Families, what_they_do_not_take_they_say) {
  PlanOptions options;
  options.device = test_device();
  options.kernel = std::string("attention_fwd.") + GetParam() + ".bf16.d128";
  const struct {
    const char *line, *reason;
  } refused[] = {
      {"attention_fwd sq=8 sk=8 d=64 dtype=f32", "q is f32, this row takes bf16"},
      {"attention_fwd sq=8 sk=8 d=192 dtype=bf16", "d is 192, this row takes at most 128"},
      {"attention_fwd sq=8 sk=8 d=64 dv=136 dtype=bf16", "dv is 136, this row takes at most 128"},
      {"attention_fwd sq=8 sk=8 d=64 dtype=bf16 scale=-1", "the scale is not positive"},
      {"attention_fwd sq=8 sk=8 d=60 dtype=bf16", "q_strides.row is 60, this row takes "},
  };
  for (const auto& each : refused) {
    const auto ready = plan(problem_of(each.line), options);
    ASSERT_FALSE(ready.ok()) << each.line;
    EXPECT_NE(ready.status().message().find(each.reason), std::string::npos) << ready.status().message();
  }
}

INSTANTIATE_TEST_SUITE_P(All, Families, testing::Values("sm80", "sm90"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace attend::cuda
