// SPDX-License-Identifier: Apache-2.0
#include "measure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <sstream>
#include <utility>

#include "bench/statistics.hpp"

namespace attend::bench::cuda {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kLapSeconds = 0.4e-3;  ///< of one contender's turn, if its runs are shorter
constexpr int kMostRunsInALap = 20, kFewestRounds = 5, kMostRounds = 60;
constexpr int64_t kSampleRows = 24, kErrorRows = 512;
constexpr uint64_t kSeed = 1;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

std::string mask_of(const AttentionFwd& problem) {
  std::istringstream words(problem.text());
  for (std::string word; words >> word;)
    if (word.starts_with("mask=")) return word.substr(5);
  return "none";
}

}  // namespace

double counted_flops(const AttentionFwd& problem) {
  const std::string mask = mask_of(problem);
  if (mask != "none" && mask != "causal") return problem.cost().flops;
  double pairs = 0;
  for (int64_t n = 0; n < problem.b; ++n)
    pairs += static_cast<double>(problem.query_length(n)) * static_cast<double>(problem.key_length(n));
  const double flops = 2 * pairs * static_cast<double>(problem.d + problem.dv) * static_cast<double>(problem.hq);
  return mask == "causal" ? flops / 2 : flops;
}

/// Who takes a turn in each round.
struct Measurer::Contender {
  std::string name;  ///< kernel id, peer, `cublas`, `copy`
  std::string role;
  double flops = 0;  ///< of one run; 0: of the copy
  std::function<Result<Lap>(int runs, double hide, const std::function<void()>& meanwhile)> lap;
  std::optional<AttentionFwdPlan> plan;
  verify::DeviceMemory workspace;
  DeviceRecord record;  ///< of those that have one of their own
  int runs = 1;
  double hide = 0;
  std::vector<double> seconds, host_seconds;  ///< of one run, for each round

  double rate() const { return seconds.empty() ? 0 : flops / median(seconds); }
};

Measurer::Measurer(Stage& stage, Peers& peers, const Sensors* sensors, bool brief)
    : stage_(stage),
      peers_(peers),
      sensors_(sensors),
      provenance_(Provenance::of_this_process()),
      brief_(brief || stage.simulated()) {
  provenance_.machine = stage.facts().name;
}

Status Measurer::noted(Status status) {
  lost_ = lost_ || status.code() == StatusCode::device;
  return status;
}

DeviceRecord Measurer::describe(int64_t index, const Case& line) const {
  DeviceRecord record;
  record.index = index;
  record.rank = line.rank;
  record.role = "attend";
  record.simulated = stage_.simulated();
  record.base.suite = "cuda";
  record.base.group = line.group;
  record.base.problem = brief_ ? shortened(line.problem) : line.problem;
  if (brief_) record.stands_for = line.problem;
  record.base.machine = provenance_.machine;
  record.base.commit = provenance_.commit;
  record.base.date = utc_now();
  return record;
}

DeviceRecord Measurer::skipped(int64_t index, const Case& line, const std::string& reason) const {
  DeviceRecord record = describe(index, line);
  record.base.state = Record::State::skipped;
  record.base.reason = reason;
  return record;
}

/// Plans, runs once on an output full of NaN, and compares; then the kernel may take its turns.
Status Measurer::add_kernel(const AttentionFwd& problem, const std::string& kernel, const char* role, Tensors& tensors,
                            Contenders& contenders, DeviceRecord& record) {
  PlanOptions options;
  options.device = stage_.device();
  options.kernel = kernel;
  Result<AttentionFwdPlan> made = plan(problem, options);
  if (!made.ok()) return noted(made.status());
  auto contender = std::make_unique<Contender>();
  Contender& self = *contender;
  self.plan = std::move(made).value();
  self.name = self.plan->kernel();
  self.role = role;
  self.flops = counted_flops(problem);
  if (self.plan->workspace_bytes() > 0)
    if (Status status = self.workspace.allocate(stage_.device(), self.plan->workspace_bytes()); !status.ok())
      return noted(status);
  const auto run = [this, &self, &tensors](int64_t set) {
    AttentionFwdArgs args = tensors.on_device(set);
    args.stream = stage_.stream();
    return self.plan->run(args, {static_cast<std::byte*>(self.workspace.data()), self.plan->workspace_bytes()});
  };
  self.lap = [this, run](int runs, double hide, const std::function<void()>& meanwhile) {
    return stage_.lap(run, runs, hide, meanwhile);
  };

  Record& base = record.base;
  base.kernel = self.name;
  base.isa = self.plan->isa();
  base.arithmetic = arithmetic_name(self.plan->arithmetic());
  base.workspace_bytes = static_cast<int64_t>(self.plan->workspace_bytes());
  base.tile_rows = self.plan->tile_rows();
  base.tile_keys = self.plan->tile_keys();
  base.flops = self.flops;
  const Cost cost = problem.cost();
  base.visible_pairs = cost.visible_pairs;
  base.bytes = cost.bytes;
  Status status = tensors.poison_output();
  if (status.ok()) status = stage_.lap([&](int64_t) { return run(0); }, 1, 0).status();
  if (status.ok()) status = tensors.read_output();
  if (!status.ok()) return noted(status);
  const int64_t rows = record.base.group.starts_with("error") ? kErrorRows : kSampleRows;
  const Comparison comparison = compare_with_reference(problem, tensors.host(), self.plan->arithmetic(), rows, kSeed);
  base.error_ratio = comparison.max_ratio;
  record.rms_error = comparison.rms_error;
  record.rms_value = comparison.rms_value;
  if (!comparison.first_failure.empty() || comparison.max_ratio > 1 || comparison.rows == 0)
    return {StatusCode::internal,
            "wrong answer, not timed: " + self.name + ": " +
                (comparison.rows == 0 ? std::string("no row could be compared") : comparison.first_failure)};
  contenders.push_back(std::move(contender));
  return {};
}

/// The device's other rows of the same type and columns, of any family, as the plan's candidates name them.
void Measurer::add_comparisons(const AttentionFwd& problem, Tensors& tensors, Contenders& contenders,
                               std::vector<DeviceRecord>& records) {
  // Ids are attention_fwd.<family>.<type>.d<columns>[.<what is different>].
  const std::string chosen = contenders.front()->name;
  const size_t family = chosen.find('.');
  const size_t type = family == std::string::npos ? family : chosen.find('.', family + 1);
  if (type == std::string::npos) return;
  const std::string kind = chosen.substr(type) + ".";
  const std::vector<Candidate> candidates = contenders.front()->plan->candidates();
  for (const Candidate& candidate : candidates) {
    if (lost_ || candidate.kernel == chosen || (candidate.kernel + ".").find(kind) == std::string::npos) continue;
    DeviceRecord record = records.front();
    record.role = "comparison";
    record.base.kernel = candidate.kernel;
    if (Status status = add_kernel(problem, candidate.kernel, "comparison", tensors, contenders, record); status.ok()) {
      contenders.back()->record = std::move(record);
    } else {
      const bool refused = status.code() == StatusCode::unsupported;
      record.base.state = refused ? Record::State::skipped : Record::State::failed;
      record.base.reason = status.message();
      records.push_back(std::move(record));
    }
  }
}

void Measurer::add_peers(const std::string& problem, const Tensors& tensors, Contenders& contenders,
                         DeviceRecord& subject) {
  if (!peers_.absent().empty()) {
    subject.absent["peers"] = peers_.absent();
    return;
  }
  const Peers::Opened opened = peers_.open(problem, tensors.sets());
  subject.absent.insert(opened.refused.begin(), opened.refused.end());
  for (const std::string& name : opened.names) {
    auto contender = std::make_unique<Contender>();
    contender->name = name;
    contender->role = "peer";
    contender->flops = contenders.front()->flops;
    contender->lap = [this, name](int runs, double hide, const std::function<void()>&) {
      return peers_.lap(name, runs, hide);
    };
    contender->record = subject;
    contender->record.role = "peer";
    contender->record.absent.clear();
    Record& base = contender->record.base;
    base.kernel = name;
    base.isa = "own choice";
    base.arithmetic = "mma16";
    base.workspace_bytes = -1;
    base.tile_rows = base.tile_keys = 0;
    base.error_ratio = std::nan("");
    contender->record.rms_error = contender->record.rms_value = 0;
    contender->record.note = peers_.texts().at(name);
    if (const auto note = opened.notes.find(name); note != opened.notes.end())
      contender->record.note += ", " + note->second;
    contenders.push_back(std::move(contender));
  }
}

void Measurer::add_ceilings(DType type, Contenders& contenders, DeviceRecord& subject) {
  if (stage_.simulated()) {
    subject.absent["cublas"] = subject.absent["copy"] = "not in the simulator";
    return;
  }
  const auto add = [&](const char* name, double flops, const std::function<Status()>& run) {
    auto contender = std::make_unique<Contender>();
    contender->name = name;
    contender->role = "ceiling";
    contender->flops = flops;
    contender->lap = [this, run](int runs, double hide, const std::function<void()>& meanwhile) {
      return stage_.lap([&](int64_t) { return run(); }, runs, hide, meanwhile);
    };
    contenders.push_back(std::move(contender));
  };
  std::optional<Product>& product = products_[type];
  if (!product && !product_absent_.contains(type)) {
    Result<Product> made = Product::make(stage_, type, peers_.libraries());
    if (made.ok()) {
      product.emplace(std::move(made).value());
      product_names_[type] = product->name();
    } else {
      product_absent_[type] = made.status().message();
    }
  }
  if (product)
    add("cublas", product->flops(), [&product] { return product->run(); });
  else
    subject.absent["cublas"] = product_absent_[type];
  add("copy", 0, [this] { return stage_.copy(); });
}

Status Measurer::time_rounds(Contenders& contenders, double seconds, std::vector<Reading>& readings) {
  const auto turn = [&](Contender& contender, bool counts, const std::function<void()>& meanwhile) -> Status {
    const Result<Lap> lap = contender.lap(contender.runs, contender.hide, meanwhile);
    if (!lap.ok()) return lap.status();
    contender.hide = 1.5 * lap->host_seconds * contender.runs;
    if (counts) {
      contender.seconds.push_back(lap->seconds);
      contender.host_seconds.push_back(lap->host_seconds);
    } else if (lap->seconds > 0) {
      contender.runs = std::clamp(static_cast<int>(std::ceil(kLapSeconds / lap->seconds)), 1, kMostRunsInALap);
      contender.hide = 1.5 * lap->host_seconds * contender.runs;
    }
    return {};
  };
  const auto round = [&](bool counts) -> Status {
    for (size_t i = 0; i < contenders.size();) {
      Contender& contender = *contenders[i];
      const bool subject = i == 0;
      const Status status = turn(contender, counts, [&] {
        if (subject && counts && sensors_ != nullptr) readings.push_back(sensors_->read());
      });
      if (status.ok()) {
        ++i;
        continue;
      }
      if (contender.role != "peer") return noted(status);
      contenders.front()->record.absent[contender.name] = status.message();
      contenders.erase(contenders.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return {};
  };

  const Clock::time_point begin = Clock::now();
  const int warm = stage_.simulated() ? 0 : 3;
  for (int i = 0; i < warm; ++i)
    if (Status status = round(false); !status.ok()) return status;
  const int fewest = stage_.simulated() ? 1 : kFewestRounds;
  for (int i = 0; i < kMostRounds && (i < fewest || (!stage_.simulated() && seconds_since(begin) < seconds)); ++i)
    if (Status status = round(true); !status.ok()) return status;
  return {};
}

void Measurer::fill(DeviceRecord& record, const Contender& self, const Contenders& all) const {
  if (stage_.simulated()) return;
  const Summary summary = summarise(self.seconds);
  record.base.median_s = summary.median;
  record.base.p10_s = summary.p10;
  record.base.p90_s = summary.p90;
  record.base.rounds = summary.count;
  record.base.runs = summary.count * self.runs;
  record.base.gflops = self.rate() * 1e-9;
  record.base.gbps = record.base.bytes / summary.median * 1e-9;
  record.host_s = median(self.host_seconds);
  for (const auto& other : all) {
    if (other->name == "copy")
      record.base.peak_gbps = 2e-9 * static_cast<double>(stage_.copy_bytes()) / median(other->seconds);
    if (other.get() == &self || other->flops <= 0) continue;
    std::vector<double> ratios;
    for (size_t i = 0; i < std::min(self.seconds.size(), other->seconds.size()); ++i)
      ratios.push_back(self.flops / self.seconds[i] * other->seconds[i] / other->flops);
    record.ratios[other->name] = median(std::move(ratios));
    if (other->name == "cublas") {
      record.base.peak_gflops = other->rate() * 1e-9;
      record.base.share = record.ratios["cublas"];
    }
  }
}

void Measurer::judge(DeviceRecord& record, const Case& line, const Contenders& all) const {
  for (const Target& target : line.targets) {
    BarResult result{target.what(), target.against, target.limit, 0, false, false};
    std::string missing;
    const auto ratio = [&](const std::string& name) {
      const auto found = record.ratios.find(name);
      if (found != record.ratios.end()) return found->second;
      const auto reason = record.absent.find(name);
      missing = reason != record.absent.end() ? reason->second : name + " is not here";
      return 0.0;
    };
    if (stage_.simulated()) {
      missing = "nothing is timed in the simulator";
    } else if (brief_) {
      missing = "a short version of the case ran";
    } else if (target.kind == Target::Kind::tflops) {
      result.value = record.base.gflops * 1e-3;
    } else if (target.kind == Target::Kind::order) {
      missing = "no other row takes this case";
      for (const auto& other : all) {
        if (other->role != "comparison") continue;
        const double over = ratio(other->name);
        result.value = result.value > 0 ? std::min(result.value, over) : over;
        missing.clear();
      }
    } else {
      result.value = ratio(target.against);
    }
    if (!missing.empty()) {
      record.base.not_judged.push_back(result.text() + ": " + missing);
      continue;
    }
    result.met = result.value >= result.limit;
    record.base.bars.push_back(std::move(result));
  }
}

std::vector<DeviceRecord> Measurer::measure(int64_t index, const Case& line, double seconds) {
  const Clock::time_point begin = Clock::now();
  std::vector<DeviceRecord> records{describe(index, line)};
  const auto give_up = [&](const Status& status) {
    Record& base = records.front().base;
    base.state = status.code() == StatusCode::unsupported ? Record::State::skipped : Record::State::failed;
    base.reason = status.message();
    return records;
  };
  const std::string text = records.front().base.problem;
  const Result<AttentionFwd> problem = AttentionFwd::parse(text);
  if (!problem.ok()) return give_up(problem.status());
  Result<Tensors> tensors = Tensors::make(
      stage_.device(), *problem, line.error() ? Distribution::outliers : Distribution::normal, stage_.facts().l2_bytes);
  if (!tensors.ok()) return give_up(noted(tensors.status()));

  Contenders contenders;
  if (Status status = add_kernel(*problem, "", "attend", *tensors, contenders, records.front()); !status.ok())
    return give_up(status);
  if (line.error()) {
    if (peers_.absent().empty())
      records.front().rms_errors = peers_.errors(text);
    else
      records.front().absent["peers"] = peers_.absent();
    records.front().note = "not timed";
    return records;
  }
  if (line.ablation()) add_comparisons(*problem, *tensors, contenders, records);
  if (lost_) return give_up(Status(StatusCode::device, "a row for comparison stopped the device"));
  add_peers(text, *tensors, contenders, records.front());
  add_ceilings(problem->q_type, contenders, records.front());
  contenders.front()->record = records.front();
  const Status status = time_rounds(contenders, seconds - seconds_since(begin), records.front().readings);
  peers_.close();
  records.front().absent = contenders.front()->record.absent;
  if (!status.ok()) return give_up(status);

  fill(records.front(), *contenders.front(), contenders);
  judge(records.front(), line, contenders);
  for (size_t i = 1; i < contenders.size(); ++i) {
    if (contenders[i]->role == "ceiling") continue;
    fill(contenders[i]->record, *contenders[i], contenders);
    records.push_back(std::move(contenders[i]->record));
  }
  return records;
}

}  // namespace attend::bench::cuda
