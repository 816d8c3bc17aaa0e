// SPDX-License-Identifier: Apache-2.0
// Where keys lie does not change a bit of the result; what is stored there decides it.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "support/kernel_test.hpp"

namespace attend::test {
namespace {

class Caches : public KernelTest {
 protected:
  /// Keys and values of the plain Problem, copied to where the cached one of the same lengths has them.
  static void copy_keys(const Evaluation& plain, Evaluation& cached) {
    const AttentionFwd &from = plain.problem, &to = cached.problem;
    const AttentionFwdArgs source = plain.inputs.args(), target = cached.inputs.args();
    const auto copy = [](const void* s, int64_t s_at, void* t, int64_t t_at, DType type, int64_t columns) {
      std::memcpy(static_cast<char*>(t) + t_at * dtype_bytes(type),
                  static_cast<const char*>(s) + s_at * dtype_bytes(type),
                  static_cast<size_t>(columns * dtype_bytes(type)));
    };
    for (int64_t n = 0; n < to.b; ++n)
      for (int64_t head = 0; head < to.hk; ++head)
        for (int64_t key = 0; key < to.key_length(n); ++key) {
          copy(source.k, from.k_offset(n, key, head), const_cast<void*>(target.k), to.k_offset(n, key, head), to.k_type,
               to.d);
          copy(source.v, from.v_offset(n, key, head), const_cast<void*>(target.v), to.v_offset(n, key, head), to.v_type,
               to.dv);
        }
  }
  void expect_same_bits(const AttentionFwd& plain, const AttentionFwd& cached, int threads = 2) {
    Evaluation expected(plain, options(threads)), found(cached, options(threads));
    copy_keys(expected, found);
    std::memcpy(const_cast<void*>(found.inputs.args().q), expected.inputs.args().q,
                static_cast<size_t>(plain.b * plain.sq * plain.hq * plain.d * dtype_bytes(plain.q_type)));
    found.again();
    EXPECT_TRUE(same_bytes(found.inputs.output_bytes(), expected.inputs.output_bytes(), type())) << cached.text();
  }
  AttentionFwd line(const std::string& sizes, const std::string& cache) const {
    const std::string dtype = std::string(" dtype=") + dtype_name(type());
    auto parsed = AttentionFwd::parse("attention_fwd " + sizes + dtype + " " + cache);
    EXPECT_TRUE(parsed.ok()) << parsed.status().message();
    return parsed.ok() ? *parsed : AttentionFwd();
  }
};
ATTEND_FOR_EVERY_KERNEL(Caches);

TEST_P(Caches, placement_does_not_change_a_bit) {
  for (const std::string queries : {"3", "70"}) {
    const std::string sizes = "b=3 hq=4 hk=2 sk=200 d=32 lse=1 sq=" + queries;
    for (const std::string mask : {" mask=causal", ""}) {
      const AttentionFwd plain = line(sizes, mask);
      if (!takes(plain)) continue;
      for (const char* cache : {"cache=contiguous:3:200", "cache=contiguous:5:256 entry=4,0,2 first=7,0,56",
                                "layout=bhsd cache=contiguous:3:210", "cache=paged:700:1 pages=shuffled:1",
                                "cache=paged:240:3 pages=shuffled:2", "cache=paged:64:16 pages=shuffled:3",
                                "layout=bhsd cache=paged:64:16 pages=shuffled:4 first=3,15,1",
                                "cache=paged:12:64 pages=shuffled:5 first=0,8,0", "cache=paged:3:1000 pages=2/0/1"}) {
        AttentionFwd cached = line(sizes, cache + mask);
        cached.q_strides = plain.q_strides;
        cached.o_strides = plain.o_strides;
        expect_same_bits(plain, cached);
      }
    }
    const AttentionFwd plain = line(sizes, "mask=window:50:0");
    if (takes(plain)) expect_same_bits(plain, line(sizes, "cache=ring:3:128 mask=window:50:0"));
  }
}

TEST_P(Caches, block_table_and_compressed_rows_are_one_thing) {
  const AttentionFwd rows = line("b=2 hq=2 hk=1 sq=1 sk=40,17 d=32 lse=1", "cache=paged:8:16 pages=3,1,7/0,2");
  if (!takes(rows)) return;
  AttentionFwd table = rows;
  table.cache->cu_pages = {};
  table.cache->table_width = 4;
  table.cache->pages = Array<int32_t>(std::vector<int32_t>{3, 1, 7, -5, 0, 2, 1 << 30, -1});
  const Evaluation one(rows, options()), other(table, options());
  EXPECT_TRUE(same_bytes(other.inputs.output_bytes(), one.inputs.output_bytes(), type()));
}

TEST_P(Caches, every_format_stays_within_its_bound) {
  for (const char* format : {"int8", "int8_channel", "int4_32", "int4_64", "e4m3", "int8,int4_32", "plain,e4m3"}) {
    for (const std::string queries : {"3", "20"}) {
      for (const char* columns : {"d=40 dv=72", "d=1 dv=1"}) {
        for (const char* mean : {"", " k_mean=1"}) {
          const AttentionFwd problem =
              line("b=2 hq=4 hk=2 sk=130,7 lse=1 sq=" + queries + " " + columns,
                   std::string("cache=paged:20:16 pages=shuffled:4 mask=causal kv_format=") + format + mean);
          if (!takes(problem)) continue;
          expect_within_bound(problem, options(2));
        }
      }
    }
  }
}

/// Long enough for several chunks, and for many of them to see nothing.
TEST_P(Caches, split_keys_are_merged) {
  for (const char* mask :
       {"", " mask=causal", " mask=window:700:0", " mask=tree:6:random:3", " mask=padding:1500..1600"}) {
    for (const char* terms : {"", " sink=1 softcap=20", " alibi=1 bias=q"}) {
      const AttentionFwd problem = line("b=1 hq=4 hk=1 sq=4 sk=2100 d=32 lse=1",
                                        std::string("cache=paged:140:16 pages=shuffled:2") + terms + mask);
      if (!takes(problem)) continue;
      expect_within_bound(problem, options(2));
      const Evaluation one(problem, options(1)), three(problem, options(3));
      EXPECT_TRUE(same_bytes(three.inputs.output_bytes(), one.inputs.output_bytes(), type())) << problem.text();
    }
  }
}

TEST_P(Caches, mixed_batches_hold_short_and_long_queries) {
  const AttentionFwd problem = line("b=6 hq=6 hk=2 sq=1,200,0,5,6,64 sk=900,200,50,5,0,640 d=64 lse=1",
                                    "cache=paged:160:16 pages=shuffled:2 mask=causal");
  if (!takes(problem)) return;
  expect_within_bound(problem, options(2));
  const Evaluation one(problem, options(1)), three(problem, options(3));
  EXPECT_TRUE(same_bytes(three.inputs.output_bytes(), one.inputs.output_bytes(), type()));
}

/// Long caches are decoded by more rows than short ones are.
TEST_P(Caches, dozens_of_queries_meet_long_caches) {
  const AttentionFwd problem = line("b=2 hq=2 hk=1 sq=12,33 sk=4096,4100 d=16 lse=1",
                                    "layout=bhsd cache=paged:520:16 pages=shuffled:2 mask=causal");
  if (!takes(problem)) return;
  expect_within_bound(problem, options(2));
  const Evaluation one(problem, options(1)), three(problem, options(3));
  EXPECT_TRUE(same_bytes(three.inputs.output_bytes(), one.inputs.output_bytes(), type()));
}

/// Prefixes that sequences share, of one level and of several, against the oracle and against the flat way.
TEST_P(Caches, a_cascade_computes_shared_pages_once) {
  const std::string tail = " hq=4 hk=2 d=64 lse=1 ";
  const std::string nested =
      "b=5 sk=700,660,700,650,40 cache=paged:99:20 pages="
      "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34/"
      "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,40/"
      "0,1,2,3,4,5,6,7,8,9,10,11,12,13,50,51,52,53,54,55,56,57,58,59,60,61,62,63,64,65,66,67,68,69,70/"
      "0,1,2,3,4,5,6,7,8,9,10,11,12,13,50,51,52,53,54,55,56,57,58,59,60,61,62,63,64,65,66,67,68/90,91";
  const struct {
    std::string line;
    int prefixes;
  } table[] = {
      {"b=6 sq=1 sk=600,600,601,580,599,300 cache=paged:300:16 pages=shared:512:3 mask=causal" + tail, 1},
      {"b=6 sq=3 sk=600 cache=paged:300:16 pages=shared:512:3 mask=causal sink=1 softcap=10" + tail, 1},
      {"b=4 sq=2,0,9,1 sk=600 cache=paged:300:16 pages=shared:512:3 mask=causal" + tail, 1},
      {"b=3 sq=4 sk=600 cache=paged:300:16 pages=shared:512:3 mask=tree:8:random:3 layout=bhsd" + tail, 0},
      {"b=3 sq=4 sk=600 cache=paged:300:16 pages=shared:512:3 mask=window:650:0 kv_format=int8" + tail, 1},
      {"b=3 sq=4 sk=600 cache=paged:300:16 pages=shared:512:3 mask=window:50:0" + tail, 0},
      {"sq=1 " + nested + " mask=causal" + tail, 3},
      {"sq=1 " + nested + " mask=causal alibi=1" + tail, 0},
  };
  for (const auto& each : table) {
    const AttentionFwd problem = line(each.line, "");
    if (!takes(problem)) continue;
    PlanOptions flat = options(2);
    flat.cascade = false;
    const std::string told = plan(problem, options(2))->explain();
    const std::string words = "cascade    " + std::to_string(each.prefixes) + " shared";
    EXPECT_EQ(told.find(words) != std::string::npos, each.prefixes > 0) << told;
    EXPECT_EQ(plan(problem, flat)->explain().find("cascade "), std::string::npos);
    expect_within_bound(problem, options(2));
    expect_within_bound(problem, flat);
    const Evaluation one(problem, options(1)), three(problem, options(3));
    EXPECT_TRUE(same_bytes(three.inputs.output_bytes(), one.inputs.output_bytes(), type())) << problem.text();
  }
}

/// A sequence's bits with others beside it, alone, and with its queries in several calls.
TEST_P(Caches, batch_invariant_bits_are_a_sequences_own) {
  PlanOptions invariant = options(2);
  invariant.guarantee = Guarantee::batch_invariant;
  const std::string tail = " hq=4 hk=2 d=64 lse=1";
  const AttentionFwd whole = line("b=3 sq=12,1,30 sk=4200,300,30" + tail, "cache=contiguous:3:4200 mask=causal");
  if (!takes(whole)) return;
  const Evaluation batch(whole, invariant);
  for (int64_t n = 0; n < whole.b; ++n) {
    const int64_t queries = whole.query_length(n), keys = whole.key_length(n);
    for (int64_t step : {int64_t{1}, int64_t{7}, queries}) {
      if (n == 0 && step == 1) continue;
      for (int64_t first = 0; first < queries; first += step) {
        const int64_t count = std::min(step, queries - first);
        // The keys after the last query of a call are not there yet.
        const int64_t seen = keys - (queries - first - count);
        const AttentionFwd part = line("b=1 sq=" + std::to_string(count) + " sk=" + std::to_string(seen) + tail,
                                       "cache=contiguous:3:4200 entry=" + std::to_string(n) + ", mask=causal");
        Evaluation alone(part, invariant);
        AttentionFwdArgs args = alone.inputs.args();
        args.q = static_cast<const char*>(batch.inputs.args().q) + whole.q_offset(n, first, 0) * dtype_bytes(type());
        args.k = batch.inputs.args().k;
        args.v = batch.inputs.args().v;
        ASSERT_TRUE(alone.planned.run(args).ok());
        for (int64_t head = 0; head < whole.hq; ++head)
          for (int64_t row = 0; row < count; ++row)
            ASSERT_TRUE(same_bytes(alone.row_bytes(0, head, row), batch.row_bytes(n, head, first + row), type()))
                << part.text() << ", row " << row;
      }
    }
  }
}

}  // namespace
}  // namespace attend::test
