// SPDX-License-Identifier: Apache-2.0
#include "record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <attend/attend.hpp>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <system_error>

namespace attend::bench {

using nlohmann::ordered_json;

std::string BarResult::text() const { return fmt::format("{} {} {:.3g}", what, at_most ? "<=" : ">=", limit); }

double BarResult::margin() const { return at_most ? limit / value : value / limit; }

const BarResult* Record::decisive_bar() const {
  const auto worst =
      std::min_element(bars.begin(), bars.end(), [](const auto& a, const auto& b) { return a.margin() < b.margin(); });
  return worst == bars.end() ? nullptr : &*worst;
}

bool Record::all_met() const {
  return std::all_of(bars.begin(), bars.end(), [](const BarResult& bar) { return bar.met; });
}

namespace {

/// Six digits are more than a timing has; a number that was not measured is null.
ordered_json number(double value) {
  if (!std::isfinite(value) || value == 0) return nullptr;
  return std::stod(fmt::format("{:.6g}", value));
}

const char* state_name(Record::State state) {
  switch (state) {
    case Record::State::timed: return "timed";
    case Record::State::skipped: return "skipped";
    case Record::State::failed: return "failed";
  }
  return "?";
}

}  // namespace

ordered_json Record::json() const {
  ordered_json line;
  line["suite"] = suite;
  line["group"] = group;
  line["problem"] = problem;
  line["kernel"] = kernel;
  line["isa"] = isa;
  line["arithmetic"] = arithmetic;
  line["threads"] = threads;
  line["state"] = state_name(state);
  if (state != State::timed) line["reason"] = reason;
  const bool timed = state == State::timed;
  line["median_s"] = number(median_s);
  line["p10_s"] = number(p10_s);
  line["p90_s"] = number(p90_s);
  line["runs"] = runs;
  line["rounds"] = rounds;
  line["gflops"] = number(gflops);
  line["peak_gflops"] = number(peak_gflops);
  line["share"] = number(share);
  line["peak_alone_gflops"] = number(peak_alone_gflops);
  line["share_alone"] = number(share_alone);
  line["peak_fma_f32_gflops"] = number(peak_fma_f32_gflops);
  line["peak_dot_bf16_gflops"] = number(peak_dot_bf16_gflops);
  line["gbps"] = number(gbps);
  line["peak_gbps"] = number(peak_gbps);
  line["visible_pairs"] = visible_pairs;
  line["flops"] = flops;
  line["bytes"] = bytes;
  line["workspace_bytes"] = timed && workspace_bytes >= 0 ? ordered_json(workspace_bytes) : ordered_json(nullptr);
  line["tile_rows"] = tile_rows;
  line["tile_keys"] = tile_keys;
  // 0 is an answer here: a kernel may hit the oracle exactly.
  line["error_ratio"] =
      std::isfinite(error_ratio) && (timed || error_ratio > 0) ? ordered_json(error_ratio) : ordered_json(nullptr);
  line["machine"] = machine;
  line["date"] = date;
  line["commit"] = commit;
  const BarResult* decisive = decisive_bar();
  line["bar"] = decisive ? ordered_json(decisive->text()) : ordered_json(nullptr);
  line["bar_value"] = decisive ? number(decisive->value) : ordered_json(nullptr);
  line["bar_met"] = decisive ? ordered_json(all_met()) : ordered_json(nullptr);
  line["bars"] = ordered_json::array();
  for (const BarResult& bar : bars) {
    ordered_json entry;
    entry["bar"] = bar.text();
    entry["limit"] = number(bar.limit);
    entry["value"] = number(bar.value);
    entry["met"] = bar.met;
    if (!bar.against.empty()) entry["against"] = bar.against;
    line["bars"].push_back(std::move(entry));
  }
  if (!not_judged.empty()) line["bars_not_judged"] = not_judged;
  return line;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

std::vector<std::string> likely_folders() {
  std::vector<std::string> folders;
  std::error_code error;
  const std::filesystem::path binary = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) folders.push_back(binary.parent_path().string());
  folders.push_back(ATTEND_BENCH_FOLDER);  // for build folders outside of the checkout
  return folders;
}

namespace {

/// First line of what a shell command prints; empty when it fails.
std::string first_line_of(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return {};
  std::string text;
  std::array<char, 256> buffer{};
  while (const size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer.data(), n);
  if (pclose(pipe) != 0) return {};
  return text.substr(0, text.find('\n'));
}

std::string shell_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

/// An installed binary may lie in somebody else's checkout, so that the checkout must look like ours.
std::string checkout_commit() {
  for (const std::string& folder : likely_folders()) {
    const std::string git = "git -C " + shell_quoted(folder) + " ";
    const std::string top = first_line_of(git + "rev-parse --show-toplevel 2>/dev/null");
    std::error_code error;
    if (top.empty() || !std::filesystem::exists(top + "/include/attend/attend.hpp", error)) continue;
    return first_line_of(git + "describe --always --dirty --tags 2>/dev/null");
  }
  return {};
}

}  // namespace

Provenance Provenance::of_this_process() {
  const MachineInfo info = machine_info();
  Provenance provenance;
  provenance.machine =
      fmt::format("{}, {} core{}", info.cpu.empty() ? "unknown CPU" : info.cpu, info.cores, info.cores == 1 ? "" : "s");
  provenance.commit = checkout_commit();
  if (provenance.commit.empty()) provenance.commit = ATTEND_BENCH_VERSION;
  return provenance;
}

}  // namespace attend::bench
