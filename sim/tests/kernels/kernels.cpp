// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/kernels/kernels.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

namespace ptxsim::test {

const Module& kernels(const std::string& name) {
  static std::map<std::string, Module> modules;
  const auto found = modules.find(name);
  if (found != modules.end()) return found->second;
  Result<Module> module = Module::from_file(std::string(KERNEL_PTX_FOLDER) + "/" + name + ".ptx");
  EXPECT_TRUE(module.ok()) << module.status().message();
  return modules.emplace(name, module.ok() ? std::move(module).value() : Module()).first->second;
}

namespace {
constexpr int kSeeds = 20;
}

int seeds() {
#if defined(__SANITIZE_ADDRESS__)
  return 2;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  return 2;
#endif
#endif
  return kSeeds;
}

std::vector<float> random_floats(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> out(count);
  for (float& v : out) v = static_cast<float>(static_cast<int32_t>(random()) >> 8) / static_cast<float>(1 << 23);
  return out;
}

std::vector<float> quarters(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> out(count);
  for (float& v : out) v = static_cast<float>(static_cast<int>(random() % 15) - 7) / 4;
  return out;
}

uint32_t small_float(float value, int exponent, int mantissa) {
  const uint32_t sign = std::signbit(value) ? 1u << (exponent + mantissa) : 0;
  if (value == 0) return sign;
  int power = 0;
  const double fraction = std::frexp(std::fabs(value), &power) * 2 - 1;  // value = (1 + fraction) * 2^(power - 1)
  const uint32_t biased = static_cast<uint32_t>(power - 1 + (1 << (exponent - 1)) - 1);
  return sign | biased << mantissa | static_cast<uint32_t>(std::ldexp(fraction, mantissa));
}

TensorMap matrix_map(Device& device, TensorType type, uint32_t element_bytes, uint64_t address, uint64_t rows,
                     uint64_t columns, uint32_t box_rows, uint32_t box_columns, TensorSwizzle swizzle) {
  TiledDesc desc;
  desc.type = type;
  desc.rank = 2;
  desc.address = address;
  desc.dim = {columns, rows};
  desc.stride_bytes = {columns * element_bytes};
  desc.box = {box_columns, box_rows};
  desc.swizzle = swizzle;
  Result<TensorMap> map = device.encode_tiled(desc);
  EXPECT_TRUE(map.ok()) << map.status().message();
  return map.ok() ? map.value() : TensorMap{};
}

RunReport launched(Device& device, const Module& module, const std::string& entry, const LaunchOptions& options,
                   const Arguments& args) {
  Result<RunReport> report = device.launch(module, entry, options, args);
  EXPECT_TRUE(report.ok()) << entry << ": " << report.status().message();
  return report.ok() ? std::move(report).value() : RunReport{};
}

void expect_right(const std::string& entry, const Run& run) {
  const int wrong = for_each_schedule(seeds(), [&](const Schedule& schedule) {
    if (testing::Test::HasFailure()) return true;  // one report is enough to read
    const Outcome outcome = run(entry, schedule);
    EXPECT_TRUE(outcome.report.clean()) << entry << " " << schedule.text() << "\n" << outcome.report.text();
    EXPECT_TRUE(outcome.right) << entry << " " << schedule.text();
    return outcome.report.clean() && outcome.right;
  });
  EXPECT_EQ(wrong, 0);
}

void expect_mutants_noticed(const std::string& name, const std::string& entry, const TrialRun& run,
                            const std::vector<Equivalent>& equivalent) {
  const bool all_of_them = seeds() == kSeeds;
  std::ifstream file(std::string(KERNEL_PTX_FOLDER) + "/" + name + ".ptx");
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  TraceOptions coverage;
  coverage.coverage = true;
  const Outcome whole = run(entry, {&kernels(name), {}, coverage});
  ASSERT_TRUE(whole.report.clean() && whole.right) << whole.report.text();
  const std::vector<Mutant> all = mutants_of(kernels(name), text, entry, executed_lines(whole.report));
  std::vector<Mutant> mutants;
  for (size_t i = 0; i < all.size(); i += all_of_them ? 1 : 4) mutants.push_back(all[i]);
  const uint64_t budget = 10 * whole.report.counts.warp_instructions + 10000;
  const MutationScore score =
      judge(run_mutants(text, mutants, all_of_them ? 5 : 1,
                        [&](const Module& module, const Schedule& schedule) {
                          const Outcome outcome = run(entry, {&module, schedule, {}, budget});
                          const std::string ids = hazard_ids(outcome.report);
                          return ids.empty() && !outcome.right ? std::string("wrong result") : ids;
                        }),
            equivalent);
  testing::Test::RecordProperty(entry + "_mutants", score.text());
  EXPECT_GE(all.size(), 20u) << entry;
  EXPECT_GE(score.percent(), 95) << entry << ": " << score.text();
  if (all_of_them) {
    EXPECT_EQ(score.equivalent.size(), equivalent.size()) << entry << ": " << score.text();
    EXPECT_TRUE(score.unused.empty()) << entry << ": " << score.text();
  }
}

void expect_reported(const Twin& twin, const Run& run) {
  int runs = 0, named = 0, silent = 0;
  std::string others;
  for_each_schedule(seeds(), [&](const Schedule& schedule) {
    const RunReport report = run(twin.entry, schedule).report;
    const bool hit =
        std::any_of(twin.expected.begin(), twin.expected.end(), [&](HazardId id) { return report.has(id); });
    ++runs;
    named += hit;
    silent += report.clean();
    if (!hit && others.empty()) others = schedule.text() + "\n" + report.text();
    return hit;
  });
  EXPECT_EQ(silent, 0) << twin.entry << ": runs without any report, of " << runs << "\n" << others;
  EXPECT_GE(100 * named, 95 * runs) << twin.entry << ": " << named << " of " << runs << ", else:\n" << others;
}

}  // namespace ptxsim::test
