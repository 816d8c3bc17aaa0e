// SPDX-License-Identifier: Apache-2.0
// cp.async.bulk.tensor against a model that goes element by element: ranks, boxes over every edge, swizzles, types,
// fill.
#include <cmath>
#include <cstring>
#include <random>

#include "sim/tests/copy/copy.hpp"

namespace ptxsim::test {
namespace {

constexpr uint32_t kThreads = 64;

uint32_t bytes_of(TensorType type) {
  constexpr uint32_t kBytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
  return kBytes[static_cast<size_t>(type)];
}

struct Tensor {
  TiledDesc desc;
  std::array<int32_t, 5> at{};
  size_t bytes = 0;  ///< in global memory

  std::array<uint32_t, 5> extent() const {
    std::array<uint32_t, 5> extent{1, 1, 1, 1, 1};
    for (uint32_t i = 0; i < desc.rank; ++i)
      extent[i] = i == 0 ? desc.box[0] : (desc.box[i] + desc.element_stride[i] - 1) / desc.element_stride[i];
    return extent;
  }
  uint32_t box_bytes() const {
    uint32_t bytes_all = bytes_of(desc.type);
    for (const uint32_t e : extent()) bytes_all *= e;
    return bytes_all;
  }
  /// f(byte in shared memory, byte in global memory or -1) for the first byte of each element of the box.
  template <class F>
  void each(F f) const {
    const auto e = extent();
    uint32_t dense = 0;
    std::array<uint32_t, 5> i{};
    for (i[4] = 0; i[4] < e[4]; ++i[4])
      for (i[3] = 0; i[3] < e[3]; ++i[3])
        for (i[2] = 0; i[2] < e[2]; ++i[2])
          for (i[1] = 0; i[1] < e[1]; ++i[1])
            for (i[0] = 0; i[0] < e[0]; ++i[0], dense += bytes_of(desc.type)) {
              int64_t global = 0;
              bool inside = true;
              for (uint32_t r = 0; r < desc.rank; ++r) {
                const int64_t x = int64_t{at[r]} + int64_t{i[r]} * (r == 0 ? 1 : desc.element_stride[r]);
                inside = inside && x >= 0 && x < static_cast<int64_t>(desc.dim[r]);
                global += x * static_cast<int64_t>(r == 0 ? bytes_of(desc.type) : desc.stride_bytes[r - 1]);
              }
              // Bits 4 to 6 of the address, as many as the swizzle has, are mixed with bits 7 to 9.
              const uint32_t bits = static_cast<uint32_t>(desc.swizzle);
              const uint32_t shared = dense ^ ((dense >> 7 & ((1u << bits) - 1)) << 4);
              f(shared, inside ? global : -1);
            }
  }
};

/// Entry t(out, in, map, c0..c4) with kBegin's registers; %map and %c0..%c4.
Module tensor_kernel(const std::string& body, uint32_t box_bytes) {
  return module_of(tile_of(box_bytes) + R"(
.visible .entry t(.param .u64 k_out, .param .u64 k_in, .param .align 64 .b8 k_map[128], .param .u32 k_c0, .param .u32 k_c1,
                  .param .u32 k_c2, .param .u32 k_c3, .param .u32 k_c4)
{
  .reg .b64 %rd_out, %rd_in, %map;
  .reg .b32 %tid1, %c<5>;
  ld.param.u64 %rd_out, [k_out];
  ld.param.u64 %rd_in, [k_in];
  mov.b64 %map, k_map;
  cvta.param.u64 %map, %map;
  ld.param.u32 %c0, [k_c0];
  ld.param.u32 %c1, [k_c1];
  ld.param.u32 %c2, [k_c2];
  ld.param.u32 %c3, [k_c3];
  ld.param.u32 %c4, [k_c4];
  mov.u32 %tid1, %tid.x;
)" + kBegin + body +
                   "ret;\n}\n");
}

std::string place(uint32_t rank) {
  constexpr const char* kCoordinates[] = {"%c0", "%c0, %c1", "%c0, %c1, %c2", "%c0, %c1, %c2, %c3",
                                          "%c0, %c1, %c2, %c3, %c4"};
  return std::string("[%map, {") + kCoordinates[rank - 1] + "}]";
}

std::string load_text(const Tensor& tensor) {
  const uint32_t rank = tensor.desc.rank;
  return "@%p mbarrier.arrive.expect_tx.shared.b64 %state, [%b], " + std::to_string(tensor.box_bytes()) +
         ";\n@%p cp.async.bulk.tensor." + std::to_string(rank) +
         "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%s], " + place(rank) + ", [%b];\n" +
         wait("%b", "0") + show(tensor.box_bytes() / 4, kThreads);
}
std::string store_text(const Tensor& tensor, const std::string& opcode = "cp.async",
                       const std::string& operation = "") {
  const uint32_t rank = tensor.desc.rank;
  return fill(tensor.box_bytes() / 4, kThreads) + "@%p " + opcode + ".bulk.tensor." + std::to_string(rank) +
         "d.global.shared::cta" + operation + ".tile.bulk_group " + place(rank) +
         ", [%s];\n@%p cp.async.bulk.commit_group;\n@%p cp.async.bulk.wait_group 0;\n";
}

struct TensorRun {
  RunReport report;
  std::vector<uint8_t> out, global;
};

/// `global`: the tensor's memory; `in`: what fill() puts into the tile.
TensorRun run_tensor(Tensor tensor, const std::string& body, const Schedule& schedule,
                     const std::vector<uint8_t>& global, const std::vector<uint8_t>& in = {0},
                     void (*tamper)(TensorMap&) = nullptr) {
  Device device(schedule);
  tensor.desc.address = device.upload_new(global, "tensor");
  const uint64_t out = device.upload_new(std::vector<uint8_t>(tensor.box_bytes(), 0), "out");
  const uint64_t in_at = device.upload_new(in, "in");
  Result<TensorMap> map = device.encode_tiled(tensor.desc);
  EXPECT_TRUE(map.ok()) << map.status().message();
  if (tamper != nullptr) tamper(*map);
  const auto& c = tensor.at;
  Result<RunReport> report = device.launch(tensor_kernel(body, tensor.box_bytes()), "t", block_of(kThreads),
                                           arguments(out, in_at, *map, c[0], c[1], c[2], c[3], c[4]));
  EXPECT_TRUE(report.ok()) << report.status().message();
  TensorRun ran;
  if (report.ok()) ran.report = std::move(report).value();
  ran.out = device.download_all<uint8_t>(out, tensor.box_bytes());
  ran.global = device.download_all<uint8_t>(tensor.desc.address, global.size());
  return ran;
}

Tensor random_tensor(std::mt19937& random, TensorType type) {
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  Tensor tensor;
  TiledDesc& desc = tensor.desc;
  desc.type = type;
  const uint32_t size = bytes_of(type);
  desc.rank = 1 + below(5);
  desc.swizzle = static_cast<TensorSwizzle>(below(4));
  const uint32_t inner =
      desc.swizzle == TensorSwizzle::none ? 16 * (1 + below(6)) : 16u << static_cast<uint32_t>(desc.swizzle);
  uint64_t stride = 0;
  for (uint32_t i = 0; i < desc.rank; ++i) {
    desc.box[i] = i == 0 ? inner / size : 1 + below(i == 1 ? 9 : 3);
    desc.element_stride[i] = i == 0 || below(3) != 0 ? 1 : 1 + below(3);
    desc.dim[i] = 1 + below(desc.box[i] * 2);
    if (i == 0)
      stride = (desc.dim[0] * size + 15) / 16 * 16 + 16 * below(2);
    else
      stride *= desc.dim[i];
    if (i + 1 < desc.rank) desc.stride_bytes[i] = stride;
    tensor.at[i] = static_cast<int32_t>(below(static_cast<uint32_t>(desc.dim[i]) + desc.box[i] + 2)) -
                   static_cast<int32_t>(desc.box[i]) - 1;
  }
  tensor.bytes = (stride + 15) / 16 * 16;
  return tensor;
}

std::vector<uint8_t> random_bytes(std::mt19937& random, size_t count) {
  std::vector<uint8_t> bytes(count);
  for (uint8_t& each : bytes) each = static_cast<uint8_t>(random());
  return bytes;
}

constexpr TensorType kExactTypes[] = {TensorType::u8,  TensorType::u16, TensorType::u32, TensorType::s64,
                                      TensorType::f16, TensorType::f32, TensorType::f64, TensorType::bf16};

Schedule schedule_of(int round) {
  return Schedule{.seed = static_cast<uint64_t>(round) + 1, .async = kAsyncPolicies[static_cast<size_t>(round) % 4]};
}

TEST(tensor_copy, loads_equal_the_model) {
  std::mt19937 random(11);
  for (int round = 0; round < 120; ++round) {
    const Tensor tensor = random_tensor(random, kExactTypes[random() % std::size(kExactTypes)]);
    const std::vector<uint8_t> global = random_bytes(random, tensor.bytes);
    const uint32_t size = bytes_of(tensor.desc.type);
    std::vector<uint8_t> expected(tensor.box_bytes(), 0);
    tensor.each([&](uint32_t shared, int64_t from) {
      if (from >= 0) std::memcpy(&expected[shared], &global[static_cast<size_t>(from)], size);
    });
    const TensorRun ran = run_tensor(tensor, load_text(tensor), schedule_of(round), global);
    ASSERT_TRUE(ran.report.clean()) << round << ran.report.text();
    ASSERT_EQ(ran.out, expected) << "round " << round << ", rank " << tensor.desc.rank;
  }
}

TEST(tensor_copy, stores_equal_the_model) {
  std::mt19937 random(12);
  for (int round = 0; round < 120; ++round) {
    const Tensor tensor = random_tensor(random, kExactTypes[random() % std::size(kExactTypes)]);
    const std::vector<uint8_t> global = random_bytes(random, tensor.bytes),
                               in = random_bytes(random, tensor.box_bytes());
    const uint32_t size = bytes_of(tensor.desc.type);
    std::vector<uint8_t> expected = global;
    tensor.each([&](uint32_t shared, int64_t to) {
      if (to >= 0) std::memcpy(&expected[static_cast<size_t>(to)], &in[shared], size);
    });
    const TensorRun ran = run_tensor(tensor, store_text(tensor), schedule_of(round), global, in);
    ASSERT_TRUE(ran.report.clean()) << round << ran.report.text();
    ASSERT_EQ(ran.global, expected) << "round " << round << ", rank " << tensor.desc.rank;
  }
}

TEST(tensor_copy, reductions_equal_the_model) {
  std::mt19937 random(13);
  constexpr const char* kOperations[] = {".add", ".min", ".max", ".and", ".or", ".xor", ".inc", ".dec"};
  for (int round = 0; round < 40; ++round) {
    const Tensor tensor = random_tensor(random, TensorType::u32);
    const std::vector<uint8_t> global = random_bytes(random, tensor.bytes),
                               in = random_bytes(random, tensor.box_bytes());
    const size_t operation = static_cast<size_t>(round) % std::size(kOperations);
    std::vector<uint8_t> expected = global;
    tensor.each([&](uint32_t shared, int64_t to) {
      if (to < 0) return;
      uint32_t a, b;
      std::memcpy(&a, &expected[static_cast<size_t>(to)], 4);
      std::memcpy(&b, &in[shared], 4);
      const uint32_t results[] = {a + b, std::min(a, b), std::max(a, b),     a & b,
                                  a | b, a ^ b,          a >= b ? 0 : a + 1, a == 0 || a > b ? b : a - 1};
      std::memcpy(&expected[static_cast<size_t>(to)], &results[operation], 4);
    });
    const TensorRun ran = run_tensor(tensor, store_text(tensor, "cp.reduce.async", kOperations[operation]),
                                     schedule_of(round), global, in);
    ASSERT_TRUE(ran.report.clean()) << round << ran.report.text();
    ASSERT_EQ(ran.global, expected) << "round " << round << kOperations[operation];
  }
}

/// 8 x 8 words at the tensor's origin.
Tensor square(TensorType type = TensorType::f32) {
  Tensor tensor;
  tensor.desc.type = type;
  tensor.desc.rank = 2;
  tensor.desc.dim = {8, 8};
  tensor.desc.stride_bytes = {32};
  tensor.desc.box = {8, 8};
  tensor.bytes = 256;
  return tensor;
}

std::vector<uint8_t> bytes_of_floats(const std::vector<float>& values) {
  std::vector<uint8_t> bytes(values.size() * 4);
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

TEST(tensor_copy, fills_with_not_a_number_where_asked) {
  for (const TensorType type : {TensorType::f32, TensorType::f16, TensorType::bf16}) {
    Tensor tensor = square(type);
    if (type != TensorType::f32) {
      tensor.desc.box[0] = 16;
      tensor.desc.dim[0] = 16;
    }
    tensor.desc.fill = TensorFill::nan;
    tensor.at = {2, -3};
    const TensorRun ran = run_tensor(tensor, load_text(tensor), {}, std::vector<uint8_t>(256, 0));
    EXPECT_TRUE(ran.report.clean()) << ran.report.text();
    tensor.each([&](uint32_t shared, int64_t from) {
      uint32_t bits = 0;
      std::memcpy(&bits, &ran.out[shared], bytes_of(type));
      const uint32_t magnitude = type == TensorType::f32 ? bits & 0x7fffffff : bits & 0x7fff;
      const uint32_t infinity = type == TensorType::f32 ? 0x7f800000 : type == TensorType::f16 ? 0x7c00 : 0x7f80;
      EXPECT_EQ(from<0, magnitude> infinity);
    });
  }
}

TEST(tensor_copy, types_that_round_or_flush_do_so) {
  std::vector<float> values(64, 0x1p-130f);
  values[1] = 1.0f + 0x1p-11f;             // a tie, to even
  values[2] = 1.0f + 0x1p-10f + 0x1p-11f;  // a tie, away
  values[3] = -0x1.fffffep127f;
  const auto loaded = [&](TensorType type) {
    const Tensor tensor = square(type);
    const TensorRun ran = run_tensor(tensor, load_text(tensor), {}, bytes_of_floats(values));
    EXPECT_TRUE(ran.report.clean()) << ran.report.text();
    std::vector<float> out(64);
    std::memcpy(out.data(), ran.out.data(), 256);
    return out;
  };
  EXPECT_EQ(loaded(TensorType::f32), values);
  const std::vector<float> flushed = loaded(TensorType::f32_ftz), tf32 = loaded(TensorType::tf32);
  EXPECT_EQ(flushed[0], 0.0f);
  EXPECT_EQ(flushed[1], values[1]);
  EXPECT_EQ(tf32[0], 0x1p-130f);
  EXPECT_EQ(tf32[1], 1.0f);
  EXPECT_EQ(tf32[2], 1.0f + 0x1p-9f);
  EXPECT_EQ(tf32[3], -INFINITY);
  EXPECT_EQ(loaded(TensorType::tf32_ftz)[0], 0.0f);
}

void expect_reported(HazardId id, const Tensor& tensor, const std::string& body, void (*tamper)(TensorMap&) = nullptr,
                     size_t global_bytes = 256) {
  for_each_schedule(3, [&](const Schedule& schedule) {
    const TensorRun ran = run_tensor(tensor, body, schedule, std::vector<uint8_t>(global_bytes, 1),
                                     std::vector<uint8_t>(tensor.box_bytes(), 2), tamper);
    EXPECT_TRUE(ran.report.has(id)) << schedule.text() << ran.report.text();
    return true;
  });
}

TEST(tensor_copy, maps_that_do_not_fit_are_reported) {
  const Tensor tensor = square();
  const std::string text = load_text(tensor);
  expect_reported(HazardId::H17, tensor, text, [](TensorMap& map) { map.bytes[20] ^= std::byte{1}; });
  expect_reported(HazardId::H17, tensor, text, [](TensorMap& map) { map = {}; });
  expect_reported(HazardId::H17, tensor, with(with(text, "tensor.2d", "tensor.3d"), "%c0, %c1", "%c0, %c1, %c2"));
  expect_reported(HazardId::H17, tensor, with(text, "[%map,", "[%rd_in,"));
  expect_reported(HazardId::H17, tensor, "add.u64 %map, %map, 32;\n" + text);
  Tensor bytes = square(TensorType::u8);
  bytes.desc.box[0] = 32;
  bytes.desc.dim[0] = 32;
  expect_reported(HazardId::H17, bytes, store_text(bytes, "cp.reduce.async", ".add"));
  EXPECT_TRUE(run_tensor(tensor,
                         "prefetch.tensormap [%map];\nprefetch.param.tensormap [k_map];\n" +
                             std::string("cp.async.bulk.prefetch.tensor.2d.L2.global.tile [%map, {%c0, %c1}];\n"),
                         {}, std::vector<uint8_t>(256, 1))
                  .report.clean());
  expect_reported(HazardId::H17, tensor, "prefetch.tensormap [%rd_in];\n");
}

TEST(tensor_copy, tensors_larger_than_their_memory_are_reported) {
  Tensor tensor = square();
  expect_reported(HazardId::H22, tensor, load_text(tensor), nullptr, 240);
  expect_reported(HazardId::H22, tensor, store_text(tensor), nullptr, 240);
  // What lies outside the memory is outside the tensor, too: nothing to report.
  tensor.desc.dim[1] = 7;
  EXPECT_TRUE(run_tensor(tensor, load_text(tensor), {}, std::vector<uint8_t>(224, 1)).report.clean());
}

TEST(tensor_copy, boxes_lie_on_128_bytes_in_shared_memory) {
  Tensor tensor = square();
  tensor.desc.box = {8, 4};
  expect_reported(HazardId::H22, tensor, with(load_text(tensor), "[%s], [%map", "[%s+64], [%map"));
  expect_reported(HazardId::H22, square(), with(load_text(square()), "[%s], [%map", "[%s+128], [%map"));
}

TEST(tensor_copy, the_whole_box_counts_although_a_part_is_outside) {
  Tensor tensor = square();
  tensor.at = {4, 4};
  const std::string fewer = with(load_text(tensor), "[%b], 256;", "[%b], 64;");
  expect_reported(HazardId::H18, tensor, fewer);
  EXPECT_TRUE(run_tensor(tensor, load_text(tensor), {}, std::vector<uint8_t>(256, 1)).report.clean());
}

TEST(tensor_copy, elements_that_nobody_wrote_are_reported) {
  Tensor tensor = square();
  Device device;
  tensor.desc.address = device.alloc(256, "tensor");
  const uint64_t out = device.upload_new(std::vector<uint8_t>(256, 0), "out");
  const Result<TensorMap> map = device.encode_tiled(tensor.desc);
  ASSERT_TRUE(map.ok());
  const Result<RunReport> report = device.launch(tensor_kernel(load_text(tensor), 256), "t", block_of(kThreads),
                                                 arguments(out, out, *map, 0, 0, 0, 0, 0));
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->has(HazardId::H11)) << report->text();
}

TEST(tensor_copy, protocols_are_those_of_bulk_copies) {
  const Tensor tensor = square();
  const std::string load = load_text(tensor), store = store_text(tensor);
  expect_reported(HazardId::H07, tensor, with(load, wait("%b", "0"), "") + wait("%b", "0"));
  expect_reported(HazardId::H18, tensor, with(load, "[%b], 256;", "[%b], 272;"));
  expect_reported(HazardId::H04, tensor, with(store, "fence.proxy.async;", ""));
  expect_reported(HazardId::H06, tensor, with(store, "@%p cp.async.bulk.wait_group 0;\n", ""));
  expect_reported(HazardId::H05, tensor,
                  with(store, "@%p cp.async.bulk.wait_group 0;\n",
                       "@%p st.shared.u32 [tile], 1;\n@%p cp.async.bulk.wait_group 0;\n"));
}

TEST(tensor_copy, forms_that_do_not_assemble_are_refused) {
  expect_refused(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%d1, {%r2}], [%r3];");
  expect_refused("cp.async.bulk.tensor.6d.global.shared::cta.bulk_group [%d1, {%r2}], [%r3];");
  expect_refused("cp.async.bulk.tensor.1d.global.shared::cta.mbarrier::complete_tx::bytes [%d1, {%r2}], [%r3];");
  expect_refused(
      "cp.async.bulk.tensor.3d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%r1], [%d1, {%r2, "
      "%r3, %r4}], [%r3], {%h1};");
  expect_refused("cp.reduce.async.bulk.tensor.1d.global.shared::cta.sub.tile.bulk_group [%d1, {%r2}], [%r3];");
}

}  // namespace
}  // namespace ptxsim::test
