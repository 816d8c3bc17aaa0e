// SPDX-License-Identifier: Apache-2.0
// Work that shares a call gives the bits of calls of its own.
#include <string>
#include <vector>

#include "support/kernel_test.hpp"

namespace attend::test {
namespace {

class Batching : public KernelTest {
 protected:
  /// One sequence and one query head of a bigger run, as a Problem on the same memory, with an output of its own.
  std::string alone(const Evaluation& whole, int64_t n, int64_t head) const {
    const AttentionFwd& big = whole.problem;
    AttentionFwd one =
        AttentionFwd::dense(Layout::bshd, type(), 1, 1, 1, big.query_length(n), big.key_length(n), big.d);
    one.q_strides = {0, big.q_strides.row, 0};
    one.k_strides = {0, big.k_strides.row, 0};
    one.v_strides = {0, big.v_strides.row, 0};
    one.mask = big.mask;
    one.lse = true;
    const verify::Inputs own = verify::Inputs::make(one);
    AttentionFwdArgs args = own.args();
    const auto at = [&](const void* data, int64_t offset) {
      return static_cast<const char*>(data) + offset * dtype_bytes(type());
    };
    const AttentionFwdArgs theirs = whole.inputs.args();
    args.q = at(theirs.q, big.q_offset(n, 0, head));
    args.k = at(theirs.k, big.k_offset(n, 0, head / big.group()));
    args.v = at(theirs.v, big.v_offset(n, 0, head / big.group()));
    const auto planned = plan(one, options());
    if (!planned.ok()) return planned.status().message();
    const Status status = planned->run(args);
    return status.ok() ? own.output_bytes() : status.message();
  }
  static std::string together(const Evaluation& whole, int64_t n, int64_t head) {
    std::string o, lse;
    for (int64_t row = 0; row < whole.problem.query_length(n); ++row) {
      const std::string bytes = whole.row_bytes(n, head, row);
      o += bytes.substr(0, bytes.size() - sizeof(float));
      lse += bytes.substr(bytes.size() - sizeof(float));
    }
    return o + lse;
  }
  std::vector<Mask> masks() const { return {Mask(), Mask::causal(), CausalTopLeft{}, Mask::window(20, 3), Chunk{17}}; }
};
ATTEND_FOR_EVERY_KERNEL(Batching);

TEST_P(Batching, ragged_batch_equals_single_calls) {
  const std::vector<int32_t> queries{0, 5, 5, 133, 134, 230}, keys{0, 70, 75, 204, 204, 300};
  for (const Mask& mask : masks()) {
    for (const bool wide : {false, true}) {
      AttentionFwd problem = dense(5, 2, 1, 128, 129, 40);
      problem.set_layout(Layout::thd);
      problem.cu_q = Array<int32_t>(queries);
      problem.cu_k = Array<int32_t>(keys);
      if (wide) {
        problem.cu_q = Array<int64_t>(std::vector<int64_t>(queries.begin(), queries.end()));
        problem.cu_k = Array<int64_t>(std::vector<int64_t>(keys.begin(), keys.end()));
      }
      problem.lse = true;
      problem.mask = mask;
      if (!takes(problem)) continue;
      const Evaluation run(problem, options(2));
      for (int64_t n = 0; n < problem.b; ++n) {
        for (int64_t head = 0; head < problem.hq; ++head) {
          EXPECT_TRUE(same_bytes(together(run, n, head), alone(run, n, head), type()))
              << problem.text() << ", sequence " << n << ", head " << head;
        }
      }
    }
  }
}

TEST_P(Batching, grouped_heads_equal_heads_alone) {
  for (const auto& [hq, hk] : {std::pair<int64_t, int64_t>{6, 2}, {4, 1}, {3, 3}, {9, 3}}) {
    for (const Mask& mask : masks()) {
      AttentionFwd problem = dense(2, hq, hk, 75, 103, 64);
      problem.lse = true;
      problem.mask = mask;
      if (!takes(problem)) continue;
      const Evaluation run(problem, options(2));
      for (int64_t n = 0; n < problem.b; ++n) {
        for (int64_t head = 0; head < hq; ++head) {
          EXPECT_TRUE(same_bytes(together(run, n, head), alone(run, n, head), type()))
              << problem.text() << ", sequence " << n << ", head " << head;
        }
      }
    }
  }
}

TEST_P(Batching, layouts_hold_the_same_numbers) {
  AttentionFwd problem = dense(2, 4, 2, 50, 70, 33);
  problem.lse = true;
  problem.mask = Mask::causal();
  const Evaluation rows_first(problem, options());
  problem.set_layout(Layout::bhsd);
  const Evaluation heads_first(problem, options());
  problem.q_strides = {9000, 180, 41};
  problem.o_strides = {20000, 37, 5000};
  const Evaluation padded(problem, options());
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t head = 0; head < 4; ++head) {
      EXPECT_TRUE(same_bytes(together(rows_first, n, head), together(heads_first, n, head), type()));
      EXPECT_TRUE(same_bytes(together(rows_first, n, head), together(padded, n, head), type()));
    }
  }
}

TEST_P(Batching, broadcast_strides_equal_copies) {
  AttentionFwd problem = dense(3, 4, 4, 30, 66, 32);
  problem.lse = true;
  problem.k_strides = {0, 32, 0};  // one key head for everything
  problem.v_strides.batch = 0;
  const Evaluation run(problem, options());
  EXPECT_EQ(run.compare().first_failure, "");
  for (int64_t n = 0; n < 3; ++n) {
    for (int64_t head = 0; head < 4; ++head)
      EXPECT_TRUE(same_bytes(together(run, n, head), alone(run, n, head), type()));
  }
}

}  // namespace
}  // namespace attend::test
