// SPDX-License-Identifier: Apache-2.0
#include "sim/mutate/mutate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace ptxsim {
namespace {

const std::string kHeader = ".version 8.7\n.target sm_90a\n.address_size 64\n";

std::set<int32_t> all_lines(const std::string& text) {
  std::set<int32_t> lines;
  for (int32_t line = 1; line <= 1 + std::count(text.begin(), text.end(), '\n'); ++line) lines.insert(line);
  return lines;
}

/// "kind: mutated" of every mutant of a kernel with this body.
std::vector<std::string> mutants_in(const std::string& body) {
  const std::string text = kHeader +
                           ".entry k(.param .u64 out)\n{\n.reg .pred %p<4>; .reg .b32 %r<9>; .reg .b64 %d<9>; "
                           ".shared .b64 bar[4];\n" +
                           body + "\nret;\n}\n";
  const Result<Module> module = Module::parse(text, "k.ptx");
  EXPECT_TRUE(module.ok()) << module.status().message();
  std::vector<std::string> found;
  if (!module.ok()) return found;
  for (const Mutant& mutant : mutants_of(*module, text, "k", all_lines(text))) {
    found.push_back(mutant.kind + ": " + mutant.mutated);
    const Result<Module> parsed = Module::parse(mutate(text, mutant), "mutant");
    EXPECT_TRUE(parsed.ok()) << mutant.kind << " of " << mutant.original << ": " << parsed.status().message();
  }
  return found;
}

TEST(mutants, each_instruction_is_broken_in_its_own_ways) {
  using Kinds = std::vector<std::string>;
  const std::pair<const char*, Kinds> rows[] = {
      {"bar.sync 0;", {"delete: {}"}},
      {"bar.sync 1, 64;", {"delete: {}", "arrive only: bar.arrive 1, 64;"}},
      {"bar.warp.sync -1;", {"delete: {}"}},
      {"wgmma.wait_group.sync.aligned 1;", {"delete: {}", "wait for less: wgmma.wait_group.sync.aligned 2;"}},
      {"cp.async.bulk.wait_group.read 0;", {"delete: {}", "wait for less: cp.async.bulk.wait_group.read 1;"}},
      {"cp.async.commit_group;", {"delete: {}"}},
      {"fence.proxy.async;", {"delete: {}"}},
      {"fence.mbarrier_init.release.cluster;", {"delete: {}"}},
      {"fence.acq_rel.gpu;", {"delete: {}", "narrow scope: fence.acq_rel.cta;"}},
      {"mbarrier.init.shared.b64 [bar], 1;",
       {"one arrival more: mbarrier.init.shared.b64 [bar], 2;",
        "one arrival less: mbarrier.init.shared.b64 [bar], 0;"}},
      {"mbarrier.init.shared.b64 [bar], %r1;",
       {"one arrival more: { .reg .b32 %mutated; add.s32 %mutated, %r1, 1; mbarrier.init.shared.b64 [bar], %mutated; }",
        "one arrival less: { .reg .b32 %mutated; add.s32 %mutated, %r1, -1; mbarrier.init.shared.b64 [bar], %mutated; "
        "}"}},
      {"mbarrier.arrive.shared.b64 _, [bar];", {"delete: {}"}},
      {"mbarrier.arrive.release.cta.shared.b64 _, [bar];",
       {"delete: {}", "relax: mbarrier.arrive.relaxed.cta.shared.b64 _, [bar];"}},
      {"mbarrier.arrive.expect_tx.shared.b64 _, [bar], 64;",
       {"delete: {}", "expect more: mbarrier.arrive.expect_tx.shared.b64 _, [bar], 80;"}},
      {"@!%p1 mbarrier.arrive.expect_tx.shared.b64 _, [bar], %r2;",
       {"delete: {}",
        "expect more: { .reg .b32 %mutated; add.s32 %mutated, %r2, 16; @!%p1 mbarrier.arrive.expect_tx.shared.b64 _, "
        "[bar], %mutated; }"}},
      {"mbarrier.try_wait.parity.shared.b64 %p1, [bar], 0;", {"pass: setp.eq.u32 %p1, 0, 0;"}},
      {"@%p2 mbarrier.test_wait.parity.acquire.cta.shared.b64 %p1, [bar], %r1;",
       {"pass: @%p2 setp.eq.u32 %p1, 0, 0;",
        "relax: @%p2 mbarrier.test_wait.parity.relaxed.cta.shared.b64 %p1, [bar], %r1;"}},
      {"@%p1 bar.sync 0;", {"delete: {}"}},
      {"ld.acquire.gpu.global.u32 %r1, [%d1];",
       {"relax: ld.relaxed.gpu.global.u32 %r1, [%d1];", "narrow scope: ld.acquire.cta.global.u32 %r1, [%d1];"}},
      {"st.release.sys.global.u32 [%d1], %r1;",
       {"relax: st.relaxed.sys.global.u32 [%d1], %r1;", "narrow scope: st.release.cta.global.u32 [%d1], %r1;"}},
      {"atom.acq_rel.gpu.global.add.u32 %r1, [%d1], 1;",
       {"relax: atom.relaxed.gpu.global.add.u32 %r1, [%d1], 1;",
        "narrow scope: atom.acq_rel.cta.global.add.u32 %r1, [%d1], 1;"}},
      {"atom.global.add.u32 %r1, [%d1], 1;", {}},
      {"ld.global.u32 %r1, [%d1]; st.relaxed.gpu.global.u32 [%d1], %r1;", {}},
      {"barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;",
       {"delete: {}", "relax: barrier.cluster.arrive.relaxed.aligned;", "delete: {}"}},
      {"setmaxnreg.dec.sync.aligned.u32 40;", {"delete: {}"}},
  };
  for (const auto& [body, expected] : rows) EXPECT_EQ(mutants_in(body), expected) << body;
}

TEST(mutants, statements_are_found_among_labels_guards_scopes_and_comments) {
  const auto found = mutants_in(
      "A: { bar.sync 0; /* bar.sync 1; */ B: @%p1 bar.sync 2; } // bar.sync 3;\n"
      "mov.b64 %d1, {%r1, %r2}; bar.sync\t\n  4; bar.sync 5 ; membar.cta;\nC:bar.sync 6;");
  EXPECT_EQ(found, std::vector<std::string>(6, "delete: {}"));
  const std::string text = kHeader + ".entry k()\n{\n.reg .pred %p;\nbar.sync 1; @%p bar.sync\n // why\n 2;\nret;\n}\n";
  const std::vector<Mutant> mutants = mutants_of(*Module::parse(text), text, "k", all_lines(text));
  ASSERT_EQ(mutants.size(), 2u);
  EXPECT_EQ(mutants[1].original, "@%p bar.sync 2;");
  EXPECT_EQ(mutate(text, mutants[1]), kHeader + ".entry k()\n{\n.reg .pred %p;\nbar.sync 1; {}\nret;\n}\n");
}

TEST(mutants, lines_that_did_not_run_and_other_entries_are_left_alone) {
  const std::string text =
      kHeader + ".entry a()\n{\nbar.sync 0;\nbar.sync 0;\nret;\n}\n.entry b()\n{\nbar.sync 0;\nret;\n}\n";
  const Module module = *Module::parse(text);
  EXPECT_EQ(mutants_of(module, text, "a", all_lines(text)).size(), 2u);
  EXPECT_EQ(mutants_of(module, text, "b", all_lines(text)).size(), 1u);
  const std::vector<Mutant> one = mutants_of(module, text, "a", {7});
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].line, 7);
  EXPECT_TRUE(mutants_of(module, text, "a", {}).empty());
  EXPECT_TRUE(mutants_of(module, text, "c", all_lines(text)).empty());
}

/// Warp 0 copies 4 tiles of 512 bytes through a ring of two into shared memory; warps 1 to 4 add 1 and put each tile
/// into another ring, which warp 0's lane 0 sends back to global memory.
constexpr const char* kRing = R"(
.visible .entry ring(.param .u64 ring_out, .param .u64 ring_in)
{
  .shared .align 128 .b8 tile[1024];
  .shared .align 128 .b8 result[1024];
  .shared .align 8 .b64 full[2];
  .shared .align 8 .b64 empty[2];
  .reg .pred %p, %done, %more;
  .reg .b32 %thread, %i, %stage, %phase, %full, %empty, %tile, %result, %lane, %x, %at;
  .reg .b64 %out, %in;
  ld.param.u64 %out, [ring_out];
  ld.param.u64 %in, [ring_in];
  mov.u32 %thread, %tid.x;
  mov.u32 %i, 0;
  setp.ne.u32 %p, %thread, 0;
  @%p bra ready;
  mbarrier.init.shared.b64 [full], 1;
  mbarrier.init.shared.b64 [full+8], 1;
  mbarrier.init.shared.b64 [empty], 4;
  mbarrier.init.shared.b64 [empty+8], 4;
ready:
  bar.sync 0;
  setp.ge.u32 %p, %thread, 32;
  @%p bra consumer;
  setp.ne.u32 %p, %thread, 0;
  @%p bra end;
produce:
  and.b32 %stage, %i, 1;
  shr.u32 %phase, %i, 1;
  xor.b32 %phase, %phase, 1;
  and.b32 %phase, %phase, 1;
  shl.b32 %at, %stage, 3;
  mov.u32 %full, full;
  add.u32 %full, %full, %at;
  mov.u32 %empty, empty;
  add.u32 %empty, %empty, %at;
  shl.b32 %at, %stage, 9;
  mov.u32 %tile, tile;
  add.u32 %tile, %tile, %at;
wait_empty:
  mbarrier.try_wait.parity.shared.b64 %done, [%empty], %phase;
  @!%done bra wait_empty;
  mbarrier.arrive.expect_tx.shared.b64 _, [%full], 512;
  cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%tile], [%in], 512, [%full];
  add.u64 %in, %in, 512;
  add.u32 %i, %i, 1;
  setp.lt.u32 %more, %i, 4;
  @%more bra produce;
  bra end;
consumer:
  sub.u32 %lane, %thread, 32;
consume:
  and.b32 %stage, %i, 1;
  shr.u32 %phase, %i, 1;
  and.b32 %phase, %phase, 1;
  shl.b32 %at, %stage, 3;
  mov.u32 %full, full;
  add.u32 %full, %full, %at;
  mov.u32 %empty, empty;
  add.u32 %empty, %empty, %at;
  shl.b32 %at, %stage, 9;
  mov.u32 %tile, tile;
  add.u32 %tile, %tile, %at;
  mov.u32 %result, result;
  add.u32 %result, %result, %at;
wait_full:
  mbarrier.try_wait.parity.shared.b64 %done, [%full], %phase;
  @!%done bra wait_full;
  shl.b32 %at, %lane, 2;
  add.u32 %x, %tile, %at;
  ld.shared.u32 %x, [%x];
  add.u32 %x, %x, 1;
  and.b32 %full, %thread, 31;
  setp.eq.u32 %p, %full, 0;
  bar.warp.sync -1;
  @%p mbarrier.arrive.shared.b64 _, [%empty];
  setp.eq.u32 %done, %lane, 0;
  @%done cp.async.bulk.wait_group.read 1;
  bar.sync 1, 128;
  add.u32 %at, %result, %at;
  st.shared.u32 [%at], %x;
  fence.proxy.async.shared::cta;
  bar.sync 2, 128;
  @%done cp.async.bulk.global.shared::cta.bulk_group [%out], [%result], 512;
  @%done cp.async.bulk.commit_group;
  add.u64 %out, %out, 512;
  add.u32 %i, %i, 1;
  setp.lt.u32 %more, %i, 4;
  @%more bra consume;
  @%done cp.async.bulk.wait_group.read 0;
end:
  ret;
}
)";

struct Ring {
  std::string text = kHeader + kRing;
  Module module = *Module::parse(text);
  uint64_t budget = 2'000'000'000;

  RunReport run(const Module& which, const Schedule& schedule, std::vector<uint32_t>& out,
                bool coverage = false) const {
    Device device(schedule);
    TraceOptions trace;
    trace.coverage = coverage;
    device.set_trace(trace);
    std::vector<uint32_t> in(512);
    std::iota(in.begin(), in.end(), 0u);
    const uint64_t in_at = device.upload_new(in), out_at = device.alloc(in.size() * 4);
    LaunchOptions options;
    options.block.x = 160;
    options.instruction_budget = budget;
    Result<RunReport> report = device.launch(which, "ring", options, arguments(out_at, in_at));
    EXPECT_TRUE(report.ok()) << report.status().message();
    out = device.download_all<uint32_t>(out_at, in.size());
    return std::move(report).value();
  }
  /// What is wrong with a run.
  std::string trial(const Module& which, const Schedule& schedule) const {
    std::vector<uint32_t> out;
    const RunReport report = run(which, schedule, out);
    if (!report.clean()) return hazard_ids(report);
    for (uint32_t i = 0; i < out.size(); ++i)
      if (out[i] != i + 1) return "wrong result";
    return {};
  }
};

TEST(mutation, every_mutant_of_a_ring_is_caught) {
  Ring ring;
  for_each_schedule(3, [&](const Schedule& schedule) {
    EXPECT_EQ(ring.trial(ring.module, schedule), "") << schedule.text();
    return true;
  });
  std::vector<uint32_t> out;
  const RunReport clean = ring.run(ring.module, {}, out, true);
  ring.budget = 10 * clean.counts.warp_instructions;
  const std::vector<Mutant> mutants = mutants_of(ring.module, ring.text, "ring", executed_lines(clean));
  EXPECT_EQ(mutants.size(), 25u);
  std::map<std::string, int> kinds;
  for (const Mutant& mutant : mutants) ++kinds[mutant.kind];
  EXPECT_EQ(kinds.size(), 7u);
  size_t told = 0, runs = 0;
  const auto trial = [&](const Module& module, const Schedule& schedule) {
    ++runs;
    return ring.trial(module, schedule);
  };
  const std::vector<MutantResult> results =
      run_mutants(ring.text, mutants, 2, trial, [&](const MutantResult&) { ++told; });
  EXPECT_EQ(told, mutants.size());
  const MutationScore score = judge(results);
  EXPECT_EQ(score.caught, mutants.size()) << score.text();
  EXPECT_LT(runs, 2 * mutants.size() + 16) << "most mutants need one run";
}

TEST(mutation, a_mutant_is_tried_until_someone_notices) {
  const std::string text = kHeader + ".entry k()\n{\nbar.sync 0;\nret;\n}\n";
  const std::vector<Mutant> mutants = mutants_of(*Module::parse(text), text, "k", all_lines(text));
  std::vector<std::string> seen;
  const auto results = run_mutants(text, mutants, 3, [&](const Module&, const Schedule& schedule) -> std::string {
    seen.push_back(schedule.text());
    return seen.size() == 5 ? "H08" : "";
  });
  ASSERT_EQ(results.size(), 1u);
  EXPECT_TRUE(results[0].caught);
  EXPECT_EQ(results[0].tried, 5u);
  EXPECT_EQ(results[0].how, "H08 under " + seen.back());
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 5u);
  const auto survives = run_mutants(text, mutants, 3, [](const Module&, const Schedule&) { return std::string(); });
  EXPECT_FALSE(survives[0].caught);
  EXPECT_EQ(survives[0].tried, 12u);
}

TEST(mutation, what_the_parser_refuses_is_caught_without_a_run) {
  const std::string text = kHeader + ".entry k()\n{\nbar.sync 15;\nret;\n}\n";
  Mutant mutant = mutants_of(*Module::parse(text), text, "k", all_lines(text)).at(0);
  mutant.mutated = "bar.sync;";
  const auto results = run_mutants(text, {mutant}, 1, [](const Module&, const Schedule&) -> std::string {
    ADD_FAILURE() << "ran";
    return {};
  });
  EXPECT_TRUE(results[0].caught);
  EXPECT_TRUE(results[0].how.starts_with("refused: mutant:6: bar.sync: ")) << results[0].how;
}

MutantResult result_of(const std::string& kind, const std::string& original, const std::string& source, bool caught) {
  MutantResult result;
  result.mutant.line = 7;
  result.mutant.kind = kind;
  result.mutant.original = original;
  result.mutant.source = source;
  result.caught = caught;
  return result;
}

TEST(mutation, survivors_are_judged_one_by_one) {
  std::vector<MutantResult> results(18, result_of("delete", "bar.sync 0;", "a.cu:1", true));
  results.push_back(result_of("delete", "fence.proxy.async;", "a.cu:2", false));
  results.push_back(result_of("relax", "mbarrier.arrive.release.cta _, [x];", "a.cuh:3, inlined at a.cu:4", false));
  const MutationScore plain = judge(results);
  EXPECT_EQ(plain.caught, 18u);
  EXPECT_EQ(plain.survivors.size(), 2u);
  EXPECT_DOUBLE_EQ(plain.percent(), 90);
  EXPECT_NE(plain.text().find("18 of 20 caught (90.0 %), 0 equivalent"), std::string::npos);
  EXPECT_NE(plain.text().find("survives: line 7 (a.cu:2), delete: fence.proxy.async;"), std::string::npos);
  const MutationScore judged = judge(results, {{"relax", "a.cu:4", "nobody reads what it wrote"},
                                               {"delete", "fence.proxy.async", "the reader has one"},
                                               {"delete", "bar.sync 0", "not needed"},
                                               {"relax", "fence.proxy.async", "no such mutant"}});
  EXPECT_TRUE(judged.survivors.empty());
  EXPECT_DOUBLE_EQ(judged.percent(), 100);
  ASSERT_EQ(judged.equivalent.size(), 2u);
  EXPECT_EQ(judged.equivalent[0].reason, "the reader has one");
  // A reason that no survivor needs is out of date.
  ASSERT_EQ(judged.unused.size(), 2u);
  EXPECT_EQ(judged.unused[0].where, "bar.sync 0");
  EXPECT_NE(judged.text().find("no survivor is \"relax\" at \"fence.proxy.async\""), std::string::npos);
  EXPECT_DOUBLE_EQ(judge({}).percent(), 100);
}

}  // namespace
}  // namespace ptxsim
