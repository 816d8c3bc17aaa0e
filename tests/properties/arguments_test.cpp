// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "support/executors.hpp"
#include "support/kernel_test.hpp"

namespace attend::test {
namespace {

/// A Problem that wants every array.
AttentionFwd with_everything() {
  AttentionFwd problem = AttentionFwd::dense(Layout::bshd, DType::f32, 1, 2, 1, 9, 11, 8);
  problem.alibi = problem.sink = problem.lse = true;
  problem.bias = BiasShape{};
  return problem;
}

TEST(arguments, each_missing_pointer_is_named) {
  const AttentionFwd problem = with_everything();
  const auto planned = plan(problem);
  ASSERT_TRUE(planned.ok()) << planned.status().message();
  const verify::Inputs inputs = verify::Inputs::make(problem);
  struct Missing {
    const char* name;
    void (*drop)(AttentionFwdArgs&);
  };
  const Missing all[] = {
      {"q", [](AttentionFwdArgs& args) { args.q = nullptr; }},
      {"k", [](AttentionFwdArgs& args) { args.k = nullptr; }},
      {"v", [](AttentionFwdArgs& args) { args.v = nullptr; }},
      {"o", [](AttentionFwdArgs& args) { args.o = nullptr; }},
      {"lse", [](AttentionFwdArgs& args) { args.lse = nullptr; }},
      {"alibi_slopes", [](AttentionFwdArgs& args) { args.alibi_slopes = nullptr; }},
      {"bias", [](AttentionFwdArgs& args) { args.bias = nullptr; }},
      {"sink", [](AttentionFwdArgs& args) { args.sink = nullptr; }},
  };
  const std::string before = inputs.output_bytes();
  for (const Missing& each : all) {
    AttentionFwdArgs args = inputs.args();
    each.drop(args);
    const Status status = planned->run(args);
    EXPECT_EQ(status.code(), StatusCode::invalid_argument) << each.name;
    EXPECT_NE(status.message().find(each.name), std::string::npos) << status.message();
    EXPECT_EQ(status.message().rfind("attention_fwd: ", 0), 0u) << status.message();
    EXPECT_EQ(inputs.output_bytes(), before) << "an output was written without " << each.name;
  }
  EXPECT_TRUE(planned->run(inputs.args()).ok());
}

TEST(arguments, arrays_that_are_not_asked_for_may_be_null) {
  AttentionFwd problem = AttentionFwd::dense(Layout::bshd, DType::f32, 1, 2, 1, 9, 11, 8);
  const auto planned = plan(problem);
  ASSERT_TRUE(planned.ok()) << planned.status().message();
  const verify::Inputs inputs = verify::Inputs::make(problem);
  AttentionFwdArgs args;
  args.q = inputs.args().q;
  args.k = inputs.args().k;
  args.v = inputs.args().v;
  args.o = inputs.args().o;
  EXPECT_TRUE(planned->run(args).ok());
  EXPECT_EQ(compare_with_reference(problem, args, planned->arithmetic()).first_failure, "");
}

TEST(arguments, small_workspace_is_refused) {
  AttentionFwd problem = AttentionFwd::dense(Layout::bshd, DType::f32, 1, 2, 1, 90, 300, 64);
  const auto planned = plan(problem);
  ASSERT_TRUE(planned.ok()) << planned.status().message();
  const verify::Inputs inputs = verify::Inputs::make(problem);
  const std::string before = inputs.output_bytes();
  const size_t bytes = planned->workspace_bytes();
  std::vector<std::byte> memory(bytes);
  for (const size_t given : {size_t{0}, bytes / 2, bytes - 1}) {
    if (given >= bytes) continue;  // a plan may need none
    const Status status = planned->run(inputs.args(), std::span(memory.data(), given));
    EXPECT_EQ(status.code(), StatusCode::invalid_argument) << given << " of " << bytes << " bytes";
    EXPECT_NE(status.message().find(std::to_string(bytes)), std::string::npos) << status.message();
    EXPECT_EQ(inputs.output_bytes(), before);
  }
  EXPECT_TRUE(planned->run(inputs.args(), memory).ok());
}

TEST(arguments, unknown_kernel_is_refused_with_the_rows_there_are) {
  PlanOptions options;
  options.kernel = "attention_fwd.abacus.f32";
  const auto planned = plan(with_everything(), options);
  ASSERT_FALSE(planned.ok());
  EXPECT_NE(planned.status().message().find("attention_fwd.abacus.f32"), std::string::npos)
      << planned.status().message();
  for (const KernelCase& each : kernel_cases()) {
    EXPECT_NE(planned.status().message().find(each.kernel), std::string::npos) << planned.status().message();
  }
}

TEST(arguments, a_wrong_problem_is_not_planned) {
  AttentionFwd problem = with_everything();
  problem.hq = 3;
  problem.hk = 2;
  const auto planned = plan(problem);
  ASSERT_FALSE(planned.ok());
  EXPECT_EQ(planned.status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(planned.status().message(), problem.check().message());
}

TEST(arguments, odd_executors_and_thread_counts_are_refused) {
  Executor executor = sequential_executor(0);
  PlanOptions options;
  options.executor = &executor;
  EXPECT_EQ(plan(with_everything(), options).status().code(), StatusCode::invalid_argument);
  executor = Executor{};  // no function
  EXPECT_EQ(plan(with_everything(), options).status().code(), StatusCode::invalid_argument);
  options = {};
  options.threads = -1;
  EXPECT_EQ(plan(with_everything(), options).status().code(), StatusCode::invalid_argument);
}

TEST(plan, names_a_reason_for_every_row) {
  const auto planned = plan(with_everything());
  ASSERT_TRUE(planned.ok()) << planned.status().message();
  bool chosen = false;
  for (const Candidate& each : planned->candidates()) {
    EXPECT_TRUE(each.accepted || !each.reason.empty()) << each.kernel;
    EXPECT_NE(planned->explain().find(each.kernel), std::string::npos) << planned->explain();
    chosen = chosen || (each.accepted && each.kernel == planned->kernel());
  }
  EXPECT_TRUE(chosen) << planned->kernel();
  EXPECT_GT(planned->tile_rows(), 0);
  EXPECT_GT(planned->tile_keys(), 0);
  EXPECT_GE(planned->threads(), 1);
}

TEST(plan, some_row_takes_every_problem) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const AttentionFwd problem = verify::random_problem(seed);
    const auto planned = plan(problem);
    EXPECT_TRUE(planned.ok()) << problem.text() << "\n  " << planned.status().message();
  }
}

}  // namespace
}  // namespace attend::test
