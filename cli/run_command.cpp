// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cached_layer.hpp"
#include "command.hpp"
#include "device.hpp"
#include "io/file.hpp"
#include "io/npy.hpp"
#include "io/safetensors.hpp"
#include "layer_run.hpp"
#include "progress.hpp"

namespace attend::cli {
namespace {

struct RunOptions {
  CommonOptions common;
  LayerOptions layers;
  CacheOptions cache;
  Measuring measuring;
  std::string out;
  bool backward = false;
};

void write_output(const std::string& path, const std::vector<Layer>& layers, const std::vector<Outcome>& outcomes) {
  std::vector<std::byte> content;
  if (path.ends_with(".npy")) {
    const Output& only = outcomes[0].outputs[0];
    content = take(io::format_npy({io::element_of(only.type), only.shape, only.bytes}));
  } else {
    io::SafetensorsFile file;
    for (size_t i = 0; i < layers.size(); ++i) {
      for (const Output& each : outcomes[i].outputs)
        file.tensors.emplace_back(layers[i].name + "." + each.name,
                                  io::TensorView{io::element_of(each.type), each.shape, each.bytes});
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
  if (options.backward && options.cache.asked())
    throw CommandError("--backward together with a cache: what lies in a cache has no gradient", kExitUsage);
  LayerFile file = take(load_layers(options.layers));
  if (!options.out.empty()) {
    const bool npy = options.out.ends_with(".npy");
    if (npy && options.backward)
      throw CommandError(
          "--out is " + options.out + ", expected a name that ends in .safetensors: dq, dk and dv are three tensors",
          kExitUsage);
    if (!npy && !options.out.ends_with(".safetensors"))
      throw CommandError("--out is " + options.out + ", expected a name that ends in .npy or .safetensors", kExitUsage);
    if (npy && file.layers.size() > 1)
      throw CommandError(
          fmt::format("--out is {}, but there are {} layers: write .safetensors or choose one with --layer",
                      options.out, file.layers.size()),
          kExitUsage);
  }
  const PlanOptions with = options.common.plan_options();
  Peaks peaks;
  std::vector<Outcome> outcomes;
  {
    Progress progress("run", static_cast<int64_t>(file.layers.size()), options.common.quiet || options.common.json);
    for (Layer& layer : file.layers) {
      if (options.backward) {
        outcomes.push_back(run_backward(layer, with, options.measuring, peaks));
      } else if (options.cache.asked()) {
        const Layer plain = layer;
        layer = take(cached_layer(plain, options.cache));
        outcomes.push_back(run_forward(layer, with, options.measuring, peaks));
        outcomes.back().rms_change = rms_change(plain, outcomes.back(), with);
      } else {
        outcomes.push_back(run_forward(layer, with, options.measuring, peaks));
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
  fmt::print("\ntimes are medians of {}; errors against fp64 on {} rows of each layer{}\n", options.measuring.repeat,
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
                   "attend run data/smollm2_qkv.safetensors --mask causal --kv-format int8 --page-size 16 --repeat 3",
                   "attend run data/smollm2_qkv.safetensors --backward --layer 15 --repeat 3"});
  command->add_option("file", options->layers.file,
                      "A .safetensors file with layers NAME.q, NAME.k, NAME.v; or give --q --k --v");
  add_layer_options(*command, options->layers);
  add_cache_options(*command, options->cache);
  command->add_option("--out", options->out,
                      "Write o to this .npy, or o and log-sum-exp of all layers to this .safetensors file; with "
                      "--backward dq, dk and dv");
  command->add_flag("--backward", options->backward,
                    "Gradients in f32 instead, from a dO of normal numbers drawn from --seed");
  command->add_option("--repeat", options->measuring.repeat, "Timed runs of each layer")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_option("--sample", options->measuring.sample, "Rows of each layer to compare with fp64; -1: all")
      ->check(CLI::Range(int64_t{-1}, int64_t{1} << 40))
      ->capture_default_str();
  command->add_option("--seed", options->measuring.seed, "Chooses those rows, and with --backward dO")
      ->capture_default_str();
  add_device_option(*command, options->common);
  add_threads_option(*command, options->common);
  add_kernel_option(*command, options->common);
  add_quiet_option(*command, options->common);
  add_json_option(*command, options->common);
  command->callback([options, &context] { context.exit_code = run(*options); });
}

}  // namespace attend::cli
