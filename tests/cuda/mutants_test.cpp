// SPDX-License-Identifier: Apache-2.0
// Every synchronisation instruction of a kernel is broken in turn; the simulator or the oracle notices.
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "cuda/context.hpp"
#include "sim/launch/simulator_backend.hpp"
#include "sim/mutate/mutate.hpp"
#include "simulated.hpp"

namespace attend::cuda {
namespace {

struct Kernel {
  const char *name, *id, *image;
  size_t least;  ///< mutants
  std::vector<ptxsim::Equivalent> equivalent;
};
std::ostream& operator<<(std::ostream& out, const Kernel& kernel) { return out << kernel.id; }

const ptxsim::Equivalent
    kInitFence = {"delete", "fence.mbarrier_init", "no other CTA uses the barriers; __syncthreads orders the rest"},
    kRegisters = {"delete", "setmaxnreg.inc", "the assembler counts registers, the simulator has as many as are named"},
    kExpect = {"relax", "mbarrier.arrive.expect_tx", "the thread that brings tiles writes none of them itself"},
    kArrivals = {"one arrival less", "ring.cuh:17", "a product is done for the four warps of its warpgroup at once"},
    kFence = {"delete", "wgmma.fence", "nothing touches the outputs behind the fence of the scores"},
    kGroup = {"delete", "wgmma.commit_group", "without overlap both products are waited for at once"},
    kMeeting = {"delete", "bar.warp.sync", "the products behind it, which are aligned, gather the warp's lanes"};

const Kernel kKernels[] = {
    {"sm90",
     "attention_fwd.sm90.bf16.d64",
     "attention_fwd_sm90_bf16_64_64_128x128_producer_issue_1",
     40,
     {kInitFence, kRegisters, kExpect, kFence}},
    {"sm90_exclusion_exp",
     "attention_fwd.sm90.bf16.d64.exclusion_exp.no_overlap",
     "attention_fwd_sm90_bf16_64_64_128x128_producer_exp_0",
     40,
     {kInitFence, kRegisters, kExpect, kArrivals, kFence, kGroup}},
    {"sm90_no_specialisation",
     "attention_fwd.sm90.bf16.d64.no_specialisation",
     "attention_fwd_sm90_bf16_64_64_128x128_consumer_none_1",
     40,
     {kInitFence, kExpect, kFence, kMeeting}},
    {"sm80", "attention_fwd.sm80.bf16.d64", "attention_fwd_sm80_bf16_64_64_128x128_4_1", 8, {}},
    {"sm80_two_stages",
     "attention_fwd.sm80.bf16.d64.128x64.stages_2",
     "attention_fwd_sm80_bf16_64_64_128x64_4_2",
     8,
     {}},
};

/// A simulated device whose kernel of that image is another module.
class OtherKernel : public ptxsim::SimulatorBackend {
 public:
  OtherKernel(const ptxsim::Schedule& schedule, const char* image, const ptxsim::Module& module)
      : SimulatorBackend(schedule, {}, /*multiprocessors=*/1), image_(image), module_(module) {}
  Result<ModuleHandle> load_module(std::string_view image, const std::string& name) override {
    return name == image_ ? add(module_) : SimulatorBackend::load_module(image, name);
  }

 private:
  const std::string image_;
  const ptxsim::Module& module_;
};

struct Outcome {
  std::string ids;  ///< of hazards, or "wrong result"; empty when all is well
  ptxsim::RunReport report;
};

/// Items enough for one block to take several, tiles that are cut and whole, rows past the end.
Outcome run(const Kernel& kernel, const ptxsim::Module& module, const ptxsim::Schedule& schedule, uint64_t budget,
            bool coverage = false) {
  const AttentionFwd problem = problem_of("attention_fwd hq=2 sq=260 sk=330 d=64 dtype=bf16 mask=causal lse=1");
  verify::FillOptions fill;
  fill.poison = false;
  const verify::Inputs inputs = verify::Inputs::make(problem, fill);
  auto owned = std::make_unique<OtherKernel>(schedule, kernel.image, module);
  OtherKernel& backend = *owned;
  backend.set_instruction_budget(budget);
  ptxsim::TraceOptions trace;
  trace.coverage = coverage;
  backend.device().set_trace(trace);
  PlanOptions options;
  options.device = make_device(std::move(owned));
  options.kernel = kernel.id;
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

class Mutants : public testing::TestWithParam<Kernel> {};

TEST_P(Mutants, are_noticed) {
  if (find_image("attention_fwd_simple") == nullptr) GTEST_SKIP() << "built without nvcc";
  if (on_cuda_device()) GTEST_SKIP() << kSimulatorOnly;
  const Kernel& kernel = GetParam();
  const std::string text(find_image(kernel.image)->ptx);
  const Result<ptxsim::Module> module = ptxsim::Module::parse(text, kernel.image);
  ASSERT_TRUE(module.ok()) << module.status().message();
  const Outcome whole = run(kernel, *module, {}, 0, true);
  ASSERT_EQ(whole.ids, "") << whole.report.text();
  const auto mutants = ptxsim::mutants_of(*module, text, kernel.image, ptxsim::executed_lines(whole.report));
  EXPECT_GE(mutants.size(), kernel.least);
  const uint64_t budget = 10 * whole.report.counts.warp_instructions + 10000;
  const ptxsim::MutationScore score =
      ptxsim::judge(ptxsim::run_mutants(text, mutants, 3,
                                        [&](const ptxsim::Module& mutant, const ptxsim::Schedule& schedule) {
                                          return run(kernel, mutant, schedule, budget).ids;
                                        }),
                    kernel.equivalent);
  testing::Test::RecordProperty("mutants", score.text());
  EXPECT_GE(score.percent(), 95) << score.text();
}

INSTANTIATE_TEST_SUITE_P(All, Mutants, testing::ValuesIn(kKernels),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace attend::cuda
