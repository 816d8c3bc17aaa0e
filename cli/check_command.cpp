// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>
#include <map>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "device.hpp"
#include "operation.hpp"
#include "progress.hpp"
#include "verify/gradients.hpp"
#include "verify/verify.hpp"

namespace attend::cli {
namespace {

constexpr int64_t kShownFailures = 10;

/// Of random Problems in the simulator, which takes some microseconds for each instruction: still several tiles of
/// every kernel in each direction.
constexpr verify::GeneratorLimits kCpuLimits = {.caches = 0.3, .served = {}};
constexpr verify::GeneratorLimits kSimulatedLimits = {
    .max_rows = 300, .max_batch = 3, .max_heads = 8, .max_columns = 512, .max_work = 5e6, .served = {.share = 0.5}};
/// The oracle takes several times as long for gradients.
constexpr verify::GeneratorLimits kBackwardLimits = {
    .max_rows = 300, .max_batch = 4, .max_heads = 8, .max_columns = 512, .max_work = 5e6, .served = {}};
constexpr verify::GeneratorLimits kDeviceLimits = {.served = {.share = 0.5}};

struct CheckOptions {
  CommonOptions common;
  std::string problem;
  int64_t random = 0;
  uint64_t seed = 0;
  int64_t sample = -1;
  bool backward = false;
};

/// What one kernel did over all problems.
struct Tally {
  int64_t passed = 0, failed = 0, refused = 0;
  int64_t took() const { return passed + failed; }
  double max_ratio = 0;
  std::string worst;  ///< problem of max_ratio
};

class Checker {
 public:
  Checker(const CheckOptions& options, Device device) : options_(options), own_device_(std::move(device)) {}

  /// One problem on the kernels asked for, its inputs drawn from `seed`.
  template <class Problem>
  void check(const Problem& problem, uint64_t seed, Progress& progress) {
    verify::FillOptions fill;
    fill.seed = seed;
    // Part of what a seed means, so that problem and seed replay a failure: some seeds have tied maxima, some large
    // scores.
    fill.ties = seed % 5 == 4;
    fill.magnitude = seed % 7 == 6 ? 8 : 1;
    for (const std::string& kernel : kernels(problem)) {
      PlanOptions plan_options = options_.common.plan_options();
      plan_options.device = device(seed);
      plan_options.kernel = kernel;
      record(problem.text(), run(problem, fill, plan_options), progress);
    }
  }

  int64_t passed() const { return passed_; }
  int64_t failed() const { return failed_; }
  int64_t refused() const { return refused_; }
  const std::map<std::string, Tally>& tallies() const { return tallies_; }
  const std::vector<std::string>& failures() const { return failures_; }
  const std::string& refusal() const { return refusal_; }

 private:
  verify::CheckResult run(const AttentionFwd& problem, const verify::FillOptions& fill, const PlanOptions& with) const {
    return verify::check_problem(problem, fill, with, options_.sample, replay_words());
  }
  verify::CheckResult run(const AttentionBwd& problem, const verify::FillOptions& fill, const PlanOptions& with) const {
    return verify::check_problem(problem, fill, with, options_.sample);
  }

  /// A simulated one lives for one run only: its schedule is the seed's, and a fault ends it.
  Device device(uint64_t seed) const {
    return options_.common.device == "sim" ? device_named("sim", seed) : own_device_;
  }

  std::string replay_words() const {
    return options_.common.device == "cpu" ? "" : " --device " + options_.common.device;
  }

  /// The empty name is the plan's own choice.
  template <class Problem>
  std::vector<std::string> kernels(const Problem& problem) const {
    if (options_.common.kernel != "all") return {options_.common.kernel};
    PlanOptions own_choice = options_.common.plan_options();
    own_choice.device = own_device_;
    own_choice.kernel.clear();
    const auto chosen = take(plan(problem, own_choice));
    std::vector<std::string> every;
    for (const Candidate& candidate : chosen.candidates()) every.push_back(candidate.kernel);
    return every;  // a row that does not take the Problem says so when asked by name
  }

  void record(const std::string& problem, const verify::CheckResult& result, Progress& progress) {
    Tally& tally = tallies_[result.kernel];
    if (result.refused) {
      ++tally.refused;
      ++refused_;
      refusal_ = result.message;
      return;
    }
    if (result.comparison.max_ratio > tally.max_ratio || tally.worst.empty()) {
      tally.max_ratio = std::max(tally.max_ratio, result.comparison.max_ratio);
      tally.worst = problem;
    }
    if (result.passed) {
      ++tally.passed;
      ++passed_;
      return;
    }
    ++tally.failed;
    ++failed_;
    failures_.push_back(result.message);
    if (options_.common.json || failed_ > kShownFailures) return;
    progress.clear();
    fmt::print("FAILED {}\n", result.message);
    if (failed_ == kShownFailures) fmt::print("(further failures are counted, not shown)\n");
    std::fflush(stdout);
  }

  const CheckOptions& options_;
  const Device own_device_;  ///< of the command: for plans, and for runs on anything but a simulated one
  std::map<std::string, Tally> tallies_;
  std::vector<std::string> failures_;
  std::string refusal_;
  int64_t passed_ = 0, failed_ = 0, refused_ = 0;
};

/// A Problem typed by hand may be of any size; better a sentence than a machine that swaps.
void require_memory(const Cost& cost) {
  const double bytes = cost.bytes;
  const double available =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  if (available > 0 && bytes > available / 2)
    throw CommandError(fmt::format("the tensors take {:.1f} GB, more than half of the memory", bytes / 1e9),
                       kExitUsage);
}

/// A name that no row has would count as one failed check per problem. Which name is known does not depend on the
/// Problem.
void require_kernel(const CheckOptions& options, const Device& device) {
  if (options.common.kernel == "all") return;
  PlanOptions plan_options = options.common.plan_options();
  plan_options.device = device;
  const AttentionFwd smallest = AttentionFwd::dense(Layout::bshd, DType::f32, 1, 1, 1, 4, 4, 8);
  const Status status = options.backward ? plan(AttentionBwd::of(smallest), plan_options).status()
                                         : plan(smallest, plan_options).status();
  if (status.code() == StatusCode::invalid_argument) throw CommandError(status.message(), kExitUsage);
}

void print_json(const CheckOptions& options, const Checker& checker) {
  nlohmann::ordered_json out{{"passed", checker.passed()},
                             {"failed", checker.failed()},
                             {"refused", checker.refused()},
                             {"seed", options.seed},
                             {"device", options.common.device}};
  out["kernels"] = nlohmann::ordered_json::array();
  for (const auto& [kernel, tally] : checker.tallies())
    out["kernels"].push_back({{"kernel", kernel},
                              {"problems", tally.took()},
                              {"passed", tally.passed},
                              {"failed", tally.failed},
                              {"refused", tally.refused},
                              {"error_ratio", tally.max_ratio},
                              {"worst", tally.worst}});
  out["failures"] = checker.failures();
  fmt::print("{}\n", out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void print_text(const Checker& checker) {
  fmt::print("{:<55}{:>9}{:>8}{:>8}{:>9}{:>22}\n", "kernel", "problems", "passed", "failed", "refused",
             "largest error/bound");
  for (const auto& [kernel, tally] : checker.tallies())
    fmt::print("{:<55}{:>9}{:>8}{:>8}{:>9}{:>22.3f}\n", kernel, tally.took(), tally.passed, tally.failed, tally.refused,
               tally.max_ratio);
  if (checker.refused() > 0) fmt::print("a refusal: {}\n", checker.refusal());
  fmt::print("{} passed, {} failed\n", checker.passed(), checker.failed());
}

int check(const CheckOptions& asked) {
  CheckOptions options = asked;
  if (options.problem.empty() == (options.random == 0))
    throw CommandError("give either a Problem in quotes or --random N", kExitUsage);
  options.backward = is_backward(options.problem, options.backward);
  const Device device = device_named(options.common.device, options.seed);
  require_kernel(options, device);
  Checker checker(options, device);
  {
    const int64_t count = std::max<int64_t>(options.random, 1);
    Progress progress("check", count, options.common.quiet);
    if (options.random == 0) {
      const auto check_one = [&](const auto& problem) {
        require_memory(problem.cost());
        checker.check(problem, options.seed, progress);
      };
      options.backward ? check_one(parse_backward(options.problem))
                       : check_one(take(AttentionFwd::parse(options.problem)));
    }
    const verify::GeneratorLimits limits = options.common.device == "sim"   ? kSimulatedLimits
                                           : options.common.device == "cpu" ? kCpuLimits
                                                                            : kDeviceLimits;
    for (int64_t i = 0; i < options.random; ++i) {
      const uint64_t seed = options.seed + static_cast<uint64_t>(i);
      if (options.backward) {
        checker.check(verify::random_backward_problem(seed, kBackwardLimits), seed, progress);
      } else {
        checker.check(verify::random_problem(seed, limits), seed, progress);
      }
      progress.advance(1, checker.failed() > 0 ? fmt::format("{} failed", checker.failed()) : std::string());
    }
  }
  if (options.common.json)
    print_json(options, checker);
  else
    print_text(checker);
  if (checker.failed() > 0) return kExitFailure;
  if (checker.passed() == 0) throw CommandError("nothing was checked: " + checker.refusal(), kExitUsage);
  return kExitOk;
}

}  // namespace

void add_check_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* command = new_command(
      app, "check", "Compare kernels with the fp64 oracle, element by element against its error bound",
      {"attend check \"attention_fwd b=2 hq=6 hk=2 sq=100 sk=130 d=40 dtype=bf16 mask=causal\" --kernel all",
       "attend check --random 20 --seed 7", "attend check --backward --random 5 --seed 7",
       "attend check --random 5 --seed 7 --kernel all --device cpu --json"});
  command->add_option("problem", options->problem, "A Problem in quotes (docs/problem-text.md)");
  command
      ->add_option("--random", options->random,
                   "Check this many random Problems instead, problem i drawn from seed + i")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  add_backward_option(*command, options->backward);
  command->add_option("--seed", options->seed, "Of the inputs; some seeds make tied maxima, some large scores")
      ->capture_default_str();
  command->add_option("--sample", options->sample, "Compare this many rows only; -1: all")
      ->check(CLI::Range(int64_t{-1}, int64_t{1} << 40));
  command->add_option("--kernel", options->common.kernel, "A kernel's id, or `all`; default: the plan's choice");
  add_device_option(*command, options->common);
  add_threads_option(*command, options->common);
  add_quiet_option(*command, options->common);
  add_json_option(*command, options->common);
  command->callback([options, &context] { context.exit_code = check(*options); });
}

}  // namespace attend::cli
