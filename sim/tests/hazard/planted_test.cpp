// SPDX-License-Identifier: Apache-2.0
// Every hazard planted once, beside the smallest right variant, under every asynchronous policy.
#include <set>

#include "sim/tests/copy/copy.hpp"
#include "sim/tests/matrix/wgmma_kernel.hpp"

namespace ptxsim::test {
namespace {

struct Launch {
  uint32_t threads = 64, ctas = 1, cluster = 1, dynamic_shared = 0, registers = 0;
  bool map = false;  ///< `in` begins with a tensor map
};
struct Row {
  HazardId id;
  std::string name;
  Module planted, near_miss;
  Launch launch = {};
};
constexpr int kSeeds = 5;
constexpr size_t kWords = 256;

LaunchOptions options_of(const Launch& launch) {
  LaunchOptions options = block_of(launch.threads);
  options.grid.x = launch.ctas;
  options.cluster.x = launch.cluster;
  options.dynamic_shared_bytes = launch.dynamic_shared;
  options.registers_per_thread = launch.registers;
  return options;
}

Module copy_kernel(const std::string& body) { return kernel_of(kBegin + body + "ret;\n", tile_of(1024)); }

const std::string kExpect = "@%p mbarrier.arrive.expect_tx.shared.b64 %state, [%b], 1024;\n";
const std::string kLoad =
    "@%p cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%s], [%rd_in], 1024, [%b];\n";
const std::string kStore = "@%p cp.async.bulk.global.shared::cta.bulk_group [%rd_out], [%s], 1024;\n";
const std::string kEnd = "@%p cp.async.bulk.commit_group;\n@%p cp.async.bulk.wait_group.read 0;\n";

void add_copies(std::vector<Row>& rows) {
  const auto add = [&](HazardId id, const char* name, const std::string& planted, const std::string& near_miss,
                       Launch launch = {}) {
    rows.push_back({id, name, copy_kernel(planted), copy_kernel(near_miss), launch});
  };
  const std::string used = fill(kWords, 64), shown = wait("%b", "0") + show(kWords, 64);
  const std::string stored = used + kStore + kEnd, loaded = kExpect + kLoad + shown;
  const std::string overwrite = "@%p st.shared.u32 [tile+32], 5;\n";
  const std::string commit = "@%p cp.async.bulk.commit_group;\n", read = "@%p cp.async.bulk.wait_group.read 0;\n";
  add(HazardId::H04, "store_without_proxy_fence", with(stored, "fence.proxy.async;\n", ""), stored);
  add(HazardId::H05, "source_overwritten", used + kStore + commit + overwrite + read, stored + overwrite);
  add(HazardId::H06, "load_left_in_flight", kExpect + kLoad, loaded);
  add(HazardId::H07, "read_before_wait", kExpect + kLoad + show(kWords, 64) + wait("%b", "0"), loaded);
  add(HazardId::H08, "no_barrier_behind_writes", with(used, "bar.sync 0;\n", "") + kStore + kEnd, stored);
  add(HazardId::H09, "load_over_a_read", used + "ld.shared.u32 %v, [tile+64];\n" + loaded,
      used + "ld.shared.u32 %v, [tile+64];\nbar.sync 0;\n" + loaded);
  add(HazardId::H10, "two_ctas_write", "@%p st.global.u32 [%rd_out], 1;\n", "@%p red.global.add.u32 [%rd_out], 1;\n",
      {.ctas = 2});
  add(HazardId::H11, "source_never_written", kStore + kEnd, stored);
  add(HazardId::H12, "wrong_mbarrier", kExpect + with(kLoad, "[%b]", "[%s]") + shown, loaded);
  add(HazardId::H13, "load_over_mbarrier", kExpect + with(with(kLoad, "[%s]", "[%b]"), "1024", "16") + shown, loaded);
  const std::string arrive = "@%p mbarrier.arrive.shared.b64 %state, [%b], 1;\n";
  add(HazardId::H14, "too_many_arrivals", with(arrive, ", 1;", ", 2;"), arrive);
  const std::string look = "@%p mbarrier.test_wait.parity.shared.b64 %p, [%b], 0;\nsetp.eq.u32 %p, %tid1, 0;\n";
  add(HazardId::H15, "two_phases_between_looks", look + arrive + arrive + look, look + arrive + look);
  add(HazardId::H17, "not_a_map", "prefetch.tensormap [%rd_in+128];\n", "prefetch.tensormap [%rd_in];\n",
      {.map = true});
  add(HazardId::H18, "expects_too_much", with(kExpect, "1024", "1040") + kLoad + shown, loaded);
  const std::string remote =
      "mapa.shared::cluster.u32 %v, %s, 1;\n@%p st.shared::cluster.u32 [%v], 5;\n"
      "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n";
  add(HazardId::H19, "rank_outside_cluster", with(remote, "%s, 1;", "%s, 2;"),
      "mov.u32 %i, %cluster_ctarank;\nsetp.eq.and.u32 %p, %i, 0, %p;\n" + remote, {.ctas = 2, .cluster = 2});
  add(HazardId::H21, "barrier_16", "mov.u32 %v, 16;\nbar.sync %v;\n", "mov.u32 %v, 15;\nbar.sync %v;\n");
  add(HazardId::H22, "misaligned", "ld.global.u32 %v, [%rd_in+2];\n", "ld.global.u32 %v, [%rd_in+4];\n");
  const std::string fewer = "setmaxnreg.dec.sync.aligned.u32 104;\n";
  add(HazardId::H23, "dec_upwards", with(fewer, "104", "136"), fewer, {.threads = 128, .registers = 128});
}

/// CTA 1 arrives at an mbarrier of CTA 0.
void add_signals(std::vector<Row>& rows) {
  const std::string fence = "fence.mbarrier_init.release.cluster;\n";
  const std::string right = R"(
  .reg .b32 %b, %rank, %remote; .reg .pred %p;
  mov.u32 %b, full;
  mov.u32 %rank, %cluster_ctarank;
  setp.eq.u32 %p, %tid1, 0;
  @%p mbarrier.init.shared::cta.b64 [%b], 32;
  fence.mbarrier_init.release.cluster;
  barrier.cluster.arrive.relaxed.aligned;
  barrier.cluster.wait.aligned;
  setp.eq.u32 %p, %rank, 0;
  @%p bra RECEIVE;
  mapa.shared::cluster.u32 %remote, %b, 0;
  mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%remote];
  ret;
RECEIVE:
)" + wait("%b", "0", "try_wait.parity.acquire.cluster.shared::cta.b64") +
                            "ret;\n";
  rows.push_back({HazardId::H24,
                  "init_not_published",
                  kernel_of(with(right, fence, ""), tile_of(16)),
                  kernel_of(right, tile_of(16)),
                  {32, 2, 2}});
}

void add_products(std::vector<Row>& rows) {
  constexpr uint32_t kBytes = 3072;
  const auto descriptor = [](uint32_t base) { return Tile{"bf16", 8, 32, false, base, 0, 16, 256}.descriptor(); };
  const std::string fence = "  wgmma.fence.sync.aligned;\n", commit = "  wgmma.commit_group.sync.aligned;\n";
  const std::string done = "  wgmma.wait_group.sync.aligned 0;\n", store = store_words("d", 4);
  const std::string zero = "  mov.b32 %a0, 0;\n  mov.b32 %a1, 0;\n  mov.b32 %a2, 0;\n  mov.b32 %a3, 0;\n";
  const std::string begin = wgmma_prologue(kBytes) + publish() + make_descriptor("desc_a", descriptor(0)) +
                            make_descriptor("desc_b", descriptor(2048));
  WgmmaText text{8, 16, "f32", "bf16", "bf16"};
  const std::string mma = text.instruction("d", "%desc_a", "%desc_b", "%no");
  text.a_in_registers = true;
  const std::string from_registers = begin + zero + fence + text.instruction("d", "a", "%desc_b", "%no") + commit;
  const std::string right = begin + fence + mma + commit + done + store;
  const auto add = [&](HazardId id, const char* name, const std::string& planted, const std::string& near_miss) {
    rows.push_back({id, name, wgmma_kernel(planted), wgmma_kernel(near_miss), {128, 1, 1, kBytes}});
  };
  add(HazardId::H01, "accumulator_read_early", begin + fence + mma + commit + store + done, right);
  add(HazardId::H02, "fragment_overwritten", from_registers + "  mov.b32 %a2, 1;\n" + done,
      from_registers + done + "  mov.b32 %a2, 1;\n");
  add(HazardId::H03, "no_wgmma_fence", begin + mma + commit + done, right);
  add(HazardId::H16, "base_offset",
      begin + "  add.u64 %desc_b, %desc_b, 562949953421312;\n" + fence + mma + commit + done, right);
  add(HazardId::H20, "a_lane_stays_away", begin + fence + "  setp.ne.u32 %p, %tid1, 5;\n  @%p" + mma + commit + done,
      right);
}

const std::vector<Row>& rows() {
  static const std::vector<Row> all = [] {
    std::vector<Row> out;
    add_copies(out);
    add_products(out);
    add_signals(out);
    return out;
  }();
  return all;
}

std::vector<uint32_t> input(const Row& row) {
  std::vector<uint32_t> words(row.launch.dynamic_shared ? 2048 : 256, 0);
  if (row.launch.map) {
    Device device;
    TiledDesc desc;
    desc.type = TensorType::f32, desc.rank = 1, desc.address = device.alloc(1024);
    desc.dim = {256}, desc.box = {64}, desc.element_stride = {1};
    const Result<TensorMap> map = device.encode_tiled(desc);
    EXPECT_TRUE(map.ok()) << map.status().message();
    if (map.ok()) std::memcpy(words.data(), &*map, sizeof *map);
  }
  return words;
}

// H25 compares runs and is what `ptxsim check` finds: sim/tests/tool/tool_test.py plants it.
TEST(planted, every_hazard_of_a_launch_has_a_row) {
  std::set<HazardId> ids;
  for (const Row& row : rows()) ids.insert(row.id);
  for (int id = 0; id <= static_cast<int>(HazardId::H24); ++id)
    EXPECT_TRUE(ids.contains(static_cast<HazardId>(id))) << hazard_id(static_cast<HazardId>(id));
}

TEST(planted, every_planted_hazard_is_reported) {
  for (const Row& row : rows()) {
    SCOPED_TRACE(row.name);
    int runs = 0, silent = 0;
    const int missed = for_each_schedule(kSeeds, [&](const Schedule& schedule) {
      const Ran ran = run(row.planted, schedule, options_of(row.launch), 512, input(row));
      ++runs;
      silent += ran.report.clean();
      return ran.report.has(row.id);
    });
    EXPECT_GE((runs - missed) * 100, 95 * runs) << hazard_id(row.id) << ": missed in " << missed << " of " << runs;
    EXPECT_LT(silent, runs);
  }
}

TEST(planted, no_near_miss_is_reported) {
  for (const Row& row : rows()) {
    SCOPED_TRACE(row.name);
    for_each_schedule(kSeeds, [&](const Schedule& schedule) {
      const Ran ran = run(row.near_miss, schedule, options_of(row.launch), 512, input(row));
      EXPECT_TRUE(ran.report.clean()) << ran.report.text();
      return true;
    });
  }
}

TEST(planted, the_schedule_of_a_report_gives_the_report_again) {
  for (const Row& row : rows())
    for_each_schedule(1, [&](const Schedule& schedule) {
      const auto text = [&] {
        return run(row.planted, schedule, options_of(row.launch), 512, input(row)).report.text();
      };
      const std::string first = text();
      EXPECT_EQ(first, text()) << row.name;
      EXPECT_NE(first.find(schedule.text()), std::string::npos) << row.name;
      return true;
    });
}

TEST(planted, a_report_names_both_parties_and_where_they_stand) {
  const Module module = kernel_of(R"(
  .reg .b32 %v; .reg .pred %p;
  .loc 1 41 3
  setp.eq.u32 %p, %tid1, 3;
  @%p st.shared.u32 [x], 7;
  .loc 1 42 5
  setp.eq.u32 %p, %tid1, 37;
  @%p ld.shared.u32 %v, [x];
  ret;)",
                                  ".file 1 \"kernel.cu\"\n.shared .align 4 .b8 x[4];\n");
  int seen = 0;
  for_each_schedule(kSeeds, [&](const Schedule& schedule) {
    const Ran ran = run(module, schedule, block_of(64), 1);
    for (const Hazard& hazard : ran.report.hazards) {
      if (hazard.id != HazardId::H08) continue;  // H09 where the read came first
      ++seen;
      EXPECT_EQ(hazard.kernel, "k");
      EXPECT_EQ(hazard.site.source, "kernel.cu:42");
      EXPECT_EQ(hazard.other.source, "kernel.cu:41");
      EXPECT_EQ(hazard.site.line, hazard.other.line + 3);
      EXPECT_EQ(hazard.site.cta, 0u);
      EXPECT_EQ(hazard.site.warp, 1);
      EXPECT_EQ(hazard.site.lane, 5);
      EXPECT_EQ(hazard.other.warp, 0);
      EXPECT_EQ(hazard.other.lane, 3);
      EXPECT_EQ(hazard.schedule, schedule.text());
      for (const char* part : {"H08", "kernel.cu:42", "kernel.cu:41", "warp 1", "lane 5", "warp 0", "lane 3", "seed="})
        EXPECT_NE(hazard.text().find(part), std::string::npos) << part << " in\n" << hazard.text();
    }
    return true;
  });
  EXPECT_GT(seen, 0);
}

}  // namespace
}  // namespace ptxsim::test
