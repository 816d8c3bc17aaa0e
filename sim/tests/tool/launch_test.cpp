// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <numeric>

#include "sim/launch/simulator_backend.hpp"

// A small host program against the interface: nothing in it knows what stands behind. It runs on the simulator, and on
// a device where there is one.
namespace {

using namespace attend::cuda;  // NOLINT: this is that interface's test
using attend::Status;
using attend::StatusCode;

constexpr const char* kSum = R"(
.version 8.0
.target sm_90a
.address_size 64
.visible .const .align 4 .b32 bias = 5;
.visible .entry box_sum(.param .align 64 .b8 box_sum_map[128], .param .u64 box_sum_out)
{
  .shared .align 128 .b8 tile[256];
  .shared .align 8 .b64 bar;
  .reg .pred %first, %done;
  .reg .b32 %thread, %bar, %tile, %a, %b, %sum, %i, %bias;
  .reg .b64 %map, %out, %state;
  .reg .pred %more;
  mov.u32 %thread, %tid.x;
  mov.u32 %bar, bar;
  mov.u32 %tile, tile;
  setp.ne.u32 %first, %thread, 0;
  @%first bra wait;
  mbarrier.init.shared.b64 [%bar], 1;
  fence.mbarrier_init.release.cluster;
  mov.b64 %map, box_sum_map;
  cvta.param.u64 %map, %map;
  mbarrier.arrive.expect_tx.shared.b64 %state, [%bar], 256;
  cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%tile], [%map, {4, 2}], [%bar];
wait:
  bar.sync 0;
again:
  mbarrier.try_wait.parity.shared.b64 %done, [%bar], 0;
  @!%done bra again;
  mov.u32 %i, 0;
  mov.u32 %sum, 0;
next:
  add.s32 %a, %tile, %i;
  ld.shared.u32 %b, [%a];
  add.s32 %sum, %sum, %b;
  add.s32 %i, %i, 4;
  setp.lt.u32 %more, %i, 256;
  @%more bra next;
  @%first bra end;
  ld.const.u32 %bias, [bias];
  add.s32 %sum, %sum, %bias;
  ld.param.u64 %out, [box_sum_out];
  st.global.u32 [%out], %sum;
end:
  ret;
}
)";

struct Params {
  TensorMap map;
  uint64_t out;
};

/// The sum of an 8 x 8 box at column 4, row 2 of a 16 x 12 matrix of 0, 1, 2, ... by a tensor copy.
attend::Result<uint32_t> box_sum(LaunchBackend& backend) {
  const auto module = backend.load_module(kSum);
  if (!module.ok()) return module.status();
  const auto kernel = backend.kernel(*module, "box_sum");
  if (!kernel.ok()) return kernel.status();
  std::vector<uint32_t> matrix(16 * 12);
  std::iota(matrix.begin(), matrix.end(), 0U);
  const auto in = DeviceBuffer::make(backend, matrix.size() * 4, "matrix");
  const auto out = DeviceBuffer::make(backend, 4, "out");
  if (!in.ok()) return in.status();
  if (!out.ok()) return out.status();
  if (Status status = backend.copy_to_device(in->address(), std::as_bytes(std::span(matrix))); !status.ok())
    return status;
  TiledDesc desc;
  desc.type = TensorType::u32;
  desc.rank = 2;
  desc.address = in->address();
  desc.dim = {16, 12};
  desc.stride_bytes = {64};
  desc.box = {8, 8};
  const auto map = backend.encode_tiled(desc);
  if (!map.ok()) return map.status();
  const Params params{*map, out->address()};
  LaunchConfig config;
  config.block.x = 32;
  if (Status status = backend.launch(*kernel, config, {reinterpret_cast<const std::byte*>(&params), 136}); !status.ok())
    return status;
  uint32_t sum = 0;
  if (Status status = backend.copy_to_host(std::as_writable_bytes(std::span(&sum, 1)), out->address()); !status.ok())
    return status;
  return sum;
}

/// 5 + sum over rows 2..9 and columns 4..11 of 16 row + column.
constexpr uint32_t kExpected = 5 + 16 * 8 * (2 + 9) * 8 / 2 + 8 * (4 + 11) * 8 / 2;

TEST(launch_backend, host_program_runs_in_the_simulator) {
  const int failed = ptxsim::for_each_schedule(3, [](const ptxsim::Schedule& schedule) {
    ptxsim::SimulatorBackend backend(schedule);
    const auto sum = box_sum(backend);
    EXPECT_TRUE(sum.ok()) << sum.status().message();
    return sum.ok() && *sum == kExpected;
  });
  EXPECT_EQ(failed, 0);
}

TEST(launch_backend, host_program_runs_on_a_device_where_there_is_one) {
  const auto backend = make_driver_backend();
  if (!backend.ok()) GTEST_SKIP() << backend.status().message();
  if ((*backend)->facts().major != 9) GTEST_SKIP() << (*backend)->facts().name << " is no Hopper device";
  const auto sum = box_sum(**backend);
  ASSERT_TRUE(sum.ok()) << sum.status().message();
  EXPECT_EQ(*sum, kExpected);
}

constexpr const char* kAdd = R"(
.version 8.0
.target sm_90a
.address_size 64
.visible .entry add_one(.param .u64 add_one_at)
{
  .reg .b32 %x;
  .reg .b64 %at;
  ld.param.u64 %at, [add_one_at];
  griddepcontrol.wait;
  ld.global.u32 %x, [%at];
  add.s32 %x, %x, 1;
  st.global.u32 [%at], %x;
  ret;
}
)";

TEST(launch_backend, launches_of_a_stream_happen_in_order_programmatic_or_not) {
  ptxsim::SimulatorBackend simulator;
  LaunchBackend& backend = simulator;
  const auto module = backend.load_module(kAdd);
  ASSERT_TRUE(module.ok()) << module.status().message();
  const auto kernel = backend.kernel(*module, "add_one");
  ASSERT_TRUE(kernel.ok());
  const auto buffer = DeviceBuffer::make(backend, 4);
  ASSERT_TRUE(buffer.ok());
  ASSERT_TRUE(backend.fill(buffer->address(), 0, 4).ok());
  const auto stream = backend.create_stream();
  ASSERT_TRUE(stream.ok());
  const uint64_t address = buffer->address();
  for (int i = 0; i < 4; ++i) {
    LaunchConfig config;
    config.stream = *stream;
    config.programmatic = i % 2 == 1;
    ASSERT_TRUE(backend.launch(*kernel, config, std::as_bytes(std::span(&address, 1))).ok());
  }
  EXPECT_TRUE(simulator.reports().empty());  // nothing has asked for a result yet
  uint32_t value = 0;
  const Status copied = backend.copy_to_host(std::as_writable_bytes(std::span(&value, 1)), address, *stream);
  EXPECT_TRUE(copied.ok()) << copied.message();
  EXPECT_EQ(value, 4U);
  EXPECT_EQ(simulator.reports().size(), 2U);  // a programmatic one is reported with the one that it may overlap
  EXPECT_TRUE(backend.destroy_stream(*stream).ok());
}

TEST(launch_backend, errors_name_what_is_wrong) {
  ptxsim::SimulatorBackend simulator;
  LaunchBackend& backend = simulator;
  EXPECT_EQ(backend
                .load_module("\x7f"
                             "ELF...",
                             "k.cubin")
                .status()
                .code(),
            StatusCode::unsupported);
  const auto broken = backend.load_module(".version 8.0\n.target sm_90a\nno ptx", "broken.ptx");
  EXPECT_EQ(broken.status().code(), StatusCode::invalid_argument);
  const auto module = backend.load_module(kAdd);
  ASSERT_TRUE(module.ok()) << module.status().message();
  // A part of a name is not a name.
  const auto missing = backend.kernel(*module, "add");
  EXPECT_EQ(missing.status().code(), StatusCode::invalid_argument);
  EXPECT_NE(missing.status().message().find("add"), std::string::npos);
  EXPECT_EQ(backend.free(12345).code(), StatusCode::invalid_argument);
  TiledDesc desc;
  desc.rank = 9;
  EXPECT_EQ(backend.encode_tiled(desc).status().code(), StatusCode::invalid_argument);
  // A kernel that reads what nobody wrote: the hazard is the message.
  const auto kernel = backend.kernel(*module, "add_one");
  const auto buffer = DeviceBuffer::make(backend, 4, "never_written");
  ASSERT_TRUE(kernel.ok() && buffer.ok());
  const uint64_t address = buffer->address();
  ASSERT_TRUE(backend.launch(*kernel, {}, std::as_bytes(std::span(&address, 1))).ok());
  const Status ran = backend.synchronize({});
  EXPECT_EQ(ran.code(), StatusCode::device);
  EXPECT_NE(ran.message().find("H11"), std::string::npos) << ran.message();
  // After it the device goes on.
  ASSERT_TRUE(backend.fill(address, 0, 4).ok());
  ASSERT_TRUE(backend.launch(*kernel, {}, std::as_bytes(std::span(&address, 1))).ok());
  EXPECT_TRUE(backend.synchronize({}).ok());
  EXPECT_TRUE(backend.unload_module(*module).ok());
  EXPECT_EQ(backend.launch(*kernel, {}, {}).code(), StatusCode::invalid_argument);
}

}  // namespace
