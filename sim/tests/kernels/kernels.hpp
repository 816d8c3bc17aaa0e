// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "sim/mutate/mutate.hpp"
#include "sim/ptxsim.hpp"

// What the tests of compiled kernels share: their modules, schedules, numbers, and the tables of broken twins.
namespace ptxsim::test {

/// Tests of PTX that nvcc made; skipped where the build found no nvcc.
class Compiled : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string(KERNEL_PTX_FOLDER).empty()) GTEST_SKIP() << "no nvcc was found when this was built";
  }
};

/// The module of `<name>.cu`, parsed once in a process.
const Module& kernels(const std::string& name);

/// Seeds for each asynchronous policy, 20: fewer where a sanitizer slows every run down.
int seeds();

/// Numbers in [-1, 1), the same in every run.
std::vector<float> random_floats(size_t count, uint32_t seed);
/// Multiples of 1/4 in [-7/4, 7/4]: exact in every element type, and sums of their products are exact in f32.
std::vector<float> quarters(size_t count, uint32_t seed);

/// Bits of a small float with `exponent` and `mantissa` bits, for values that it holds exactly.
uint32_t small_float(float value, int exponent, int mantissa);
inline uint16_t to_bf16(float value) {  // nearest, ties to even
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline float from_bf16(uint16_t value) {
  const uint32_t bits = uint32_t{value} << 16;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}

inline LaunchOptions grid_of(uint32_t blocks, uint32_t threads, uint32_t dynamic_shared_bytes = 0) {
  LaunchOptions options;
  options.grid.x = blocks;
  options.block.x = threads;
  options.dynamic_shared_bytes = dynamic_shared_bytes;
  return options;
}

/// Map of a row-major matrix.
TensorMap matrix_map(Device& device, TensorType type, uint32_t element_bytes, uint64_t address, uint64_t rows,
                     uint64_t columns, uint32_t box_rows, uint32_t box_columns,
                     TensorSwizzle swizzle = TensorSwizzle::none);

/// The report of a launch that the device accepts.
RunReport launched(Device& device, const Module& module, const std::string& entry, const LaunchOptions& options,
                   const Arguments& args);

/// Runs a kernel's entry under one schedule and judges its numbers: false when they are wrong.
struct Outcome {
  RunReport report;
  bool right = false;
};
using Run = std::function<Outcome(const std::string& entry, const Schedule& schedule)>;

/// Right numbers and no hazard under every schedule.
void expect_right(const std::string& entry, const Run& run);

/// How a mutant is run: like its kernel, but another module, and not for ever.
struct Trial {
  const Module* module = nullptr;
  Schedule schedule;
  TraceOptions trace = {};
  uint64_t instruction_budget = LaunchOptions().instruction_budget;
};
using TrialRun = std::function<Outcome(const std::string& entry, const Trial& trial)>;
/// Breaks the synchronisation of an entry of `<name>.cu` in every way that the mutation runner knows, under every
/// policy times five seeds: at least 95 of 100 mutants that are not equivalent are noticed, and each of `equivalent`
/// stands for one that is not. A sanitizer's build tries every fourth mutant.
void expect_mutants_noticed(const std::string& name, const std::string& entry, const TrialRun& run,
                            const std::vector<Equivalent>& equivalent);

/// A twin that lacks one step, and the hazards that name what is missing.
struct Twin {
  const char* entry;
  std::vector<HazardId> expected;
};
/// Every schedule reports something, and at least 95 of 100 one of the expected hazards.
void expect_reported(const Twin& twin, const Run& run);

}  // namespace ptxsim::test
