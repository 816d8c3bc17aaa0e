// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "command.hpp"

namespace attend::cli {
namespace {

struct InfoOptions {
  CommonOptions common;
  bool no_measure = false;
};

struct Measured {
  std::string isa;
  int threads = 0;
  double fma_f32 = 0, dot_bf16 = 0;  ///< GFLOP/s; 0: it has no such instruction
};

std::string size_text(int64_t bytes) {
  if (bytes <= 0) return "unknown";
  if (bytes % (1 << 20) == 0) return fmt::format("{} MiB", bytes >> 20);
  return fmt::format("{} KiB", bytes >> 10);
}

std::string rate_text(double rate) { return rate > 0 ? fmt::format("{:.1f}", rate) : "-"; }

void info(const InfoOptions& options) {
  const MachineInfo machine = machine_info();
  const int all = options.common.threads > 0 ? options.common.threads : std::max(machine.cores, 1);
  std::vector<int> thread_counts{1};
  if (all > 1) thread_counts.push_back(all);

  std::vector<Measured> peaks;
  std::vector<std::pair<int, double>> bandwidths;
  if (!options.no_measure) {
    for (const IsaInfo& isa : machine.isas)
      for (const int threads : thread_counts)
        if (isa.available)
          peaks.push_back({isa.name, threads, measure_peak(isa.name, PeakKind::fma_f32, threads),
                           measure_peak(isa.name, PeakKind::dot_bf16, threads)});
    for (const int threads : thread_counts) bandwidths.emplace_back(threads, measure_read_bandwidth(threads));
  }

  const Result<Device> cuda = Device::cuda();
  if (options.common.json) {
    nlohmann::ordered_json out{{"version", ATTEND_VERSION},      {"cpu", machine.cpu},
                               {"vendor", machine.vendor},       {"cores", machine.cores},
                               {"l1d_bytes", machine.l1d_bytes}, {"l2_bytes", machine.l2_bytes},
                               {"l3_bytes", machine.l3_bytes}};
    out["cuda"] = {{"available", cuda.ok()},
                   {"name", cuda.ok() ? cuda->name() : ""},
                   {"reason", cuda.ok() ? "" : cuda.status().message()}};
    for (const IsaInfo& isa : machine.isas)
      out["isas"].push_back({{"name", isa.name}, {"available", isa.available}, {"reason", isa.reason}});
    for (const Measured& peak : peaks)
      out["peaks"].push_back({{"isa", peak.isa},
                              {"threads", peak.threads},
                              {"fma_f32_gflops", peak.fma_f32},
                              {"dot_bf16_gflops", peak.dot_bf16}});
    for (const auto& [threads, rate] : bandwidths)
      out["read_bandwidth"].push_back({{"threads", threads}, {"gbps", rate}});
    fmt::print("{}\n", out.dump());
    return;
  }

  fmt::print("attend    {}\n", ATTEND_VERSION);
  fmt::print("cpu       {} ({})\n", machine.cpu, machine.vendor);
  fmt::print("cores     {} usable by this process\n", machine.cores);
  fmt::print("caches    L1d {}, L2 {}, L3 {}\n", size_text(machine.l1d_bytes), size_text(machine.l2_bytes),
             size_text(machine.l3_bytes));
  fmt::print("cuda      {}\n", cuda.ok() ? cuda->name() : "none: " + cuda.status().message());
  fmt::print("\n{:<14}{}\n", "isa", "available");
  for (const IsaInfo& isa : machine.isas)
    fmt::print("{:<14}{}\n", isa.name, isa.available ? "yes" : "no: " + isa.reason);
  if (options.no_measure) return;
  fmt::print("\nmeasured now, GFLOP/s of loops that stay in registers\n{:<14}{:>8}{:>12}{:>12}\n", "isa", "threads",
             "f32 fma", "bf16 dot");
  for (const Measured& peak : peaks)
    fmt::print("{:<14}{:>8}{:>12}{:>12}\n", peak.isa, peak.threads, rate_text(peak.fma_f32), rate_text(peak.dot_bf16));
  fmt::print("\nmeasured now, GB/s of reading memory once\n");
  for (const auto& [threads, rate] : bandwidths) fmt::print("{:<14}{:>8}{:>12}\n", "", threads, rate_text(rate));
}

}  // namespace

void add_info_command(CLI::App& app, CommandContext&) {
  auto options = std::make_shared<InfoOptions>();
  CLI::App* command = new_command(app, "info", "Say what this machine offers: CPU, instruction sets, measured peaks",
                                  {"attend info", "attend info --no-measure --json"});
  command->add_flag("--no-measure", options->no_measure, "Skip the measurements, which take about a second");
  add_threads_option(*command, options->common);
  add_json_option(*command, options->common);
  command->callback([options] { info(*options); });
}

}  // namespace attend::cli
