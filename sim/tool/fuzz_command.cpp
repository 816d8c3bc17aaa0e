// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "cli/io/file.hpp"
#include "cli/progress.hpp"
#include "sim/tool/golden_run.hpp"
#include "sim/tool/print.hpp"
#include "sim/tool/session.hpp"

namespace ptxsim::tool {
namespace {

struct GoldenOptions {
  std::string family, file, device, folder;
  ScheduleWords schedule;
  uint64_t seed = 1;
  bool list = false, json = false, quiet = false, exact = false;
};

std::unique_ptr<attend::cuda::LaunchBackend> open(const GoldenOptions& options, const std::string& device) {
  Schedule schedule = schedule_of(options.schedule);
  schedule.seed = options.seed;
  return take(open_backend(device, schedule));
}

std::vector<golden::Vector> chosen(const GoldenOptions& options) {
  std::vector<golden::Vector> vectors = golden::make_vectors(options.family, options.seed);
  if (!vectors.empty()) return vectors;
  std::string known;
  for (const auto& [name, about] : golden::families()) known += " " + name;
  throw CommandError(fmt::format("--family is '{}', expected one of{}", options.family, known), kExitUsage);
}

golden::VectorFile read_vectors(const std::string& path) {
  const std::vector<std::byte> bytes = take(attend::io::read_file(path));
  Result<golden::VectorFile> file = golden::parse_vectors(bytes);
  if (!file.ok()) throw CommandError(path + ": " + file.status().message(), kExitUsage);
  return std::move(file).value();
}

struct Failure {
  std::string name, what;
};

void print_failures(const GoldenOptions& options, const std::string& what, size_t tried,
                    const std::vector<Failure>& failures, CommandContext& context) {
  if (!failures.empty()) context.exit_code = kExitFailure;
  if (options.json) {
    Json out{{"vectors", tried}, {"failed", failures.size()}, {"failures", Json::array()}};
    for (const Failure& failure : failures)
      out["failures"].push_back(Json{{"name", failure.name}, {"what", failure.what}});
    print_json(out);
    return;
  }
  for (const Failure& failure : failures) fmt::print("{}\n  {}\n", failure.name, failure.what);
  fmt::print("{} vectors {}, {} failed\n", tried, what, failures.size());
}

/// `wgmma: m64n8..` as a file's name.
std::string file_name(size_t index, const std::string& name) {
  std::string out = fmt::format("{:04}_", index);
  for (const char c : name.substr(0, 60)) out += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return out + ".ptx";
}

void fuzz(const GoldenOptions& options, CommandContext& context) {
  if (options.list) {
    for (const auto& [name, about] : golden::families()) fmt::print("{:<12} {}\n", name, about);
    return;
  }
  if (!options.folder.empty()) require_folder_of(options.folder + "/kernel.ptx");
  const std::vector<golden::Vector> vectors = chosen(options);
  std::vector<Failure> failures;
  attend::cli::Progress progress("fuzz", static_cast<int64_t>(vectors.size()), options.quiet || options.json);
  for (size_t i = 0; i < vectors.size(); ++i) {
    const golden::Vector& vector = vectors[i];
    if (!options.folder.empty())
      require(attend::io::write_file_atomically(options.folder + "/" + file_name(i, vector.name), vector.ptx));
    const auto backend = open(options, "simulator");
    const Result<std::vector<std::byte>> out = run_vector(*backend, vector);
    if (!out.ok()) failures.push_back({vector.name, out.status().message()});
    progress.advance(1, vector.name);
  }
  progress.clear();
  print_failures(options, "made and run in the simulator", vectors.size(), failures, context);
}

void record(const GoldenOptions& options, CommandContext& context) {
  require_folder_of(options.file);
  const auto backend = open(options, options.device);
  std::vector<golden::Vector> vectors = chosen(options);
  std::vector<Failure> failures;
  std::vector<golden::Vector> good;
  attend::cli::Progress progress("record", static_cast<int64_t>(vectors.size()), options.quiet || options.json);
  for (golden::Vector& vector : vectors) {
    progress.advance(1, vector.name);
    Result<std::vector<std::byte>> out = run_vector(*backend, vector);
    if (!out.ok()) {
      failures.push_back({vector.name, out.status().message()});
      continue;
    }
    vector.out = std::move(*out);
    good.push_back(std::move(vector));
  }
  progress.clear();
  const std::vector<std::byte> file = golden::format_vectors(good, backend->facts().name);
  require(attend::io::write_file_atomically(options.file, file));
  print_failures(options, fmt::format("recorded on {}", backend->facts().name), vectors.size(), failures, context);
  if (!options.json) fmt::print("wrote {} ({})\n", options.file, bytes_text(file.size()));
}

void replay(const GoldenOptions& options, CommandContext& context) {
  const golden::VectorFile file = read_vectors(options.file);
  const auto backend = open(options, options.device);
  std::vector<Failure> failures;
  size_t tried = 0;
  attend::cli::Progress progress("replay", static_cast<int64_t>(file.vectors.size()), options.quiet || options.json);
  for (golden::Vector vector : file.vectors) {
    progress.advance(1, vector.name);
    if (vector.name.find(options.family) == std::string::npos) continue;
    ++tried;
    if (options.exact) vector.match = golden::Match::bits;
    const Result<std::vector<std::byte>> out = run_vector(*backend, vector);
    const std::string wrong = out.ok() ? golden::difference(vector, *out) : out.status().message();
    if (!wrong.empty()) failures.push_back({vector.name, wrong});
  }
  progress.clear();
  if (tried == 0)
    throw CommandError(fmt::format("--family is '{}', which none of the {} vectors of {} contains", options.family,
                                   file.vectors.size(), options.file),
                       kExitUsage);
  print_failures(options, fmt::format("of {} replayed on {}", file.device, backend->facts().name), tried, failures,
                 context);
}

void add_common(CLI::App& command, GoldenOptions& options) {
  command.add_option("--family", options.family, "Only families (vectors, when replaying) whose name contains this");
  command.add_option("--seed", options.seed, "Chooses modifiers, operands and inputs, and the simulator's schedule")
      ->check(whole_number())
      ->capture_default_str();
  command.add_option("--accumulate", options.schedule.accumulate, "The simulator's matrix products: f32, f64 or trunc")
      ->check(CLI::IsMember({"f32", "f64", "trunc"}))
      ->capture_default_str();
  command.add_flag("--json", options.json, "Print JSON instead of text");
  command.add_flag("--quiet", options.quiet, "No progress on stderr");
}

void add_device(CLI::App& command, GoldenOptions& options) {
  command.add_option("--device", options.device, "driver (the first GPU, through libcuda.so.1) or simulator")
      ->check(CLI::IsMember({"driver", "simulator"}))
      ->capture_default_str();
}

}  // namespace

void add_fuzz_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<GoldenOptions>();
  CLI::App* command = new_command(app, "fuzz", "Make kernels of one instruction with random modifiers; run them here",
                                  {"ptxsim fuzz --family shuffle --seed 3", "ptxsim fuzz --list"});
  command->add_option("--ptx", options->folder, "Write each kernel's PTX into this folder too");
  command->add_flag("--list", options->list, "List the families of instructions");
  add_common(*command, *options);
  command->callback([options, &context] { fuzz(*options, context); });
}

void add_record_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<GoldenOptions>();
  options->device = "driver";
  CLI::App* command =
      new_command(app, "record", "Run those kernels on a device and keep inputs and outputs in a file, for `replay`",
                  {"ptxsim record vectors.bin --device simulator --family permute"});
  command->add_option("file", options->file, "The file to write, as sim/golden/NAME.bin")->required();
  add_device(*command, *options);
  add_common(*command, *options);
  command->callback([options, &context] { record(*options, context); });
}

void add_replay_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<GoldenOptions>();
  options->device = "simulator";
  CLI::App* command = new_command(app, "replay", "Run recorded kernels in the simulator and compare with the device",
                                  {"ptxsim replay vectors.bin"});
  command->add_option("file", options->file, "What `record` wrote")->required();
  command->add_flag("--exact", options->exact, "Compare bits, also where the vector allows a difference");
  add_device(*command, *options);
  add_common(*command, *options);
  command->callback([options, &context] { replay(*options, context); });
}

}  // namespace ptxsim::tool
