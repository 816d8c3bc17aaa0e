// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "cli/io/file.hpp"
#include "cli/io/npy.hpp"
#include "cli/progress.hpp"
#include "sim/isa/program.hpp"
#include "sim/tool/compare.hpp"
#include "sim/tool/print.hpp"
#include "sim/tool/session.hpp"

namespace ptxsim::tool {
namespace {

struct CheckOptions {
  LaunchWords launch;
  ScheduleWords schedule;
  int seeds = 5;
  std::vector<std::string> expect;  ///< NAME=FILE.npy
  double tolerance = 0, between = 0;
};

struct Expected {
  std::string name, file;
  std::vector<std::byte> content;
};

Expected read_expected(const std::string& word, const Session& session) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos)
    throw CommandError(fmt::format("--expect is '{}', expected NAME=FILE.npy", word), kExitUsage);
  Expected expected{word.substr(0, equals), word.substr(equals + 1), {}};
  std::string known;
  const Argument* argument = nullptr;
  for (const Argument& each : session.arguments) {
    if (each.kind != Argument::Kind::buffer) continue;
    known += " " + each.name;
    if (each.name == expected.name) argument = &each;
  }
  if (argument == nullptr)
    throw CommandError(fmt::format("--expect: no buffer is called '{}'; there {}{}", expected.name,
                                   known.empty() ? "is none" : "are", known),
                       kExitUsage);
  const std::vector<std::byte> file = take(attend::io::read_file(expected.file));
  const Result<attend::io::NpyArray> array = attend::io::parse_npy(file);
  if (!array.ok()) throw CommandError(expected.file + ": " + array.status().message(), kExitUsage);
  using attend::io::Element;
  // What .npy cannot say travels as raw bits.
  const bool bits = (argument->element == Element::bf16 && array->element == Element::u16) ||
                    (attend::io::element_bytes(argument->element) == 1 && array->element == Element::u8);
  if (array->shape != argument->shape || !(bits || array->element == argument->element))
    throw CommandError(fmt::format("{} is {}{}, expected {}{} as '{}'", expected.file, element_name(array->element),
                                   attend::io::shape_text(array->shape), element_name(argument->element),
                                   attend::io::shape_text(argument->shape), argument->text),
                       kExitUsage);
  expected.content.assign(array->data.begin(), array->data.end());
  return expected;
}

/// Everything that is run: each policy and seed, with and without spurious failures where the program can notice them.
std::vector<Schedule> schedules(const CheckOptions& options, bool waits) {
  std::vector<Schedule> all;
  for_each_schedule(options.seeds, [&](const Schedule& each) {
    Schedule schedule = schedule_of(options.schedule);
    schedule.seed = each.seed;
    schedule.async = each.async;
    schedule.lanes = each.lanes;
    schedule.quantum = each.quantum;
    schedule.elect_highest = each.elect_highest;
    schedule.spurious_failure = 0;
    all.push_back(schedule);
    if (waits) {
      schedule.spurious_failure = std::max(each.spurious_failure, 0.3);
      all.push_back(schedule);
    }
    return true;
  });
  return all;
}

/// A result that is not what it should be, once per kind and buffer.
struct Difference {
  std::string kind;  ///< "expected", "H25", "schedule"
  std::string output, text, schedule;
  uint64_t count = 1;
};

class Check {
 public:
  Check(const CheckOptions& options, const Session& session) : options_(options), session_(session) {
    for (const std::string& word : options.expect) expected_.push_back(read_expected(word, session));
    const auto& code = session.module.program().code;
    waits_ = std::any_of(code.begin(), code.end(), [](const Inst& inst) { return (inst.row->flags & kWait) != 0; });
  }

  void run() {
    const std::vector<Schedule> all = schedules(options_, waits_);
    attend::cli::Progress progress("check", static_cast<int64_t>(all.size()),
                                   options_.launch.quiet || options_.launch.json);
    for (const Schedule& schedule : all) {
      add(schedule, simulate(session_, schedule));
      progress.advance(1, schedule.text());
    }
    // Spurious failures shift the schedule too: where results depend on that anyway, they are not to blame.
    std::erase_if(differences_, [this](const Difference& each) {
      return each.kind == "H25" && std::any_of(differences_.begin(), differences_.end(), [&](const Difference& other) {
               return other.kind == "schedule" && other.output == each.output;
             });
    });
  }

  bool good() const { return hazards_.empty() && differences_.empty(); }

  void print() const {
    fmt::print("{}\n{} runs: {} policies x {} seeds{}\n\n", launch_line(session_), runs_, kAsyncPolicies.size(),
               options_.seeds, waits_ ? ", with and without spurious failures of try_wait" : "");
    fmt::print("{:<10}{:>6}{:>8}{:>10}{:>12}{:>12}  {}\n", "async", "runs", "clean", "ended", "different", "max error",
               "hazards");
    for (const auto& [policy, row] : rows_) {
      std::string ids;
      for (const auto& [id, runs] : row.hazards) ids += fmt::format("{}{} x{}", ids.empty() ? "" : ", ", id, runs);
      fmt::print("{:<10}{:>6}{:>8}{:>10}{:>12}{:>12}  {}\n", async_policy_name(policy), row.runs, row.clean,
                 row.finished, row.different, expected_.empty() ? "-" : fmt::format("{:.3g}", row.max_error),
                 ids.empty() ? "-" : ids);
    }
    for (const Hazard& hazard : hazards_) fmt::print("\n{}\n", hazard.text());
    for (const Difference& each : differences_)
      fmt::print("\n{}: {} (in {} run{}; {})\n", title(each), each.text, each.count, each.count == 1 ? "" : "s",
                 each.schedule);
    fmt::print("\n{}\n", good() ? "no hazards, the same results in every run" : "NOT clean");
  }

  void print_as_json() const {
    Json out = json_of(session_);
    out["runs"] = runs_;
    out["good"] = good();
    out["policies"] = Json::array();
    for (const auto& [policy, row] : rows_) {
      Json each{{"async", async_policy_name(policy)},
                {"runs", row.runs},
                {"clean", row.clean},
                {"finished", row.finished},
                {"different", row.different}};
      if (!expected_.empty()) each["max_error"] = std::isfinite(row.max_error) ? Json(row.max_error) : Json("inf");
      out["policies"].push_back(std::move(each));
    }
    out["hazards"] = Json::array();
    for (const Hazard& hazard : hazards_) out["hazards"].push_back(json_of(hazard));
    out["differences"] = Json::array();
    for (const Difference& each : differences_)
      out["differences"].push_back(Json{{"kind", each.kind},
                                        {"output", each.output},
                                        {"what", each.text},
                                        {"runs", each.count},
                                        {"schedule", each.schedule}});
    print_json(out);
  }

 private:
  struct Row {
    uint64_t runs = 0, clean = 0, finished = 0, different = 0;
    double max_error = 0;
    std::map<std::string, uint64_t> hazards;
  };

  static std::string title(const Difference& each) {
    if (each.kind == "H25") return std::string("H25 ") + hazard_name(HazardId::H25);
    return each.kind == "expected" ? "WRONG RESULT" : "RESULT DEPENDS ON THE SCHEDULE";
  }

  void add(const Schedule& schedule, SessionRun run) {
    Row& row = rows_[schedule.async];
    ++runs_, ++row.runs;
    row.clean += run.report.clean();
    row.finished += run.report.finished;
    std::set<std::string> ids;
    for (Hazard& hazard : run.report.hazards) {
      ids.insert(hazard_id(hazard.id));
      const auto [at, fresh] =
          known_.emplace(std::tuple(hazard.id, hazard.site.line, hazard.other.line), hazards_.size());
      if (fresh)
        hazards_.push_back(std::move(hazard));
      else
        hazards_[at->second].count += hazard.count;
    }
    for (const std::string& id : ids) ++row.hazards[id];
    if (!run.report.finished) return;
    bool different = false;
    for (const Output& output : run.outputs) different = compare_output(schedule, output, row) || different;
    row.different += different;
    // What a run without spurious failures gave is what the one with them must give.
    if (schedule.spurious_failure == 0) {
      plain_ = std::move(run.outputs);
      plain_seed_ = {schedule.async, schedule.seed};
      if (!first_) first_ = plain_;
    }
  }

  bool compare_output(const Schedule& schedule, const Output& output, Row& row) {
    const Argument& argument = *output.argument;
    bool different = false;
    for (const Expected& expected : expected_) {
      if (expected.name != argument.name) continue;
      const Comparison found = compare(argument.element, output.content, expected.content, options_.tolerance);
      row.max_error = std::max(row.max_error, found.max_error);
      if (found.different == 0) continue;
      note("expected", argument.name, describe(output, expected.content, found, expected.file), schedule);
      different = true;
    }
    // Against the first run; where spurious failures alone made the difference, against the run without them.
    const bool spurious = schedule.spurious_failure > 0;
    const bool paired = spurious && plain_seed_ == std::pair(schedule.async, schedule.seed);
    if (!paired && !first_) return different;
    const std::vector<Output>& others = paired ? plain_ : *first_;
    const auto other =
        std::find_if(others.begin(), others.end(), [&](const Output& o) { return o.argument == &argument; });
    const Comparison found = compare(argument.element, output.content, other->content, options_.between);
    if (options_.between > 0 ? found.different == 0 : found.same_bits) return different;
    note(paired ? "H25" : "schedule", argument.name,
         describe(output, other->content, found,
                  paired ? "the same schedule without spurious failures" : "the first schedule"),
         schedule);
    return true;
  }

  std::string describe(const Output& output, const std::vector<std::byte>& other, const Comparison& found,
                       const std::string& whose) const {
    const Argument& argument = *output.argument;
    if (found.different == 0) return fmt::format("{} differs in bits alone (-0, NaN) from {}", argument.name, whose);
    std::vector<int64_t> at(argument.shape.size());
    size_t rest = found.first;
    for (size_t i = at.size(); i-- > 0;) {
      at[i] = static_cast<int64_t>(rest) % argument.shape[i];
      rest /= static_cast<size_t>(argument.shape[i]);
    }
    return fmt::format("{}{} is {}, but {} in {}; {} element{} differ, by at most {:.3g}", argument.name,
                       attend::io::shape_text(at), element_text(argument.element, output.content, found.first),
                       element_text(argument.element, other, found.first), whose, found.different,
                       found.different == 1 ? "" : "s", found.max_error);
  }

  void note(const std::string& kind, const std::string& output, const std::string& text, const Schedule& schedule) {
    for (Difference& each : differences_) {
      if (each.kind != kind || each.output != output) continue;
      ++each.count;
      return;
    }
    differences_.push_back({kind, output, text, schedule.text()});
  }

  const CheckOptions& options_;
  const Session& session_;
  bool waits_ = false;
  std::vector<Expected> expected_;
  std::map<AsyncPolicy, Row> rows_;
  std::vector<Hazard> hazards_;
  std::map<std::tuple<HazardId, int32_t, int32_t>, size_t> known_;
  std::vector<Difference> differences_;
  std::optional<std::vector<Output>> first_;
  std::vector<Output> plain_;
  std::pair<AsyncPolicy, uint64_t> plain_seed_{AsyncPolicy::eager, 0};
  uint64_t runs_ = 0;
};

void run(const CheckOptions& options, CommandContext& context) {
  const Session session = open_session(options.launch);
  Check check(options, session);
  check.run();
  if (options.launch.json)
    check.print_as_json();
  else
    check.print();
  if (!check.good()) context.exit_code = kExitFailure;
}

}  // namespace

void add_check_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* command = new_command(
      app, "check", "Run a kernel under all asynchronous policies and many seeds; compare the results",
      {"ptxsim check sim/tool/examples/saxpy.ptx --grid 4 --block 256 --args y=zeros:f32:1000 x=random:f32:1000 f32:2 "
       "i32:1000",
       "ptxsim check sim/tool/examples/reverse.ptx --block 128 --args out=scratch:u32:128 in=random:u32:128 --seeds 10 "
       "--json"});
  add_launch_options(*command, options->launch);
  add_schedule_options(*command, options->schedule, false);
  command->add_option("--seeds", options->seeds, "Seeds of each policy")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_option("--expect", options->expect, "NAME=FILE.npy: what a result must be");
  command
      ->add_option("--tolerance", options->tolerance, "Largest difference to --expect, relative to max(1, |expected|)")
      ->check(CLI::Range(0.0, 1e30))
      ->capture_default_str();
  command
      ->add_option("--between", options->between, "The same between schedules; 0: equal bits (f32 atomics need more)")
      ->check(CLI::Range(0.0, 1e30))
      ->capture_default_str();
  command->callback([options, &context] { run(*options, context); });
}

}  // namespace ptxsim::tool
