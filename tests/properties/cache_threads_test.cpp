// SPDX-License-Identifier: Apache-2.0
// Attention on the tokens that a cache holds while others are added to the same pages.
#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "support/executors.hpp"
#include "support/kernel_test.hpp"
#include "support/token_rows.hpp"

namespace attend::test {
namespace {

class CacheThreads : public KernelTest {
 protected:
  static constexpr int64_t kSteps = 15, kStepTokens = 8;

  /// Rows that no token has are NaN, in every type and format.
  struct Memory {
    explicit Memory(const AttentionFwd& p)
        : k(static_cast<size_t>(p.cache->entries * p.k_strides.batch * 4), '\xff'),
          v(k),
          k_scales(static_cast<size_t>(p.cache->entries * p.cache->rows * p.hk * 4), '\xff'),
          v_scales(k_scales) {}
    bool operator==(const Memory&) const = default;
    std::vector<char> k, v, k_scales, v_scales;
  };

  /// The last `queries` of sequences with as many tokens as `step` leaves in them.
  AttentionFwd problem(const std::string& format, int64_t step, int64_t queries) const {
    const auto parsed = AttentionFwd::parse(
        std::string("attention_fwd b=3 hq=4 hk=2 sq=1 sk=220,213,190 d=32 lse=1 mask=causal dtype=") +
        dtype_name(type()) + " cache=paged:48:16 pages=shuffled:7 kv_format=" + format);
    EXPECT_TRUE(parsed.ok()) << parsed.status().message();
    AttentionFwd problem = parsed.ok() ? *parsed : AttentionFwd();
    std::vector<int32_t> lengths;
    for (const int32_t full : {220, 213, 190})
      lengths.push_back(full - static_cast<int32_t>((kSteps - step) * kStepTokens));
    problem.sk = lengths[0];
    problem.sq = queries;
    problem.cache->lengths = std::move(lengths);
    problem.set_layout(Layout::bshd);
    return problem;
  }

  static void append(const AttentionFwd& problem, Memory& memory, const Executor* executor) {
    const TokenRows rows(problem);
    KvAppendArgs args = rows.args();
    args.k = memory.k.data();
    args.v = memory.v.data();
    args.k_scales = memory.k_scales.data();
    args.v_scales = memory.v_scales.data();
    const Status status = kv_append(problem, args, {.executor = executor});
    EXPECT_TRUE(status.ok()) << status.message();
  }

  /// o, then log-sum-exp.
  std::string attention(const AttentionFwd& problem, const Memory& memory) const {
    const auto planned = plan(problem, options(1));
    EXPECT_TRUE(planned.ok()) << planned.status().message();
    const auto rows = static_cast<size_t>(problem.b * problem.sq * problem.hq);
    const auto row_bytes = static_cast<size_t>(problem.d * dtype_bytes(type()));
    const std::string q(rows * row_bytes, '\x3d');
    std::string out(rows * (row_bytes + sizeof(float)), '\0');
    AttentionFwdArgs args;
    args.q = q.data();
    args.o = out.data();
    args.lse = reinterpret_cast<float*>(out.data() + rows * row_bytes);
    args.k = memory.k.data();
    args.v = memory.v.data();
    args.k_scales = memory.k_scales.data();
    args.v_scales = memory.v_scales.data();
    const Status status = planned->run(args);
    EXPECT_TRUE(status.ok()) << status.message();
    return out;
  }
};
ATTEND_FOR_EVERY_KERNEL(CacheThreads);

TEST_P(CacheThreads, readers_and_one_that_appends) {
  const Executor two = thread_executor(2), one = sequential_executor(1);
  for (const char* format : {"plain", "int8", "int4_32"}) {
    if (!takes(problem(format, 0, 1))) continue;
    Memory memory(problem(format, 0, 1));
    // The tokens that are there at first, a sequence's own number of them: all steps before the first.
    const auto fill = [&](Memory& to) {
      for (int64_t first = 0; first < 70; first += 10) {
        AttentionFwd prompt = problem(format, 0, 10);
        prompt.cache->lengths = std::vector<int32_t>(3, static_cast<int32_t>(first + 10));
        prompt.sk = first + 10;
        append(prompt, to, &one);
      }
      AttentionFwd rest = problem(format, 0, 0);
      rest.cu_q = Array<int32_t>(std::vector<int32_t>{0, 30, 53, 53});
      rest.sq = 30;
      rest.set_layout(Layout::thd);
      append(rest, to, &one);
    };
    fill(memory);
    const AttentionFwd decode = problem(format, 0, 1), prefill = problem(format, 0, 40);
    const std::string decoded = attention(decode, memory), prefilled = attention(prefill, memory);

    std::atomic<int64_t> published{0};
    std::atomic<int> wrong{0};
    std::vector<std::string> followed(kSteps + 1);
    {
      std::vector<std::jthread> threads;
      for (const auto& [read, expected] : {std::pair{&decode, &decoded}, {&prefill, &prefilled}})
        threads.emplace_back([&, read = read, expected = expected] {
          for (int repeat = 0; repeat < 3 || published.load(std::memory_order_relaxed) < kSteps; ++repeat)
            if (attention(*read, memory) != *expected) ++wrong;
        });
      threads.emplace_back([&] {  // reads what has just been added
        for (int64_t step = 1; step <= kSteps; ++step) {
          for (int64_t now = 0; (now = published.load(std::memory_order_acquire)) < step;) published.wait(now);
          followed[static_cast<size_t>(step)] = attention(problem(format, step, 1), memory);
        }
      });
      for (int64_t step = 1; step <= kSteps; ++step) {
        append(problem(format, step, kStepTokens), memory, &two);
        published.store(step, std::memory_order_release);
        published.notify_all();
      }
    }
    EXPECT_EQ(wrong, 0) << format;

    Memory alone(decode);
    fill(alone);
    for (int64_t step = 1; step <= kSteps; ++step) {
      append(problem(format, step, kStepTokens), alone, &one);
      EXPECT_EQ(followed[static_cast<size_t>(step)], attention(problem(format, step, 1), alone)) << format << step;
    }
    EXPECT_TRUE(memory == alone) << format;
  }
}

}  // namespace
}  // namespace attend::test
