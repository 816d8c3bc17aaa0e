// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace attend::bench {
namespace {

constexpr size_t kWidest = 60;

std::string without_operation(const std::string& problem) {
  const std::string prefix = "attention_fwd ";
  return problem.starts_with(prefix) ? problem.substr(prefix.size()) : problem;
}

std::string percent(double share) { return share > 0 ? fmt::format("{:.1f} %", 100 * share) : "-"; }

std::string bar_cell(const Record& record) {
  const BarResult* bar = record.decisive_bar();
  if (!bar) return {};
  std::string cell = fmt::format("{} {} ({:.3g})", bar->met ? "met   " : "MISSED", bar->text(), bar->value);
  const auto others = record.bars.size() - 1;
  if (others > 0) cell += fmt::format(" +{}", others);
  return cell;
}

}  // namespace

std::string short_problem(const std::string& problem, size_t width) {
  std::string text = without_operation(problem);
  if (text.size() > width && width > 3) text = text.substr(0, width - 3) + "...";
  return text;
}

std::string format_seconds(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.2f} ms", seconds * 1e3);
  return fmt::format("{:.3f} s", seconds);
}

Report::Report(const std::vector<Case>& cases) {
  for (const Case& line : cases) width_ = std::max(width_, without_operation(line.subject.problem).size());
  width_ = std::clamp<size_t>(width_, 7, kWidest);
}

std::string Report::header() const {
  return fmt::format("{:<{}}  {:<28} {:>2} {:>11} {:>11} {:>11} {:>8} {:>8} {:>7} {:>7}  {}", "problem", width_,
                     "kernel", "th", "median", "p10", "p90", "GFLOP/s", "peak", "share", "err", "bar");
}

std::string Report::row(const Record& record) const {
  const std::string problem = short_problem(record.problem, width_);
  if (record.state != Record::State::timed)
    return fmt::format("{:<{}}  {}: {}", problem, width_, record.state == Record::State::skipped ? "skipped" : "FAILED",
                       record.reason);
  std::string text = fmt::format(
      "{:<{}}  {:<28} {:>2} {:>11} {:>11} {:>11} {:>8.1f} {:>8.1f} {:>7} {:>7}  {}", problem, width_, record.kernel,
      record.threads, format_seconds(record.median_s), format_seconds(record.p10_s), format_seconds(record.p90_s),
      record.gflops, record.peak_gflops, percent(record.share),
      std::isfinite(record.error_ratio) ? fmt::format("{:.1g}", record.error_ratio) : "-", bar_cell(record));
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

void Tally::add(const Record& record) {
  const std::string name = fmt::format("{} (threads {})", without_operation(record.problem), record.threads);
  switch (record.state) {
    case Record::State::timed: ++timed_; break;
    case Record::State::skipped: skipped_.push_back(name + ": " + record.reason); return;
    case Record::State::failed: failed_.push_back(name + ": " + record.reason); return;
  }
  for (const BarResult& bar : record.bars) {
    if (bar.met)
      ++met_;
    else
      missed_.push_back(fmt::format("{}: {}, found {:.3g}", name, bar.text(), bar.value));
  }
  for (const std::string& reason : record.not_judged) not_judged_.push_back(name + ": " + reason);
}

std::string Tally::summary() const {
  std::string text = fmt::format("bars: {} met, {} missed", met_, missed_.size());
  if (!not_judged_.empty()) text += fmt::format(", {} not judged", not_judged_.size());
  if (!skipped_.empty()) text += fmt::format("; {} cases skipped", skipped_.size());
  if (!failed_.empty()) text += fmt::format("; {} cases FAILED", failed_.size());
  text += '\n';
  const auto list = [&](const char* title, const std::vector<std::string>& lines) {
    for (const std::string& line : lines) text += fmt::format("  {} {}\n", title, line);
  };
  list("missed    ", missed_);
  list("not judged", not_judged_);
  list("skipped   ", skipped_);
  list("FAILED    ", failed_);
  return text;
}

}  // namespace attend::bench
