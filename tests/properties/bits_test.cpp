// SPDX-License-Identifier: Apache-2.0
// The bits of a result depend on the Problem and its inputs, on nothing else.
#include <cstring>
#include <thread>
#include <vector>

#include "support/executors.hpp"
#include "support/kernel_test.hpp"
#include "verify/guarded_buffer.hpp"

namespace attend::test {
namespace {

class Bits : public KernelTest {
 protected:
  /// Problems with more, and with fewer, pieces of work than threads.
  std::vector<AttentionFwd> problems() const {
    AttentionFwd causal = dense(2, 6, 2, 211, 211, 64);
    causal.mask = Mask::causal();
    causal.lse = true;
    AttentionFwd few = dense(1, 1, 1, 5, 300, 40);
    few.lse = true;
    AttentionFwd ragged = dense(4, 3, 1, 120, 130, 32);
    ragged.set_layout(Layout::thd);
    ragged.cu_q = Array<int64_t>(std::vector<int64_t>{0, 1, 121, 121, 180});
    ragged.cu_k = Array<int32_t>(std::vector<int32_t>{0, 130, 140, 199, 256});
    ragged.mask = Mask::window(30, 5);
    ragged.lse = true;
    std::vector<AttentionFwd> all{causal, few, ragged};
    AttentionFwd plain = dense(2, 4, 2, 90, 110, 48);
    plain.lse = true;
    for (const MaskKind kind : mask_kinds()) {
      if (const AttentionFwd masked = verify::with_mask(plain, kind, 3); takes(masked)) all.push_back(masked);
    }
    return all;
  }
};
ATTEND_FOR_EVERY_KERNEL(Bits);

TEST_P(Bits, two_runs_agree) {
  for (const AttentionFwd& problem : problems()) {
    Evaluation run(problem, options());
    const std::string first = run.inputs.output_bytes();
    run.again();
    EXPECT_TRUE(same_bytes(run.inputs.output_bytes(), first, type())) << problem.text();
    EXPECT_TRUE(same_bytes(Evaluation(problem, options()).inputs.output_bytes(), first, type())) << problem.text();
  }
}

TEST_P(Bits, number_of_threads_does_not_matter) {
  for (const AttentionFwd& problem : problems()) {
    const std::string expected = Evaluation(problem, options(1)).inputs.output_bytes();
    for (const int threads : {2, 3, 7}) {
      EXPECT_TRUE(same_bytes(Evaluation(problem, options(threads)).inputs.output_bytes(), expected, type()))
          << threads << " threads, " << problem.text();
    }
  }
}

TEST_P(Bits, executor_does_not_matter) {
  for (const AttentionFwd& problem : problems()) {
    const std::string expected = Evaluation(problem, options(1)).inputs.output_bytes();
    for (const int workers : {1, 3, 7}) {
      const Executor threads = thread_executor(workers), sequence = sequential_executor(workers);
      for (const Executor* executor : {&threads, &sequence}) {
        PlanOptions asked = options(0);
        asked.executor = executor;
        const Evaluation run(problem, asked);
        EXPECT_TRUE(same_bytes(run.inputs.output_bytes(), expected, type()))
            << workers << " workers, " << problem.text();
        EXPECT_LE(run.planned.threads(), workers);
      }
    }
  }
}

TEST_P(Bits, one_plan_runs_in_several_threads_at_once) {
  for (const AttentionFwd& problem : problems()) {
    const std::string expected = Evaluation(problem, options(1)).inputs.output_bytes();
    const Executor executor = thread_executor(2);
    PlanOptions asked = options(0);
    asked.executor = &executor;
    const auto planned = plan(problem, asked);
    ASSERT_TRUE(planned.ok()) << planned.status().message();
    constexpr int kCallers = 4;
    std::vector<verify::Inputs> inputs;
    for (int i = 0; i < kCallers; ++i) inputs.push_back(verify::Inputs::make(problem));
    std::vector<Status> statuses(kCallers);
    {
      std::vector<std::jthread> callers;
      for (int i = 0; i < kCallers; ++i) {
        callers.emplace_back([&, i] {
          std::vector<std::byte> workspace(planned->workspace_bytes());
          for (int repeat = 0; repeat < 2 && statuses[i].ok(); ++repeat)
            statuses[i] = planned->run(inputs[i].args(), workspace);
        });
      }
    }
    for (int i = 0; i < kCallers; ++i) {
      EXPECT_TRUE(statuses[i].ok()) << statuses[i].message();
      EXPECT_TRUE(same_bytes(inputs[i].output_bytes(), expected, type())) << problem.text();
    }
  }
}

TEST_P(Bits, workspace_may_lie_anywhere_and_hold_anything) {
  AttentionFwd problem = dense(1, 2, 1, 100, 130, 64);
  problem.mask = Mask::causal();
  const Evaluation run(problem, options());
  const std::string expected = run.inputs.output_bytes();
  const size_t bytes = run.planned.workspace_bytes();
  for (const size_t shift : {0, 1, 2, 4, 8, 17, 31, 32, 63}) {
    std::vector<std::byte> memory(bytes + 128, std::byte{0xff});
    verify::Inputs inputs = verify::Inputs::make(problem);
    const Status status = run.planned.run(inputs.args(), std::span(memory.data() + shift, bytes));
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(same_bytes(inputs.output_bytes(), expected, type())) << "workspace shifted by " << shift;
    for (size_t i = 0; i < memory.size(); ++i) {
      if (i >= shift && i < shift + bytes) continue;
      ASSERT_EQ(memory[i], std::byte{0xff}) << "written outside the workspace, at " << i;
    }
  }
}

}  // namespace
}  // namespace attend::test
