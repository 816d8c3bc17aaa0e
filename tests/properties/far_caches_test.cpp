// SPDX-License-Identifier: Apache-2.0
// Pages and entries whose elements have numbers beyond 2^31 and 2^32, in memory of which only these exist: the same
// bits as at its beginning.
#include <cstring>
#include <string>
#include <vector>

#include "support/kernel_test.hpp"
#include "support/token_rows.hpp"
#include "verify/element.hpp"
#include "verify/guarded_buffer.hpp"

namespace attend::test {
namespace {

class FarCaches : public KernelTest {
 protected:
  /// All that a cache keeps. Scales are as far apart as keys.
  struct Memory {
    explicit Memory(const AttentionFwd& p)
        : k(bytes(p.k_format(), p.k_type, p), true),
          v(bytes(p.v_format(), p.v_type, p), true),
          k_scales(4 * elements(p), true),
          v_scales(4 * elements(p), true) {}
    static size_t elements(const AttentionFwd& p) { return static_cast<size_t>(p.cache->entries * p.k_strides.batch); }
    static size_t bytes(KvFormat format, DType type, const AttentionFwd& p) {
      return static_cast<size_t>(kv_bytes(format, type, static_cast<int64_t>(elements(p))));
    }
    verify::GuardedBuffer k, v, k_scales, v_scales;
  };

  AttentionFwd line(const std::string& queries, const std::string& cache) const {
    const auto parsed = AttentionFwd::parse("attention_fwd b=2 hq=2 hk=1 d=64 lse=1 mask=causal sk=330 sq=" + queries +
                                            " dtype=" + dtype_name(type()) + " " + cache);
    EXPECT_TRUE(parsed.ok()) << parsed.status().message();
    AttentionFwd problem = parsed.ok() ? *parsed : AttentionFwd();
    problem.cache->k_scale_strides = problem.k_strides;
    problem.cache->v_scale_strides = problem.v_strides;
    return problem;
  }

  /// The same in a cache of more entries, `by` of them further on.
  static AttentionFwd moved(AttentionFwd problem, int64_t by) {
    const auto add = [&](Array<int32_t>& numbers) {
      std::vector<int32_t> all(numbers.begin(), numbers.end());
      for (int32_t& number : all) number += static_cast<int32_t>(by);
      numbers = std::move(all);
    };
    problem.cache->entries += by;
    add(problem.cache->placement == KvPlacement::paged ? problem.cache->pages : problem.cache->entry);
    EXPECT_TRUE(problem.check().ok()) << problem.check().message();
    return problem;
  }

  static void append(const AttentionFwd& problem, const Memory& memory) {
    const TokenRows rows(problem);
    KvAppendArgs args = rows.args();
    args.k = memory.k.data();
    args.v = memory.v.data();
    args.k_scales = memory.k_scales.data();
    args.v_scales = memory.v_scales.data();
    const Status status = kv_append(problem, args, {.threads = 2});
    ASSERT_TRUE(status.ok()) << status.message();
  }

  /// o, then log-sum-exp.
  std::string attention(const AttentionFwd& problem, const Memory& memory, const PlanOptions& options) const {
    const auto planned = plan(problem, options);
    EXPECT_TRUE(planned.ok()) << planned.status().message();
    const auto rows = static_cast<size_t>(problem.b * problem.sq * problem.hq);
    std::vector<std::byte> q(rows * 64 * static_cast<size_t>(dtype_bytes(type()))), o(q.size());
    for (size_t i = 0; i < rows * 64; ++i)
      verify::store_element(type(), q.data(), static_cast<int64_t>(i), static_cast<double>(i * i % 61) / 32 - 1);
    std::vector<float> lse(rows);
    AttentionFwdArgs args;
    args.q = q.data();
    args.o = o.data();
    args.lse = lse.data();
    args.k = memory.k.data();
    args.v = memory.v.data();
    args.k_scales = memory.k_scales.data();
    args.v_scales = memory.v_scales.data();
    const Status status = planned->run(args);
    EXPECT_TRUE(status.ok()) << status.message();
    return std::string(reinterpret_cast<const char*>(o.data()), o.size()) +
           std::string(reinterpret_cast<const char*>(lse.data()), lse.size() * sizeof(float));
  }
};
ATTEND_FOR_EVERY_KERNEL(FarCaches);

TEST_P(FarCaches, hold_the_same_bits) {
  // 21 pages of 16 tokens: the sequences share all but the last; and an entry for each.
  std::string shared;
  for (int page = 19; page >= 0; --page) shared += std::to_string(page) + ",";
  const std::string paged = "cache=paged:64:16 pages=" + shared + "40/" + shared + "41",
                    contiguous = "cache=contiguous:4:512 entry=3,1";
  const struct {
    std::string cache;
    int64_t by;  ///< entries: they end a little beyond 2^31 or 2^32 elements
  } table[] = {
      {paged, (int64_t{1} << 21) - 30},
      {paged + " kv_format=int8", (int64_t{1} << 22) - 30},
      {paged + " kv_format=int4_32", (int64_t{1} << 22) - 30},
      {paged + " kv_format=e4m3", (int64_t{1} << 21) - 30},
      {"layout=bhsd " + contiguous, (int64_t{1} << 17) - 2},
      {contiguous + " kv_format=int4_64", (int64_t{1} << 16) - 2},
  };
  for (const auto& each : table) {
    const bool in_pages = each.cache.starts_with("cache=paged");
    // Sequence 1 adds what it does not share.
    const AttentionFwd prompt = line(in_pages ? "330,10" : "330", each.cache);
    if (!takes(prompt)) continue;
    const AttentionFwd far_prompt = moved(prompt, each.by);
    ASSERT_GE(far_prompt.k_offset(0, 329, 0), (int64_t{1} << 31));
    const Memory near(prompt), far(far_prompt);
    append(prompt, near);
    append(far_prompt, far);
    for (const char* queries : {"1", "3", "70"})
      for (const bool cascade : {false, true}) {
        const AttentionFwd problem = line(queries, each.cache);
        PlanOptions asked = options(2);
        asked.cascade = cascade;
        const std::string expected = attention(problem, near, asked);
        const std::string found = attention(moved(problem, each.by), far, asked);
        EXPECT_EQ(std::memcmp(found.data(), expected.data(), expected.size()), 0)
            << problem.text() << ", moved by " << each.by;
        EXPECT_EQ(plan(problem, asked)->explain().find("cascade ") != std::string::npos, in_pages && cascade);
      }
  }
}

}  // namespace
}  // namespace attend::test
