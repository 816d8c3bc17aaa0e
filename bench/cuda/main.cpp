// SPDX-License-Identifier: Apache-2.0
// Measures attention on a CUDA device, as users of the library get it, beside what else the machine has for it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <optional>

#include "cli/command.hpp"
#include "cli/progress.hpp"
#include "measure.hpp"

namespace attend::bench::cuda {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kExitLost = 3;
/// A case that gets less is not worth its start.
constexpr double kLeastSeconds = 1.0;

struct Options {
  std::string device = "cuda";
  std::string json_file, filter;
  double seconds = 300;
  int64_t first = 0;
  bool list = false, quiet = false, no_peers = false, brief = false;
};

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

struct Numbered {
  int64_t index;
  Case line;
};

std::vector<Numbered> asked_cases(const Options& options) {
  std::vector<Numbered> asked;
  int64_t index = 0;
  for (Case& line : all_cases()) {
    const bool wanted =
        line.group.find(options.filter) != std::string::npos || line.problem.find(options.filter) != std::string::npos;
    if (wanted && index >= options.first) asked.push_back({index, std::move(line)});
    ++index;
  }
  if (asked.empty())
    throw cli::CommandError(fmt::format("--filter is '{}' and --first {}, expected part of a case (see --list)",
                                        options.filter, options.first),
                            cli::kExitUsage);
  return asked;
}

void list(const std::vector<Numbered>& cases) {
  for (const Numbered& each : cases) {
    fmt::print("{:3} {} {:<22} {}\n", each.index, each.line.rank, each.line.group, each.line.problem);
    for (const Target& target : each.line.targets) fmt::print("{:<28} {} >= {:g}\n", "", target.what(), target.limit);
  }
}

std::string row_of(const DeviceRecord& record) {
  const Record& base = record.base;
  std::string text = fmt::format("{:3} {:<22} {:<44} ", record.index, base.group, base.kernel);
  if (base.state != Record::State::timed)
    return text + (base.state == Record::State::skipped ? "skipped: " : "FAILED: ") + base.reason;
  if (record.simulated) return text + fmt::format("simulated, error / bound {:.2g}", base.error_ratio);
  if (base.median_s <= 0) return text + fmt::format("rms error {:.2e}", record.rms_error);
  text += fmt::format("{:9.1f} us {:7.1f} TFLOP/s", base.median_s * 1e6, base.gflops * 1e-3);
  for (const auto& [name, ratio] : record.ratios) text += fmt::format("  {:.2f} x {}", ratio, name);
  return text;
}

/// Whole lines, each written at once, so that what an interrupted run leaves is still JSON lines.
class Lines {
 public:
  explicit Lines(const std::string& path) {
    if (path.empty()) return;
    file_.open(path, std::ios::app);
    if (!file_) throw cli::CommandError(fmt::format("--json: cannot write '{}'", path));
    on_ = true;
  }
  void write(const nlohmann::ordered_json& line) {
    if (!on_) return;
    file_ << line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n' << std::flush;
    if (!file_) throw cli::CommandError("--json: the file could not be written (disk full?)");
  }

 private:
  bool on_ = false;
  std::ofstream file_;
};

void say_what_is_here(const Stage& stage, const Peers& peers, const Result<Sensors>& sensors) {
  const StageFacts& facts = stage.facts();
  fmt::print("device   {}{}{}\n", facts.name, facts.driver.empty() ? "" : ", CUDA " + facts.driver,
             sensors.ok() ? ", driver " + sensors->driver_version() : "");
  if (sensors.ok())
    fmt::print("limits   {} MHz, {} W\n", sensors->max_sm_mhz(), sensors->power_limit_w());
  else
    fmt::print("clocks   not known: {}\n", sensors.status().message());
  for (const auto& [name, text] : peers.texts()) fmt::print("peer     {}: {}\n", name, text);
  if (!peers.absent().empty()) fmt::print("peers    none: {}\n", peers.absent());
  std::fflush(stdout);
}

/// One line before the cases: what is the same for all of them.
nlohmann::ordered_json header_of(const Stage& stage, const Peers& peers, const Result<Sensors>& sensors) {
  const StageFacts& facts = stage.facts();
  nlohmann::ordered_json line{{"header", true},
                              {"device", facts.name},
                              {"simulated", stage.simulated()},
                              {"cuda", facts.driver},
                              {"l2_bytes", facts.l2_bytes},
                              {"driver", sensors.ok() ? sensors->driver_version() : ""},
                              {"power_limit_w", sensors.ok() ? sensors->power_limit_w() : 0},
                              {"max_sm_mhz", sensors.ok() ? sensors->max_sm_mhz() : 0},
                              {"sensors_absent", sensors.ok() ? "" : sensors.status().message()},
                              {"peers_absent", peers.absent()}};
  line["peers"] = nlohmann::ordered_json::object();
  for (const auto& [name, text] : peers.texts()) line["peers"][name] = text;
  line["date"] = utc_now();
  line["commit"] = Provenance::of_this_process().commit;
  return line;
}

int run(const Options& options) {
  const std::vector<Numbered> cases = asked_cases(options);
  if (options.list) {
    list(cases);
    return cli::kExitOk;
  }
  const Clock::time_point begin = Clock::now();
  const bool simulated = options.device == "sim";
  const auto stage = cli::take(simulated ? make_simulated_stage() : make_cuda_stage());
  Peers peers = options.no_peers ? Peers::none("--no-peers") : Peers::start();
  const Result<Sensors> sensors = simulated ? Result<Sensors>(Status(StatusCode::device, "no sensors in the simulator"))
                                            : Sensors::open(stage->facts().bus_id);
  Lines lines(options.json_file);
  say_what_is_here(*stage, peers, sensors);
  lines.write(header_of(*stage, peers, sensors));

  Measurer measurer(*stage, peers, sensors.ok() ? &*sensors : nullptr, options.brief);
  cli::Progress progress("gpu", static_cast<int64_t>(cases.size()), options.quiet);
  int64_t failed = 0, skipped = 0, met = 0, missed = 0;
  const auto emit = [&](const DeviceRecord& record) {
    failed += record.base.state == Record::State::failed ? 1 : 0;
    skipped += record.base.state == Record::State::skipped ? 1 : 0;
    for (const BarResult& bar : record.base.bars) ++(bar.met ? met : missed);
    lines.write(record.json());
    progress.clear();
    fmt::print("{}\n", row_of(record));
    std::fflush(stdout);
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    const Numbered& each = cases[i];
    const double left = options.seconds - seconds_since(begin);
    progress.advance(0, fmt::format("{:.0f} s of the budget left, {}", std::max(left, 0.0), each.line.group));
    if (left < kLeastSeconds) {
      emit(measurer.skipped(each.index, each.line, fmt::format("the budget of {:g} s is spent", options.seconds)));
    } else {
      const double share = std::max(left / static_cast<double>(cases.size() - i), kLeastSeconds);
      for (const DeviceRecord& record : measurer.measure(each.index, each.line, share)) emit(record);
    }
    if (measurer.lost()) {
      progress.clear();
      fmt::print(stderr, "attend_bench_cuda: the device failed in case {}; --first {} goes on behind it\n", each.index,
                 each.index + 1);
      std::fflush(nullptr);
      std::_Exit(kExitLost);  // to free its memory could wait for ever
    }
    progress.advance(1);
  }
  progress.clear();
  fmt::print("{} cases: {} failed, {} skipped; targets: {} met, {} missed\n", cases.size(), failed, skipped, met,
             missed);
  return failed > 0 ? cli::kExitFailure : cli::kExitOk;
}

}  // namespace
}  // namespace attend::bench::cuda

int main(int argc, char** argv) {
  using namespace attend;
  bench::cuda::Options options;
  CLI::App app("Measures attention on a CUDA device beside cuDNN, FlashAttention and cuBLAS", "attend_bench_cuda");
  app.add_option("--device", options.device, "cuda, or sim: everything runs in the PTX simulator and nothing is timed")
      ->check(CLI::IsMember({"cuda", "sim"}))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "For all cases together; what does not fit is listed as skipped")
      ->check(CLI::Range(1.0, 86400.0))
      ->capture_default_str();
  app.add_option("--json", options.json_file, "Append one JSON object for each measurement to this file");
  app.add_option("--filter", options.filter, "Only cases whose group or Problem contains this text");
  app.add_option("--first", options.first, "Begin with the case of this number")->check(CLI::NonNegativeNumber);
  app.add_flag("--no-peers", options.no_peers, "Without the other libraries");
  app.add_flag("--short", options.brief,
               "Short versions of the cases, to see that all of it works; always so with sim");
  app.add_flag("--list", options.list, "List the cases and their targets");
  app.add_flag("--quiet", options.quiet, "No progress");
  app.footer(
      "Exit codes: 0 all measured, 1 a wrong answer or a failure, 2 the call makes no sense, 3 the device failed.");
  CLI11_PARSE(app, argc, argv);
  try {
    return bench::cuda::run(options);
  } catch (const cli::CommandError& error) {
    fmt::print(stderr, "attend_bench_cuda: {}\n", error.what());
    return error.exit_code();
  }
}
