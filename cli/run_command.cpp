// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "cached_layer.hpp"
#include "command.hpp"
#include "device.hpp"
#include "io/file.hpp"
#include "io/npy.hpp"
#include "io/safetensors.hpp"
#include "layer.hpp"
#include "progress.hpp"

namespace attend::cli {
namespace {

struct RunOptions {
  CommonOptions common;
  LayerOptions layers;
  CacheOptions cache;
  std::string out;
  int repeat = 20;
  int64_t sample = 256;
  uint64_t seed = 0;
};

/// What was found out about one layer.
struct Outcome {
  std::string problem, kernel, isa;
  Arithmetic arithmetic = Arithmetic::f32;
  int threads = 1;
  size_t workspace_bytes = 0;
  double seconds = 0, one_thread_seconds = 0;  ///< medians
  double gflops = 0, peak_gflops = 0;
  Comparison comparison;
  bool same_bits = true;  ///< on one thread and on all
  double rms_change = 0;  ///< of o by what the cache's format lost, relative to o
  std::vector<std::byte> o;
  std::vector<float> lse;

  double share() const { return peak_gflops > 0 ? gflops / peak_gflops : 0; }
  bool correct() const { return same_bits && comparison.first_failure.empty() && comparison.max_ratio <= 1; }
};

/// Peaks are measured once for each kind of arithmetic, in this process.
class Peaks {
 public:
  double gflops(const AttentionFwdPlan& plan) {
    const PeakKind kind = plan.arithmetic() == Arithmetic::bf16_dot ? PeakKind::dot_bf16 : PeakKind::fma_f32;
    const auto [at, is_new] = known_.try_emplace({plan.isa(), kind, plan.threads()}, 0.0);
    if (is_new) at->second = measure_peak(plan.isa(), kind, plan.threads());
    return at->second;
  }

 private:
  std::map<std::tuple<std::string, PeakKind, int>, double> known_;
};

/// Median over `repeat` runs, after one that warms up and touches the output.
double median_seconds(const AttentionFwdPlan& plan, const AttentionFwdArgs& args, int repeat) {
  std::vector<std::byte> workspace(plan.workspace_bytes());
  require(plan.run(args, workspace));
  std::vector<double> seconds;
  for (int i = 0; i < repeat; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    require(plan.run(args, workspace));
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + repeat / 2, seconds.end());
  return seconds[static_cast<size_t>(repeat / 2)];
}

Outcome run_layer(const Layer& layer, const RunOptions& options, Peaks& peaks) {
  const AttentionFwd& problem = layer.problem;
  const AttentionFwdPlan chosen = take(plan(problem, options.common.plan_options()));
  Outcome outcome;
  outcome.problem = problem.text();
  outcome.kernel = chosen.kernel();
  outcome.isa = chosen.isa();
  outcome.arithmetic = chosen.arithmetic();
  outcome.threads = chosen.threads();
  outcome.workspace_bytes = chosen.workspace_bytes();
  outcome.o.resize(static_cast<size_t>(problem.b * problem.sq * problem.hq * problem.dv) *
                   static_cast<size_t>(dtype_bytes(problem.o_type)));
  outcome.lse.resize(static_cast<size_t>(problem.lse_size()));
  AttentionFwdArgs args = layer.args();
  args.o = outcome.o.data();
  args.lse = outcome.lse.data();

  if (chosen.threads() > 1) {
    PlanOptions alone = options.common.plan_options();
    alone.threads = 1;
    alone.kernel = chosen.kernel();
    outcome.one_thread_seconds = median_seconds(take(plan(problem, alone)), args, options.repeat);
    const std::vector<std::byte> o = outcome.o;
    const std::vector<float> lse = outcome.lse;
    outcome.seconds = median_seconds(chosen, args, options.repeat);
    outcome.same_bits = o == outcome.o && std::memcmp(lse.data(), outcome.lse.data(), lse.size() * sizeof(float)) == 0;
  } else {
    outcome.seconds = outcome.one_thread_seconds = median_seconds(chosen, args, options.repeat);
  }
  outcome.gflops = outcome.seconds > 0 ? problem.cost().flops / outcome.seconds / 1e9 : 0;
  outcome.peak_gflops = peaks.gflops(chosen);
  outcome.comparison = compare_with_reference(problem, args, chosen.arithmetic(), options.sample, options.seed);
  return outcome;
}

/// How far the output is from that of the layer whose keys and values were never encoded, relative RMS.
double rms_change(const Layer& plain, const Outcome& cached, const RunOptions& options) {
  AttentionFwd problem = plain.problem;
  problem.lse = false;
  const AttentionFwdPlan chosen = take(plan(problem, options.common.plan_options()));
  std::vector<std::byte> o(cached.o.size());
  AttentionFwdArgs args = plain.args();
  args.o = o.data();
  require(chosen.run(args));
  const int64_t count = static_cast<int64_t>(o.size()) / dtype_bytes(plain.problem.o_type);
  std::vector<float> expected(static_cast<size_t>(count)), found(static_cast<size_t>(count));
  widen(plain.problem.o_type, o.data(), count, expected.data());
  widen(plain.problem.o_type, cached.o.data(), count, found.data());
  double change = 0, size = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    change += std::pow(double{found[i]} - expected[i], 2);
    size += std::pow(double{expected[i]}, 2);
  }
  return size > 0 ? std::sqrt(change / size) : 0;
}

void write_output(const std::string& path, const std::vector<Layer>& layers, const std::vector<Outcome>& outcomes) {
  std::vector<std::byte> content;
  if (path.ends_with(".npy")) {
    content = take(io::format_npy({io::element_of(layers[0].problem.o_type), layers[0].output_shape(), outcomes[0].o}));
  } else {
    io::SafetensorsFile file;
    for (size_t i = 0; i < layers.size(); ++i) {
      const AttentionFwd& problem = layers[i].problem;
      file.tensors.emplace_back(layers[i].name + ".o", io::TensorView{io::element_of(problem.o_type),
                                                                      layers[i].output_shape(), outcomes[i].o});
      file.tensors.emplace_back(layers[i].name + ".lse", io::TensorView{io::Element::f32,
                                                                        {problem.b, problem.hq, problem.sq},
                                                                        std::as_bytes(std::span(outcomes[i].lse))});
      file.metadata[layers[i].name] = outcomes[i].problem;
    }
    content = take(io::format_safetensors(file));
  }
  require(io::write_file_atomically(path, content));
}

void print_json(const Layer& layer, const Outcome& outcome) {
  const nlohmann::ordered_json line{{"layer", layer.name},
                                    {"problem", outcome.problem},
                                    {"kernel", outcome.kernel},
                                    {"isa", outcome.isa},
                                    {"threads", outcome.threads},
                                    {"median_s", outcome.seconds},
                                    {"one_thread_median_s", outcome.one_thread_seconds},
                                    {"gflops", outcome.gflops},
                                    {"peak_gflops", outcome.peak_gflops},
                                    {"share", outcome.share()},
                                    {"workspace_bytes", outcome.workspace_bytes},
                                    {"max_error", outcome.comparison.max_error},
                                    {"rms_error", outcome.comparison.rms_error},
                                    {"rms_value", outcome.comparison.rms_value},
                                    {"error_ratio", outcome.comparison.max_ratio},
                                    {"rows_compared", outcome.comparison.rows},
                                    {"rms_change", outcome.rms_change},
                                    {"same_bits_on_one_thread", outcome.same_bits},
                                    {"correct", outcome.correct()}};
  fmt::print("{}\n", line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

std::string milliseconds(double seconds) { return fmt::format("{:.{}f} ms", seconds * 1e3, seconds < 1e-2 ? 3 : 2); }

/// The table, a heading wherever Problem or kernel change.
void print_text(const std::vector<Layer>& layers, const std::vector<Outcome>& outcomes) {
  size_t name_width = 8;
  for (const Layer& layer : layers) name_width = std::max(name_width, layer.name.size() + 2);
  for (size_t i = 0; i < layers.size(); ++i) {
    const Outcome& now = outcomes[i];
    if (i == 0 || now.problem != outcomes[i - 1].problem || now.kernel != outcomes[i - 1].kernel) {
      const AttentionFwd& p = layers[i].problem;
      fmt::print("{}\n", now.problem);
      fmt::print("  q [{}, {}, {}, {}]  k [{}, {}, {}, {}]  v [{}, {}, {}, {}]  as {}, {}\n", p.b, p.sq, p.hq, p.d, p.b,
                 p.sk, p.hk, p.d, p.b, p.sk, p.hk, p.dv, "[batch, row, head, column]", dtype_name(p.q_type));
      fmt::print(
          "  {} on {} thread{}, workspace {:.2f} MiB; peak of this machine {:.0f} GFLOP/s ({}, measured now)\n\n",
          now.kernel, now.threads, now.threads == 1 ? "" : "s", static_cast<double>(now.workspace_bytes) / (1 << 20),
          now.peak_gflops, now.arithmetic == Arithmetic::bf16_dot ? "bf16 dot" : "f32 fma");
      fmt::print("{:<{}}{:>11}{:>11}{:>10}{:>9}{:>11}{:>11}{:>13}\n", "layer", name_width, "1 thread",
                 fmt::format("{} thread{}", now.threads, now.threads == 1 ? "" : "s"), "GFLOP/s", "of peak",
                 "max error", "RMS error", "error/bound");
    }
    fmt::print("{:<{}}{:>11}{:>11}{:>10.1f}{:>7.1f} %{:>11.2e}{:>11.2e}{:>13.3f}\n", layers[i].name, name_width,
               milliseconds(now.one_thread_seconds), milliseconds(now.seconds), now.gflops, 100 * now.share(),
               now.comparison.max_error, now.comparison.rms_error, now.comparison.max_ratio);
    if (!now.comparison.first_failure.empty()) fmt::print("  WRONG: {}\n", now.comparison.first_failure);
    if (!now.same_bits) fmt::print("  WRONG: the bits differ between 1 and {} threads\n", now.threads);
  }
}

int run(const RunOptions& options) {
  if (options.common.device != "cpu")
    throw CommandError(fmt::format("--device is {}, expected cpu: times here are measured against this machine's CPU; "
                                   "check, explain and list take cpu, cuda and sim",
                                   options.common.device),
                       kExitUsage);
  LayerFile file = take(load_layers(options.layers));
  if (!options.out.empty()) {
    const bool npy = options.out.ends_with(".npy");
    if (!npy && !options.out.ends_with(".safetensors"))
      throw CommandError("--out is " + options.out + ", expected a name that ends in .npy or .safetensors", kExitUsage);
    if (npy && file.layers.size() > 1)
      throw CommandError(
          fmt::format("--out is {}, but there are {} layers: write .safetensors or choose one with --layer",
                      options.out, file.layers.size()),
          kExitUsage);
  }
  Peaks peaks;
  std::vector<Outcome> outcomes;
  {
    Progress progress("run", static_cast<int64_t>(file.layers.size()), options.common.quiet || options.common.json);
    for (Layer& layer : file.layers) {
      if (options.cache.asked()) {
        const Layer plain = layer;
        layer = take(cached_layer(plain, options.cache));
        outcomes.push_back(run_layer(layer, options, peaks));
        outcomes.back().rms_change = rms_change(plain, outcomes.back(), options);
      } else {
        outcomes.push_back(run_layer(layer, options, peaks));
      }
      progress.advance(1, layer.name);
    }
  }
  const bool correct = std::all_of(outcomes.begin(), outcomes.end(), [](const Outcome& o) { return o.correct(); });
  if (!options.out.empty() && correct) write_output(options.out, file.layers, outcomes);
  if (options.common.json) {
    for (size_t i = 0; i < outcomes.size(); ++i) print_json(file.layers[i], outcomes[i]);
    return correct ? kExitOk : kExitFailure;
  }
  if (const auto model = file.metadata.find("model"); model != file.metadata.end())
    fmt::print("from {}\n", model->second);
  print_text(file.layers, outcomes);
  fmt::print("\ntimes are medians of {}; errors against fp64 on {} rows of each layer{}\n", options.repeat,
             outcomes[0].comparison.rows, correct && outcomes[0].threads > 1 ? "; bits equal on 1 thread" : "");
  if (options.cache.asked()) {
    double largest = 0;
    for (const Outcome& outcome : outcomes) largest = std::max(largest, outcome.rms_change);
    fmt::print("the cache's format changes o by at most {:.2e} (RMS, of a layer, relative)\n", largest);
  }
  if (!options.out.empty() && !correct) fmt::print("nothing written: the result is wrong\n");
  if (!options.out.empty() && correct)
    fmt::print(
        "wrote {}{}\n", options.out,
        options.out.ends_with(".npy") && file.layers[0].problem.o_type == DType::bf16 ? " (bf16 as raw uint16)" : "");
  return correct ? kExitOk : kExitFailure;
}

}  // namespace

void add_run_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command =
      new_command(app, "run", "Compute attention on tensors from files; say how fast and how exact",
                  {"attend run data/smollm2_qkv.safetensors --out attention.safetensors",
                   "attend run data/smollm2_qkv.safetensors --mask \"causal&window:128:0\" --dtype f32 --repeat 3",
                   "attend run data/smollm2_qkv.safetensors --mask causal --kv-format int8 --page-size 16 --repeat 3"});
  command->add_option("file", options->layers.file,
                      "A .safetensors file with layers NAME.q, NAME.k, NAME.v; or give --q --k --v");
  add_layer_options(*command, options->layers);
  add_cache_options(*command, options->cache);
  command->add_option("--out", options->out,
                      "Write o to this .npy, or o and log-sum-exp of all layers to this .safetensors file");
  command->add_option("--repeat", options->repeat, "Timed runs of each layer")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_option("--sample", options->sample, "Rows of each layer to compare with fp64; -1: all")
      ->check(CLI::Range(int64_t{-1}, int64_t{1} << 40))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Chooses those rows")->capture_default_str();
  add_device_option(*command, options->common);
  add_threads_option(*command, options->common);
  add_kernel_option(*command, options->common);
  add_quiet_option(*command, options->common);
  add_json_option(*command, options->common);
  command->callback([options, &context] { context.exit_code = run(*options); });
}

}  // namespace attend::cli
