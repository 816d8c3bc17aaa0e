// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/kernels/kernels.hpp"

namespace ptxsim::test {
namespace {

using mma_tile = Compiled;
using wgmma_tile = Compiled;

constexpr size_t kRows = 64;

/// How a kernel's element is stored, by the word its entry is named with.
struct Element {
  int bytes, exponent, mantissa;  // exponent 0: a signed integer
  TensorType type;
};
Element element_of(const std::string& entry) {
  if (entry.find("e4m3") != std::string::npos) return {1, 4, 3, TensorType::u8};
  if (entry.find("e5m2") != std::string::npos) return {1, 5, 2, TensorType::u8};
  if (entry.find("s8") != std::string::npos) return {1, 0, 0, TensorType::u8};
  if (entry.find("_f16") != std::string::npos) return {2, 5, 10, TensorType::f16};
  return {2, 8, 7, TensorType::bf16};
}

/// 64 rows of a matrix: values that the element holds exactly, and what the kernel finds in memory.
struct Matrix {
  std::vector<float> values;  // [64][k]
  std::vector<uint8_t> bytes;
};
Matrix matrix(const Element& element, size_t k, bool transposed, uint32_t seed) {
  Matrix out{quarters(kRows * k, seed), std::vector<uint8_t>(kRows * k * static_cast<size_t>(element.bytes))};
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t column = 0; column < k; ++column) {
      float& value = out.values[row * k + column];
      if (element.exponent == 0) value *= 4;
      const uint32_t bits = element.exponent == 0 ? static_cast<uint32_t>(static_cast<int8_t>(value))
                                                  : small_float(value, element.exponent, element.mantissa);
      const size_t at = (transposed ? column * kRows + row : row * k + column) * static_cast<size_t>(element.bytes);
      std::memcpy(&out.bytes[at], &bits, static_cast<size_t>(element.bytes));
    }
  }
  return out;
}

/// The product's bits: exact, so neither the order of additions nor their rounding matters.
std::vector<uint32_t> product(const Matrix& a, const Matrix& b, size_t k, bool integer) {
  std::vector<uint32_t> out;
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t column = 0; column < kRows; ++column) {
      double sum = 0;
      for (size_t i = 0; i < k; ++i) sum += double{a.values[row * k + i]} * b.values[column * k + i];
      uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(sum));
      const float real = static_cast<float>(sum);
      if (!integer) std::memcpy(&bits, &real, 4);
      out.push_back(bits);
    }
  }
  return out;
}

Outcome by_warps(const std::string& entry, const Schedule& schedule) {
  const Element element = element_of(entry);
  const size_t k = 256 / static_cast<size_t>(element.bytes);  // two slices
  const Matrix a = matrix(element, k, false, 1), b = matrix(element, k, false, 2);
  Device device(schedule);
  const uint64_t c_at = device.alloc(kRows * kRows * 4), a_at = device.upload_new(a.bytes),
                 b_at = device.upload_new(b.bytes);
  Outcome outcome{launched(device, kernels("mma_tile"), entry, grid_of(1, 128), arguments(c_at, a_at, b_at, 256))};
  outcome.right = device.download_all<uint32_t>(c_at, kRows * kRows) == product(a, b, k, element.exponent == 0);
  return outcome;
}

/// Entries are named wgmma_<type>_<swizzle>_<orders>; those of broken twins stand for bf16, 128, kk (rk).
Outcome by_warpgroup(const std::string& entry, const Schedule& schedule) {
  const Element element = element_of(entry);
  const size_t k = 128 / static_cast<size_t>(element.bytes), last = entry.size() - 2;
  const std::string orders =
      entry[last - 1] == '_' && entry.find("none") == std::string::npos ? entry.substr(last) : "kk";
  const bool a_mn = orders[0] == 'm', b_mn = orders[1] == 'm';
  const Matrix a = matrix(element, k, a_mn, 3), b = matrix(element, k, b_mn, 4);
  uint32_t width = 128;
  TensorSwizzle swizzle = TensorSwizzle::b128;
  if (entry.find("_16_") != std::string::npos) width = 16, swizzle = TensorSwizzle::none;
  if (entry.find("_32_") != std::string::npos) width = 32, swizzle = TensorSwizzle::b32;
  if (entry.find("_64_") != std::string::npos) width = 64, swizzle = TensorSwizzle::b64;

  Device device(schedule);
  const uint64_t c_at = device.alloc(kRows * kRows * 4), a_at = device.upload_new(a.bytes),
                 b_at = device.upload_new(b.bytes);
  const auto map_of = [&](uint64_t address, bool mn) {
    const size_t lines = mn ? k : kRows, columns = mn ? kRows : k;
    const uint32_t bytes = static_cast<uint32_t>(element.bytes);
    return matrix_map(device, element.type, bytes, address, lines, columns, static_cast<uint32_t>(lines), width / bytes,
                      swizzle);
  };
  Arguments args = arguments(c_at);
  if (entry.find("written") != std::string::npos)
    args.add(a_at).add(b_at);
  else
    args.add(map_of(a_at, a_mn)).add(map_of(b_at, b_mn)).add(a_at);
  Outcome outcome{launched(device, kernels("wgmma_tile"), entry, grid_of(1, 128, 16384), args)};
  outcome.right = device.download_all<uint32_t>(c_at, kRows * kRows) == product(a, b, k, element.exponent == 0);
  return outcome;
}

TEST_F(mma_tile, every_type) {
  for (const char* entry : {"mma_f16_none", "mma_bf16_none", "mma_e4m3_none", "mma_s8_none"})
    expect_right(entry, by_warps);
}

TEST_F(mma_tile, broken_twins_are_reported) {
  const Twin twins[] = {{"mma_bf16_no_copy_wait", {HazardId::H07}},
                        {"mma_bf16_no_sync_after_copy", {HazardId::H07, HazardId::H08}},
                        {"mma_bf16_no_sync_before_reuse", {HazardId::H09}}};
  for (const Twin& twin : twins) expect_reported(twin, by_warps);
}

TEST_F(wgmma_tile, every_type_order_and_swizzle_once) {
  int tried = 0;
  for (const EntryInfo& entry : kernels("wgmma_tile").entries()) {
    if (entry.name.find("_kk") == std::string::npos && entry.name.find("_rk") == std::string::npos &&
        entry.name.find("_mk") == std::string::npos && entry.name.find("_km") == std::string::npos &&
        entry.name.find("_mm") == std::string::npos && entry.name.find("_rm") == std::string::npos)
      continue;
    const Outcome outcome = by_warpgroup(entry.name, {});
    EXPECT_TRUE(outcome.report.clean()) << entry.name << "\n" << outcome.report.text();
    EXPECT_TRUE(outcome.right) << entry.name;
    ++tried;
  }
  EXPECT_EQ(tried, 4 * 6 + 2 * 4 * 2 + 2 + 6);
}

TEST_F(wgmma_tile, under_every_schedule) {
  for (const char* entry : {"wgmma_bf16_128_kk", "wgmma_f16_128_mm", "wgmma_e4m3_64_kk", "wgmma_s8_16_rk",
                            "wgmma_bf16_32_rm", "wgmma_written_none"})
    expect_right(entry, by_warpgroup);
}

TEST_F(wgmma_tile, broken_twins_are_reported) {
  const Twin twins[] = {{"wgmma_no_fence", {HazardId::H03}},
                        {"wgmma_no_wait", {HazardId::H01}},
                        {"wgmma_fragment_overwrite", {HazardId::H02}},
                        {"wgmma_misaligned", {HazardId::H16}},
                        {"wgmma_outside", {HazardId::H16}},
                        {"wgmma_differing", {HazardId::H16}},
                        {"wgmma_written_no_proxy_fence", {HazardId::H04}}};
  for (const Twin& twin : twins) expect_reported(twin, by_warpgroup);
}

}  // namespace
}  // namespace ptxsim::test
