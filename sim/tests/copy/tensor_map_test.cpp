// SPDX-License-Identifier: Apache-2.0
#include <numeric>
#include <string>
#include <vector>

#include "sim/tests/support/run.hpp"

// Tensor maps that a kernel changes: tensormap.replace in shared memory, tensormap.cp_fenceproxy to where it is used.
namespace ptxsim::test {
namespace {

/// A warp copies its parameter, a map, to shared memory; thread 0 changes it by `replace` ([%copy] is its address
/// there), the warp copies it to global memory, and a load with it (rank 1, box of 32 bytes) fills what `out` shows.
Module changing(const std::string& replace) {
  std::string text = R"(
.shared .align 1024 .b8 tile[1024];
.shared .align 128 .b8 copy[128];
.shared .align 8 .b64 full;
.visible .entry k(.param .u64 p_out, .param .u64 p_other, .param .u64 p_work, .param .align 64 .b8 p_map[128])
{
  .reg .b64 %out, %other, %work;
  .reg .b32 %t, %at, %copy, %tile, %bar, %v;
  .reg .pred %first, %done;
  ld.param.u64 %out, [p_out];
  ld.param.u64 %other, [p_other];
  ld.param.u64 %work, [p_work];
  mov.u32 %t, %tid.x;
  mov.u32 %copy, copy;
  mov.u32 %tile, tile;
  mov.u32 %bar, full;
  setp.eq.u32 %first, %t, 0;
  @!%first bra changed;
)";
  for (int word = 0; word < 32; ++word)
    text += "  ld.param.u32 %v, [p_map+" + std::to_string(4 * word) + "];\n  st.shared.u32 [%copy+" +
            std::to_string(4 * word) + "], %v;\n";
  return module_of(text + replace + R"(
  mbarrier.init.shared.b64 [%bar], 1;
  fence.proxy.async;
changed:
  bar.warp.sync -1;
  tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned [%work], [%copy], 128;
  fence.proxy.tensormap::generic.acquire.gpu [%work], 128;
  @!%first bra wait;
  mbarrier.arrive.expect_tx.shared.b64 _, [%bar], 32;
  cp.async.bulk.tensor.1d.shared::cta.global.tile.mbarrier::complete_tx::bytes [%tile], [%work, {0}], [%bar];
wait:
  mbarrier.try_wait.parity.shared.b64 %done, [%bar], 0;
  @!%done bra wait;
  setp.ge.u32 %done, %t, 8;
  @%done ret;
  shl.b32 %at, %t, 2;
  add.u32 %tile, %tile, %at;
  ld.shared.u32 %v, [%tile];
  cvt.u64.u32 %work, %at;
  add.u64 %out, %out, %work;
  st.global.u32 [%out], %v;
  ret;
}
)");
}

/// The map that the kernel gets: two dimensions of floats, and an array that it should not be used with.
RunReport run_changing(const std::string& replace, const Schedule& schedule, std::vector<uint32_t>& out) {
  Device device(schedule);
  std::vector<uint32_t> numbers(64);
  std::iota(numbers.begin(), numbers.end(), 100);
  const uint64_t other = device.upload_new(numbers), wrong = device.upload_new(std::vector<uint32_t>(64, 7));
  const uint64_t out_at = device.upload_new(std::vector<uint32_t>(8, 0)), work = device.alloc(128);
  const Result<TensorMap> map = device.encode_tiled(
      {.type = TensorType::f32, .rank = 2, .address = wrong, .dim = {16, 4}, .stride_bytes = {64}, .box = {16, 2}});
  EXPECT_TRUE(map.ok()) << map.status().message();
  const Module module = changing(replace);
  Result<RunReport> report = device.launch(module, "k", block_of(32), arguments(out_at, other, work, map.value()));
  EXPECT_TRUE(report.ok()) << report.status().message();
  out = device.download_all<uint32_t>(out_at, 8);
  return report.ok() ? std::move(report).value() : RunReport();
}

const std::string kReplace = R"(
  tensormap.replace.tile.global_address.shared::cta.b1024.b64 [%copy], %other;
  tensormap.replace.tile.rank.shared::cta.b1024.b32 [%copy], 0;
  tensormap.replace.tile.elemtype.shared::cta.b1024.b32 [%copy], 2;
  mov.u32 %v, 6;
  tensormap.replace.tile.global_dim.shared::cta.b1024.b32 [%copy], 0, %v;
  tensormap.replace.tile.box_dim.shared::cta.b1024.b32 [%copy], 0, 8;
)";

TEST(tensor_map, changed_fields_count) {
  for_each_schedule(3, [](const Schedule& schedule) {
    std::vector<uint32_t> out;
    const RunReport report = run_changing(kReplace, schedule, out);
    EXPECT_TRUE(report.clean()) << report.text();
    EXPECT_EQ(out, (std::vector<uint32_t>{100, 101, 102, 103, 104, 105, 0, 0}));
    return true;
  });
}

TEST(tensor_map, type_swizzle_and_fill_can_change) {
  // A row of the pattern is as wide as the box, and the first row is not exchanged.
  const std::string more = R"(
  tensormap.replace.tile.elemtype.shared::cta.b1024.b32 [%copy], 7;
  tensormap.replace.tile.element_stride.shared::cta.b1024.b32 [%copy], 0, 1;
  tensormap.replace.tile.swizzle_mode.shared::cta.b1024.b32 [%copy], 1;
  tensormap.replace.tile.interleave_layout.shared::cta.b1024.b32 [%copy], 0;
  tensormap.replace.tile.fill_mode.shared::cta.b1024.b32 [%copy], 1;
)";
  std::vector<uint32_t> out;
  const RunReport report = run_changing(kReplace + more, {}, out);
  EXPECT_TRUE(report.clean()) << report.text();
  EXPECT_EQ(std::vector<uint32_t>(out.begin(), out.begin() + 6), (std::vector<uint32_t>{100, 101, 102, 103, 104, 105}));
  EXPECT_GT(out[6] & 0x7fffffff, 0x7f800000u);
  EXPECT_GT(out[7] & 0x7fffffff, 0x7f800000u);
}

TEST(tensor_map, values_that_cannot_be_are_reported) {
  const auto expect_h17 = [](const std::string& replace, const std::string& what) {
    std::vector<uint32_t> out;
    const RunReport report = run_changing(replace, {}, out);
    EXPECT_TRUE(report.has(HazardId::H17)) << replace << report.text();
    EXPECT_NE(report.text().find(what), std::string::npos) << report.text();
  };
  const std::string at = ".shared::cta.b1024.b32 [%copy], ";
  expect_h17("  tensormap.replace.tile.rank" + at + "5;\n", "cannot be");
  expect_h17("  tensormap.replace.tile.elemtype" + at + "13;\n", "cannot be");
  expect_h17("  mov.u32 %v, 257;\n  tensormap.replace.tile.box_dim" + at + "0, %v;\n", "cannot be");
  // What does not go together shows when the map is used.
  expect_h17(kReplace + "  tensormap.replace.tile.box_dim" + at + "0, 3;\n", "box[0] in bytes is 12");
  expect_h17(kReplace + "  tensormap.replace.tile.fill_mode" + at + "1;\n", "fill is nan");
  // Bytes changed otherwise.
  expect_h17("  mov.u32 %v, 1;\n  st.shared.u32 [%copy+16], %v;\n" + kReplace, "changed after it was encoded");
}

}  // namespace
}  // namespace ptxsim::test
