// SPDX-License-Identifier: Apache-2.0
// Every synchronisation instruction of FlashAttention-3's kernel is broken in turn; the simulator or the oracle
// notices.
#include <memory>
#include <string>
#include <utility>

#include "cuda/context.hpp"
#include "sim/launch/simulator_backend.hpp"
#include "sim/mutate/mutate.hpp"
#include "simulated.hpp"

namespace attend::cuda {
namespace {

constexpr char kImage[] = "attention_fwd_sm90_bf16_64_64_128x128_issue_1";

/// A simulated device whose kernel kImage is another module.
class OtherKernel : public ptxsim::SimulatorBackend {
 public:
  OtherKernel(const ptxsim::Schedule& schedule, const ptxsim::Module& module)
      : SimulatorBackend(schedule, {}, /*multiprocessors=*/1), module_(module) {}
  Result<ModuleHandle> load_module(std::string_view image, const std::string& name) override {
    return name == kImage ? add(module_) : SimulatorBackend::load_module(image, name);
  }

 private:
  const ptxsim::Module& module_;
};

struct Outcome {
  std::string ids;  ///< of hazards, or "wrong result"; empty when all is well
  ptxsim::RunReport report;
};

/// Items enough for one block to take several, tiles that are cut and whole, rows past the end.
Outcome run(const ptxsim::Module& module, const ptxsim::Schedule& schedule, uint64_t budget, bool coverage = false) {
  const AttentionFwd problem = problem_of("attention_fwd sq=260 sk=700 d=64 dtype=bf16 mask=causal lse=1");
  verify::FillOptions fill;
  fill.poison = false;
  const verify::Inputs inputs = verify::Inputs::make(problem, fill);
  auto owned = std::make_unique<OtherKernel>(schedule, module);
  OtherKernel& backend = *owned;
  backend.set_instruction_budget(budget);
  ptxsim::TraceOptions trace;
  trace.coverage = coverage;
  backend.device().set_trace(trace);
  PlanOptions options;
  options.device = make_device(std::move(owned));
  const auto ready = plan(problem, options);
  EXPECT_TRUE(ready.ok()) << ready.status().message();
  const Status status = verify::run_on_device(*ready, options.device, inputs);
  Outcome outcome;
  for (const ptxsim::RunReport& report : backend.reports()) {
    if (!report.clean()) outcome.ids += ptxsim::hazard_ids(report);
    if (report.counts.matrix_instructions > 0) outcome.report = report;
  }
  if (!outcome.ids.empty()) return outcome;
  EXPECT_TRUE(status.ok()) << status.message();
  const Comparison comparison = compare_with_reference(problem, inputs.args(), ready->arithmetic(), 60);
  if (!comparison.first_failure.empty()) outcome.ids = "wrong result";
  return outcome;
}

using Sm90Mutants = CudaTest;

TEST_F(Sm90Mutants, are_noticed) {
  if (on_cuda_device()) GTEST_SKIP() << kSimulatorOnly;
  const std::string text(find_image(kImage)->ptx);
  const Result<ptxsim::Module> module = ptxsim::Module::parse(text, kImage);
  ASSERT_TRUE(module.ok()) << module.status().message();
  const Outcome whole = run(*module, {}, 0, true);
  ASSERT_EQ(whole.ids, "") << whole.report.text();
  const auto mutants = ptxsim::mutants_of(*module, text, kImage, ptxsim::executed_lines(whole.report));
  EXPECT_GE(mutants.size(), 40u);
  const uint64_t budget = 10 * whole.report.counts.warp_instructions + 10000;
  const ptxsim::MutationScore score = ptxsim::judge(
      ptxsim::run_mutants(text, mutants, 3,
                          [&](const ptxsim::Module& mutant, const ptxsim::Schedule& schedule) {
                            return run(mutant, schedule, budget).ids;
                          }),
      {{"delete", "fence.mbarrier_init", "no other CTA uses the barriers; __syncthreads orders the rest"},
       {"delete", "setmaxnreg.inc", "the assembler counts registers, the simulator has as many as are named"},
       {"one arrival less", "ring.cuh:17", "a product is done for the four warps of its warpgroup at once"}});
  testing::Test::RecordProperty("mutants", score.text());
  EXPECT_GE(score.percent(), 95) << score.text();
}

}  // namespace
}  // namespace attend::cuda
