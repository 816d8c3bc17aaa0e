// SPDX-License-Identifier: Apache-2.0
// What memory_traffic() says is what a run on instrumented tiles moves, byte for byte, and the run computes attention.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cpu/decode_kernel.hpp"
#include "cpu/kernel.hpp"
#include "plan/memory_traffic.hpp"
#include "schedules.hpp"
#include "support/parsed.hpp"
#include "verify/verify.hpp"

namespace attend::test {
namespace {

/// One way to count and to run a Problem.
struct Counted {
  std::string name;
  std::function<Result<MemoryTraffic>(int64_t level_bytes)> count;
  std::function<void(const AttentionFwdArgs&, Level&)> run;
  bool rounds_between = false;  ///< stores what lies between in the types of the tensors
};

/// The smallest level that is not refused.
int64_t least_level(const Counted& counted) {
  int64_t refused = 0, accepted = int64_t{1} << 40;
  EXPECT_TRUE(counted.count(accepted).ok());
  while (accepted - refused > 1) {
    const int64_t middle = (refused + accepted) / 2;
    (counted.count(middle).ok() ? accepted : refused) = middle;
  }
  const std::string message = counted.count(refused).status().message();
  EXPECT_EQ(message.find("memory_traffic: level_bytes is " + std::to_string(refused) + ", expected at least " +
                         std::to_string(accepted) + ": "),
            0u)
      << message;
  return accepted;
}

/// Small blocks, so that Problems of a hundred rows have several waves, groups and stripes; of sequences with few rows,
/// small chunks.
struct SmallBlocks {
  explicit SmallBlocks(const AttentionFwd& p, int64_t wave_panels, int64_t decode_rows) {
    const int64_t panel = 4 * cpu::kPanelKeys * (p.d + p.dv) + 256, rows = 2 * cpu::kStripeRows;
    const plan_detail::DecodeRule rule{decode_rows, 2 * decode_rows, 80};
    work =
        plan_detail::WorkList::make(p, {rows, cpu::kStripeRows, cpu::kPanelKeys, 8, panel, rule, wave_panels * panel});
    decode = plan_detail::DecodeList::make(p, {rule, rows, cpu::kDecodeKeys, 2, decode_rows % 2 == 0});
    residents = {panel, 4 * (rows * (p.d + p.dv + 2) + cpu::kPanelKeys + p.dv + 4) + 64, 4 * (p.dv + 4)};
  }
  plan_detail::WorkList work;
  plan_detail::DecodeList decode;
  cpu::Residents residents;
};

std::vector<Counted> schedules_of(const AttentionFwd& p) {
  std::vector<Counted> all;
  all.push_back({"naive", [&p](int64_t m) { return p.memory_traffic(Schedule::naive, m); },
                 [&p](const AttentionFwdArgs& args, Level& level) { run_naive(p, args, level); }, true});
  all.push_back({"flash_attention_1", [&p](int64_t m) { return p.memory_traffic(Schedule::flash_attention_1, m); },
                 [&p](const AttentionFwdArgs& args, Level& level) { run_flash_attention_1(p, args, level); }, true});
  for (const auto& [wave_panels, decode_rows] : {std::pair{1, 0}, {5, 10}, {5, 1001}}) {
    const SmallBlocks cut(p, wave_panels, decode_rows);
    all.push_back({"work list, waves of " + std::to_string(wave_panels) + " panels, decoding up to " +
                       std::to_string(decode_rows) + " rows",
                   [&p, cut](int64_t m) { return cpu::memory_traffic(p, cut.work, cut.decode, cut.residents, m); },
                   [&p, cut](const AttentionFwdArgs& args, Level& level) {
                     run_work_list(p, args, cut.work, cut.decode, cut.residents, level);
                   }});
  }
  const plan_detail::TileList::Shape shape{16, 32, p.group() % 2 == 0 ? 2 : 1};
  plan_detail::TileList list = plan_detail::TileList::make(p, shape);
  const std::vector<plan_detail::Section> sections =
      plan_detail::order_by_section(list, {20000, p.d * dtype_bytes(p.k_type), p.group(), shape.keys});
  all.push_back(
      {"tile list",
       [&p, list, shape, sections](int64_t m) { return plan_detail::memory_traffic(p, list, shape, sections, m); },
       [&p, list, shape, sections](const AttentionFwdArgs& args, Level& level) {
         run_tile_list(p, args, list, shape, sections, level);
       }});
  return all;
}

/// How many different counts were seen.
int64_t expect_counted(const AttentionFwd& problem, const Counted& counted, uint64_t seed) {
  verify::FillOptions fill;
  fill.seed = seed;
  verify::Inputs inputs = verify::Inputs::make(problem, fill);
  const bool all_f32 = problem.q_type == DType::f32 && problem.v_type == DType::f32 && problem.o_type == DType::f32;
  std::set<int64_t> counts;
  const int64_t least = least_level(counted);
  int64_t last_read = -1;
  for (const int64_t percent : {100, 101, 170, 400, 640, 900, 2500, 20000}) {
    const int64_t level_bytes = least * percent / 100;
    const Result<MemoryTraffic> expected = counted.count(level_bytes);
    EXPECT_TRUE(expected.ok());
    if (!expected.ok()) return 0;
    if (expected->read == last_read && percent < 20000) continue;  // the same tiles once more
    last_read = expected->read;
    const std::string what = counted.name + ", level of " + std::to_string(level_bytes) + ": " + problem.text();
    Level level(level_bytes);
    inputs.poison_outputs();
    EXPECT_NO_THROW(counted.run(inputs.args(), level)) << what;
    EXPECT_EQ(level.moved().read, expected->read) << what;
    EXPECT_EQ(level.moved().written, expected->written) << what;
    EXPECT_LE(level.most_resident(), level_bytes) << what;
    EXPECT_EQ(level.room(), level_bytes) << what;
    EXPECT_EQ(inputs.output_fault(), "") << what;
    counts.insert(expected->read + expected->written);
    if (counted.rounds_between && !all_f32) continue;
    const Comparison comparison = compare_with_reference(problem, inputs.args(), Arithmetic::f32);
    EXPECT_LE(comparison.max_ratio, 1) << what << "\n" << comparison.first_failure;
  }
  return static_cast<int64_t>(counts.size());
}

/// Without what the schedules of this test leave out.
AttentionFwd plain(AttentionFwd problem) {
  problem.softcap = 0;
  problem.alibi = problem.alibi_per_batch = problem.sink = false;
  problem.bias.reset();
  return problem;
}

TEST(TrafficCounts, equal_instrumented_runs) {
  std::map<std::string, int64_t> most;
  for (const char* line : {
           "attention_fwd b=2 hq=2 sq=50 sk=70 d=8 lse=1",
           "attention_fwd hq=4 hk=2 sq=33 sk=150 d=12 dv=5 mask=causal lse=1",
           "attention_fwd hq=2 sq=97 sk=97 d=4 mask=causal&window:30:0",
           "attention_fwd hq=3 hk=1 sq=5,0,40 sk=60,7,0 d=6 mask=causal_top_left lse=1",
           "attention_fwd hq=2 sq=64 sk=640 d=4 mask=block_sparse:16x16:random:0.2:3",
           "attention_fwd hq=4 hk=2 sq=40 sk=600 d=4 mask=causal&streaming:4:100",
           "attention_fwd hq=4 hk=2 sq=64 sk=96 d=4 mask=block_sparse:8x32:random:0.3:5:perhead lse=1",
           "attention_fwd b=2 hq=1 sq=40 sk=600 d=8 dtype=f16,bf16,f16,bf16",
       }) {
    const AttentionFwd problem = parsed(line);
    for (const Counted& counted : schedules_of(problem))
      most[counted.name] = std::max(most[counted.name], expect_counted(problem, counted, 1));
  }
  for (const auto& [name, counts] : most)  // all that may stay, and all that may not
    EXPECT_GE(counts, name.ends_with(" 1001 rows") ? 1 : name == "tile list" ? 2 : 3) << name;
}

TEST(TrafficCounts, equal_instrumented_runs_for_random_problems) {
  verify::GeneratorLimits limits;
  limits.max_rows = 130;
  limits.max_batch = 3;
  limits.max_heads = 4;
  limits.max_columns = 12;
  limits.max_work = 5e4;
  limits.caches = 0.4;
  int64_t seen = 0, cached = 0;
  for (uint64_t seed = 0; seed < 90; ++seed) {
    const AttentionFwd problem = plain(verify::random_problem(seed, limits));
    const bool as_stored = problem.k_format() == KvFormat::plain && problem.v_format() == KvFormat::plain;
    if (!as_stored || (problem.cache && problem.cache->k_mean)) continue;  // the tiles of this test do not decode
    for (const Counted& counted : schedules_of(problem)) expect_counted(problem, counted, seed);
    ++seen;
    cached += problem.cache ? 1 : 0;
  }
  EXPECT_GE(seen, 40);
  EXPECT_GE(cached, 1);
}

TEST(TrafficCounts, equal_instrumented_runs_for_every_mask) {
  const AttentionFwd base = parsed("attention_fwd b=2 hq=4 hk=2 sq=45 sk=100 d=4 lse=1");
  for (int kind = 0; kind < static_cast<int>(std::variant_size_v<MaskTerm>) - 1; ++kind) {
    const AttentionFwd problem = verify::with_mask(base, static_cast<MaskKind>(kind), 9);
    for (const Counted& counted : schedules_of(problem)) expect_counted(problem, counted, 2);
  }
}

TEST(TrafficCounts, tiles_are_the_largest_that_fit) {
  const AttentionFwd problem = parsed("attention_fwd sq=70 sk=90 d=6 dv=9");
  verify::Inputs inputs = verify::Inputs::make(problem);
  for (const int64_t level_bytes : {500, 1000, 2000, 4000}) {
    // Rows of Q and a score of each with one key, or rows of O and a probability of each with one value.
    const auto naive = plan_detail::naive_tiles(problem, level_bytes);
    EXPECT_EQ(naive->score_rows, (level_bytes - 24) / 28);
    EXPECT_EQ(naive->output_rows, (level_bytes - 36) / 40);
    EXPECT_EQ(naive->score_row_fits, level_bytes >= 90 * 4 + 12);
    const auto flash = plan_detail::flash_attention_1_tiles(problem, level_bytes);
    const auto bytes = [](int64_t rows, int64_t keys) { return 60 * keys + (60 + 8 + 4 * keys) * rows; };
    EXPECT_EQ(flash->rows, std::min<int64_t>(flash->keys, 6));
    EXPECT_LE(bytes(flash->rows, flash->keys), level_bytes);
    EXPECT_GT(bytes(std::min<int64_t>(flash->keys + 1, 6), flash->keys + 1), level_bytes);
  }
  // A level that is one byte smaller than the tiles need is noticed by the run.
  const int64_t exact = 24 + 28 * 10;
  Level small(exact - 1);
  const Tile q(small, DType::f32, 10 * 6), k(small, DType::f32, 6);
  EXPECT_THROW(Tile(small, DType::f32, 10), std::runtime_error);
}

TEST(TrafficCounts, by_hand_without_keys_and_without_rows) {
  const AttentionFwd no_keys = parsed("attention_fwd b=2 hq=3 sq=5 sk=0 d=8 lse=1");
  EXPECT_EQ(*no_keys.memory_traffic(Schedule::naive, 4096), (MemoryTraffic{30 * 32, 30 * (32 + 4)}));
  EXPECT_EQ(*no_keys.memory_traffic(Schedule::flash_attention_1, 4096), (MemoryTraffic{30 * 8, 30 * (32 + 8 + 4)}));
  EXPECT_EQ(*plan(no_keys)->memory_traffic(1 << 20), (MemoryTraffic{0, 30 * (32 + 4)}));
  for (const char* line : {"attention_fwd b=2 hq=3 sq=0 sk=7 d=8", "attention_fwd b=0 hq=3 sq=4 sk=7 d=8"}) {
    const AttentionFwd no_rows = parsed(line);
    EXPECT_EQ(*no_rows.memory_traffic(Schedule::naive, 4096), MemoryTraffic());
    EXPECT_EQ(*no_rows.memory_traffic(Schedule::flash_attention_1, 4096), MemoryTraffic());
    EXPECT_EQ(*plan(no_rows)->memory_traffic(1 << 20), MemoryTraffic());
  }
}

TEST(TrafficCounts, stop_at_the_largest_number) {
  const AttentionFwd largest = parsed("attention_fwd sq=2147483647 sk=536870912 d=1");
  EXPECT_EQ(largest.memory_traffic(Schedule::naive, 1 << 20)->read, INT64_MAX);
  EXPECT_EQ(largest.memory_traffic(Schedule::flash_attention_1, 28)->read, INT64_MAX);
}

TEST(TrafficCounts, no_schedule_of_that_number) {
  const auto found = parsed("attention_fwd sq=1 sk=1 d=1").memory_traffic(static_cast<Schedule>(7), 4096);
  EXPECT_EQ(found.status().message(), "memory_traffic: schedule is 7, expected 0 (naive) or 1 (flash_attention_1)");
}

/// The counts of plans are those of their own work list: what a wave leaves and blocks read again are whole panels.
TEST(TrafficCounts, of_plans_are_whole_panels) {
  const AttentionFwd problem = parsed("attention_fwd hq=2 sq=1000 sk=1500 d=64 lse=1");
  PlanOptions options;
  options.threads = 1;
  options.kernel = "attention_fwd.emu.f32";
  const Result<AttentionFwdPlan> planned = plan(problem, options);
  ASSERT_TRUE(planned.ok()) << planned.status().message();
  const int64_t panel = 64 * 128 * 4, panels = 24, blocks = 11;  // of 96 rows, for each head
  const int64_t q = 2 * 1000 * 256, kv = 2 * 1500 * 512, o = 2 * 1000 * 260;
  EXPECT_EQ(*planned->memory_traffic(int64_t{1} << 30), (MemoryTraffic{q + kv, o}));
  EXPECT_EQ(*planned->memory_traffic(600 << 10),
            (MemoryTraffic{q + kv + 2 * blocks * panels * panel, o + 2 * panels * panel}));
  EXPECT_EQ(*planned->memory_traffic(300 << 10),  // 84 stripes of a head
            (MemoryTraffic{q + kv + 2 * 84 * panels * panel, o + 2 * panels * panel}));
  EXPECT_EQ(planned->memory_traffic(100 << 10).status().code(), StatusCode::invalid_argument);
}

/// What is shared is read once; each part's rows of o and log-sum-exp are written, and read by the merge.
TEST(TrafficCounts, of_a_cascade_are_its_parts_and_their_merge) {
  const AttentionFwd problem = parsed(
      "attention_fwd b=3 hq=4 hk=2 sq=2 sk=700,650,300 d=64 mask=window:699:0 lse=1 "
      "cache=paged:150:16 pages=shared:608:3");
  PlanOptions options;
  options.threads = 1;
  options.kernel = "attention_fwd.emu.f32";
  const Result<AttentionFwdPlan> cascade = plan(problem, options);
  options.cascade = false;
  const Result<AttentionFwdPlan> flat = plan(problem, options);
  ASSERT_TRUE(cascade.ok() && flat.ok()) << cascade.status().message();
  ASSERT_NE(cascade->explain().find("cascade    2 shared prefixes"), std::string::npos) << cascade->explain();
  const int64_t q = 256, kv = 2 * 512, o = 256 + 4;  // of a row and query head, of a token with both key heads
  const int64_t rows = 3 * 2 * 4;
  // Chunks of 512 keys: two of each of the first two sequences, with q again, and a state for each of their rows.
  const int64_t second_chunks = rows * 2 / 3 * q, states = 2 * rows * 2 / 3 * (256 + 8);
  for (const int64_t level_bytes : {1 << 20, 1 << 24}) {
    EXPECT_EQ(*flat->memory_traffic(level_bytes),
              (MemoryTraffic{rows * q + second_chunks + (700 + 650 + 300) * kv + states, states + rows * o}));
    // Pages of all three, of the first two, and the rest of each: rows of 3, 2 and 3 sequences.
    const int64_t keys = 288 + 320 + (700 + 650 + 300 - 2 * 608 - 288), parts = rows * 8 / 3;
    EXPECT_EQ(*cascade->memory_traffic(level_bytes),
              (MemoryTraffic{parts * q + keys * kv + parts * o, parts * o + rows * o}));
  }
  EXPECT_EQ(cascade->memory_traffic(1000).status().code(), StatusCode::invalid_argument);
}

}  // namespace
}  // namespace attend::test
