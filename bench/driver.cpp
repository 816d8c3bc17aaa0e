// SPDX-License-Identifier: Apache-2.0
#include "driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "statistics.hpp"

namespace attend::bench {

using Clock = std::chrono::steady_clock;

namespace {

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

bool same(const Subject& a, const Subject& b) {
  return a.problem == b.problem && a.threads == b.threads && a.kernel == b.kernel && a.contender == b.contender &&
         a.cold == b.cold && a.flat == b.flat;
}

/// Short enough to fit between the runs of a round, long enough for the loop to reach its rate.
constexpr double kPeakSeconds = 0.015;
/// The roof of a case is measured in bursts right after its own runs, at the clock that they left behind: a core that
/// heats up in attention slows down within milliseconds, and a loop on registers alone lets it speed up again.
constexpr double kBurstSeconds = 0.0015;
constexpr double kPeakEvery = 0.01;  ///< seconds of the subject's runs between two bursts
/// How many rounds min_time is cut into.
constexpr double kSlices = 8;

/// Rate of that ISA, or of the fastest that has such an instruction; 0 when none has.
double peak_of_any_isa(const std::string& isa, PeakKind kind, int threads) {
  double peak = measure_peak(isa, kind, threads, kPeakSeconds);
  const MachineInfo machine = machine_info();
  for (auto each = machine.isas.rbegin(); peak <= 0 && each != machine.isas.rend(); ++each)
    if (each->available) peak = measure_peak(each->name, kind, threads, kPeakSeconds);
  return peak;
}

PeakKind roof_of(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::bf16_dot ? PeakKind::dot_bf16 : PeakKind::fma_f32;
}

}  // namespace

struct Driver::Timed {
  Subject subject;
  std::unique_ptr<Runner> runner;
  double error_ratio = 0;
  std::vector<double> runs;    ///< seconds of single runs
  std::vector<double> rounds;  ///< median of each round

  double gflops(double seconds) const { return runner->cost().flops / seconds * 1e-9; }
};

/// The peaks that were measured between the runs of one case.
struct Driver::Roof {
  std::string isa;
  int threads = 1;
  PeakKind kind = PeakKind::fma_f32;
  std::vector<double> rounds;  ///< of `kind`
  double alone = 0;            ///< of `kind`, at the clock of the loop itself, once after all runs
  double other = 0;            ///< of the other kind, likewise

  double peak() const { return rounds.empty() ? 0 : median(rounds); }
  double of(PeakKind wanted) const { return wanted == kind ? peak() : other; }
};

Case with_options(Case line, const DriverOptions& options) {
  const auto override_subject = [&](Subject& subject) {
    if (options.threads) subject.threads = *options.threads;
    if (subject.threads <= 0) subject.threads = std::max(1, machine_info().cores);
    if (!options.kernel.empty() && subject.contender == Contender::attend) subject.kernel = options.kernel;
  };
  override_subject(line.subject);
  std::erase_if(line.bars, [&](Bar& bar) {
    if (!bar.against) return false;
    if (bar.against->contender == Contender::openblas && !options.baseline) return true;
    override_subject(*bar.against);
    return same(*bar.against, line.subject);  // a thread count or a kernel against itself
  });
  return line;
}

Driver::Driver(DriverOptions options) : options_(std::move(options)), provenance_(Provenance::of_this_process()) {}

double Driver::expected_seconds(const Case& line) const {
  const Result<Cost> cost = cost_of(line.subject.problem);
  if (!cost.ok()) return 0;
  // 50 GFLOP/s per thread is a guess that need only be right in proportion.
  const double run = cost->flops / (5e10 * std::max(1, line.subject.threads));
  double contenders = 1;
  for (const Bar& bar : line.bars) contenders += bar.against ? 1 : 0;
  const double wanted = std::max(options_.min_time, run * options_.min_rounds);
  return contenders * (run + std::min(wanted, std::max(options_.max_time, run * options_.few_rounds))) + 0.2;
}

Record Driver::describe(const Case& line, const Subject& subject) const {
  Record record;
  record.suite = options_.suite;
  record.group = line.group;
  record.problem = subject.problem;
  record.kernel = subject.contender == Contender::openblas ? "openblas_unfused" : subject.kernel;
  record.threads = subject.threads;
  record.machine = provenance_.machine;
  record.commit = provenance_.commit;
  record.date = utc_now();
  return record;
}

double Driver::bandwidth(int threads) {
  const auto [entry, fresh] = bandwidth_.try_emplace(threads, 0);
  if (fresh) entry->second = measure_read_bandwidth(threads);
  return entry->second;
}

/// Adds the subject to the contenders unless it is there, with the tensors of an earlier one that asks the same
/// Problem.
Result<Driver::Timed*> Driver::enter(const Subject& subject, Contenders& contenders) {
  SharedInputs inputs;
  for (const auto& each : contenders) {
    if (same(each->subject, subject)) return each.get();
    if (each->subject.problem == subject.problem) inputs = each->runner->shared_inputs();
  }
  const auto make = [&]() -> Result<std::unique_ptr<Runner>> {
    if (is_backward(subject.problem)) {
      const Result<AttentionBwd> problem = AttentionBwd::parse(subject.problem);
      if (!problem.ok()) return problem.status();
      return make_backward_runner(*problem, options_.seed, subject);
    }
    const Result<AttentionFwd> problem = AttentionFwd::parse(subject.problem);
    if (!problem.ok()) return problem.status();
    if (!inputs) {
      verify::FillOptions fill;
      fill.seed = options_.seed;
      fill.poison = false;
      fill.guard_pages = false;
      inputs = std::make_shared<verify::Inputs>(verify::Inputs::make(*problem, fill));
    }
    return subject.contender == Contender::openblas ? make_openblas_runner(*problem, inputs, subject.threads)
                                                    : make_attend_runner(*problem, inputs, subject);
  };
  auto runner = make();
  if (!runner.ok()) return runner.status();
  auto timed = std::make_unique<Timed>();
  timed->subject = subject;
  timed->runner = std::move(runner).value();
  const Result<double> checked = check_answer(*timed->runner, options_.sample_rows, options_.seed);
  if (!checked.ok()) return checked.status();
  timed->error_ratio = *checked;
  contenders.push_back(std::move(timed));
  return contenders.back().get();
}

Status Driver::time_rounds(Contenders& contenders, Roof& roof) {
  const double slice = options_.min_time / kSlices;
  const Clock::time_point begin = Clock::now();
  double subject_seconds = 0;
  for (int round = 1;; ++round) {
    for (const auto& timed : contenders) {
      std::vector<double> runs;
      const bool is_subject = timed == contenders.front();
      double since_peak = 0;
      const Clock::time_point turn = Clock::now();
      // The first run of a turn finds the caches of another contender. Where runs are long that does not matter.
      const bool warm_up = timed->runs.empty() || timed->runs.back() < slice / 4;
      if (warm_up)
        if (Status status = timed->runner->run(); !status.ok()) return status;
      do {
        const Clock::time_point start = Clock::now();
        Status status = timed->runner->run();
        runs.push_back(seconds_since(start));
        if (!status.ok()) return status;
        since_peak += runs.back();
        if (is_subject && since_peak >= kPeakEvery) {
          roof.rounds.push_back(measure_peak(roof.isa, roof.kind, roof.threads, kBurstSeconds));
          since_peak = 0;
        }
      } while (seconds_since(turn) < slice);
      if (is_subject && since_peak > 0)
        roof.rounds.push_back(measure_peak(roof.isa, roof.kind, roof.threads, kBurstSeconds));
      timed->runs.insert(timed->runs.end(), runs.begin(), runs.end());
      timed->rounds.push_back(median(runs));
      if (is_subject)
        for (const double run : runs) subject_seconds += run;
    }
    const bool enough = subject_seconds >= options_.min_time && round >= options_.min_rounds;
    const bool late = seconds_since(begin) >= options_.max_time && round >= options_.few_rounds;
    if (enough || late) break;
  }
  (void)measure_peak(roof.isa, roof.kind, roof.threads, kPeakSeconds);  // until the clock has forgotten attention
  roof.alone = measure_peak(roof.isa, roof.kind, roof.threads, kPeakSeconds);
  const PeakKind other = roof.kind == PeakKind::fma_f32 ? PeakKind::dot_bf16 : PeakKind::fma_f32;
  roof.other = peak_of_any_isa(roof.isa, other, roof.threads);
  return {};
}

void Driver::fill(Record& record, const Timed& timed, const Roof& roof) {
  const Runner& runner = *timed.runner;
  record.kernel = runner.kernel();
  record.isa = runner.isa();
  record.arithmetic = arithmetic_name(runner.arithmetic());
  record.threads = runner.threads();
  const Summary summary = summarise(timed.runs);
  record.median_s = summary.median;
  record.p10_s = summary.p10;
  record.p90_s = summary.p90;
  record.runs = summary.count;
  record.rounds = static_cast<int64_t>(timed.rounds.size());
  record.visible_pairs = runner.cost().visible_pairs;
  record.flops = runner.cost().flops;
  record.bytes = runner.cost().bytes;
  record.gflops = timed.gflops(summary.median);
  record.gbps = runner.cost().bytes / summary.median * 1e-9;
  record.peak_gbps = bandwidth(runner.threads());
  record.peak_gflops = roof.of(roof_of(runner.arithmetic()));
  record.peak_fma_f32_gflops = roof.of(PeakKind::fma_f32);
  record.peak_dot_bf16_gflops = roof.of(PeakKind::dot_bf16);
  record.share = record.peak_gflops > 0 ? record.gflops / record.peak_gflops : 0;
  record.peak_alone_gflops = roof_of(runner.arithmetic()) == roof.kind ? roof.alone : 0;
  record.share_alone = record.peak_alone_gflops > 0 ? record.gflops / record.peak_alone_gflops : 0;
  record.workspace_bytes = runner.workspace_bytes();
  record.tile_rows = runner.tile_rows();
  record.tile_keys = runner.tile_keys();
  record.error_ratio = timed.error_ratio;
}

void Driver::judge(Record& record, const Bar& bar, const Timed& subject, const Timed* against) const {
  BarResult result;
  result.what = bar.what;
  result.limit = bar.limit;
  result.at_most = bar.at_most();
  const Runner& runner = *subject.runner;
  switch (bar.kind) {
    case Bar::Kind::share:
      if (record.share <= 0) {
        record.not_judged.push_back(bar.what + ": this ISA's peak could not be measured");
        return;
      }
      result.value = record.share;
      break;
    case Bar::Kind::bandwidth: result.value = record.gbps / record.peak_gbps; break;
    case Bar::Kind::seconds: result.value = record.median_s; break;
    case Bar::Kind::workspace:
      result.value =
          static_cast<double>(runner.workspace_bytes()) / workspace_allowance(runner.problem(), runner.arithmetic());
      break;
    case Bar::Kind::rate:
    case Bar::Kind::time:
    case Bar::Kind::elapsed: {
      std::vector<double> ratios;
      const size_t rounds = std::min(subject.rounds.size(), against->rounds.size());
      for (size_t i = 0; i < rounds; ++i)
        ratios.push_back(bar.kind == Bar::Kind::elapsed
                             ? against->rounds[i] / subject.rounds[i]
                             : subject.gflops(subject.rounds[i]) / against->gflops(against->rounds[i]));
      const double rate = median(std::move(ratios));
      result.value = bar.kind == Bar::Kind::rate ? rate : 1 / rate;
      const Subject& other = against->subject;
      result.against = other.contender == Contender::openblas ? "openblas_unfused"
                                                              : fmt::format("{} ({}, threads {})", other.problem,
                                                                            against->runner->kernel(), other.threads);
      break;
    }
  }
  result.met = bar.met(result.value);
  record.bars.push_back(std::move(result));
}

std::vector<Record> Driver::measure(const Case& asked) {
  const Case line = with_options(asked, options_);
  Record record = describe(line, line.subject);
  Contenders contenders;
  contenders.reserve(line.bars.size() + 1);
  const auto give_up = [&](const Status& status) {
    record.state = status.code() == StatusCode::unsupported ? Record::State::skipped : Record::State::failed;
    record.reason = status.message();
    return std::vector<Record>{record};
  };

  const Result<Timed*> entered = enter(line.subject, contenders);
  if (!entered.ok()) return give_up(entered.status());
  const Timed& subject = **entered;
  std::vector<const Timed*> others(line.bars.size(), nullptr);
  for (size_t i = 0; i < line.bars.size(); ++i) {
    if (!line.bars[i].against) continue;
    const Result<Timed*> other = enter(*line.bars[i].against, contenders);
    if (other.ok())
      others[i] = *other;
    else if (other.status().code() == StatusCode::unsupported)
      record.not_judged.push_back(line.bars[i].what + ": " + other.status().message());
    else
      return give_up(other.status());
  }

  Roof roof;
  roof.isa = subject.runner->isa();
  roof.threads = subject.runner->threads();
  roof.kind = roof_of(subject.runner->arithmetic());
  if (Status status = time_rounds(contenders, roof); !status.ok()) return give_up(status);
  // A case that is judged by the memory's speed has it measured anew, right after its own runs.
  for (const Bar& bar : line.bars)
    if (bar.kind == Bar::Kind::bandwidth) bandwidth_.erase(subject.runner->threads());
  fill(record, subject, roof);
  for (size_t i = 0; i < line.bars.size(); ++i)
    if (!line.bars[i].against || others[i]) judge(record, line.bars[i], subject, others[i]);

  std::vector<Record> records{std::move(record)};
  for (const auto& each : contenders) {
    if (each->subject.contender != Contender::openblas) continue;
    Record baseline = describe(line, each->subject);
    fill(baseline, *each, roof);
    records.push_back(std::move(baseline));
  }
  return records;
}

}  // namespace attend::bench
