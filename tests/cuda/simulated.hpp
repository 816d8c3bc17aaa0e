// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "cuda/images.hpp"
#include "sim/launch/simulated_device.hpp"
#include "verify/device_run.hpp"
#include "verify/verify.hpp"

// What tests of the backend share: Problems on a simulated device, against the oracle; with ATTEND_TEST_DEVICE=cuda in
// the environment, the same tests on the first CUDA device (scripts/gpu-report runs them so).
namespace attend::cuda {

inline bool on_cuda_device() {
  const char* const device = std::getenv("ATTEND_TEST_DEVICE");
  const std::string name = device == nullptr ? "sim" : device;
  if (name != "sim" && name != "cuda") ADD_FAILURE() << "ATTEND_TEST_DEVICE is '" << name << "', expected sim or cuda";
  return name == "cuda";
}

/// For tests that plant faults which a device would not name, or not survive.
inline constexpr char kSimulatorOnly[] = "in the simulator alone";

/// A simulated one under the schedule, or the CUDA device, for which schedule and multiprocessors are its own.
inline Device test_device(const ptxsim::Schedule& schedule = {}, int multiprocessors = 4) {
  if (!on_cuda_device()) return ptxsim::simulated_device(schedule, {}, multiprocessors);
  static const Result<Device> device = Device::cuda();
  if (device.ok()) return *device;
  ADD_FAILURE() << "ATTEND_TEST_DEVICE is cuda: " << device.status().message();
  return {};
}

class CudaTest : public testing::Test {
 protected:
  void SetUp() override {
    if (find_image("attention_fwd_simple") == nullptr) GTEST_SKIP() << "built without nvcc";
    if (on_cuda_device() && test_device().is_cpu()) FAIL() << "there is no CUDA device";
  }
};

inline AttentionFwd problem_of(const std::string& line) {
  Result<AttentionFwd> problem = AttentionFwd::parse(line);
  EXPECT_TRUE(problem.ok()) << line << ": " << problem.status().message();
  return problem.ok() ? std::move(problem).value() : AttentionFwd();
}

/// The Problem under the schedule, on inputs of the seed. An empty kernel is the plan's own choice. With
/// `poison`, slots that no row uses hold NaN.
inline void expect_right(const AttentionFwd& problem, const ptxsim::Schedule& schedule, uint64_t seed, bool poison,
                         int multiprocessors, const std::string& kernel) {
  PlanOptions options;
  options.device = test_device(schedule, multiprocessors);
  options.kernel = kernel;
  verify::FillOptions fill;
  fill.seed = seed;
  fill.ties = seed % 5 == 4;
  fill.poison = poison;
  const verify::CheckResult result = verify::check_problem(problem, fill, options);
  EXPECT_TRUE(result.passed) << schedule.text() << "\n" << result.message;
}
/// Under the seed's own schedule.
inline void expect_right(const AttentionFwd& problem, uint64_t seed, bool poison = true, int multiprocessors = 3,
                         const std::string& kernel = {}) {
  expect_right(problem, ptxsim::drawn_schedule(seed), seed, poison, multiprocessors, kernel);
}

}  // namespace attend::cuda
