// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli/io/file.hpp"
#include "cli/io/npy.hpp"
#include "sim/tool/print.hpp"
#include "sim/tool/session.hpp"

namespace ptxsim::tool {
namespace {

void write_output(const Output& output) {
  const Argument& argument = *output.argument;
  if (argument.raw) {
    require(attend::io::write_file_atomically(argument.path, output.content));
    return;
  }
  attend::io::TensorView view{argument.element, argument.shape, output.content};
  using attend::io::Element;
  // .npy has no 8-bit floats: their bits.
  if (view.element == Element::e4m3 || view.element == Element::e5m2) view.element = Element::u8;
  require(attend::io::write_file_atomically(argument.path, take(attend::io::format_npy(view))));
}

void run(const LaunchWords& words, const Schedule& schedule, CommandContext& context) {
  const Session session = open_session(words);
  for (const Argument& argument : session.arguments) require_folder_of(argument.path);
  const SessionRun run = simulate(session, schedule);
  const RunReport& report = run.report;
  // A run that did not end has no results.
  if (report.finished)
    for (const Output& output : run.outputs)
      if (!output.argument->path.empty()) write_output(output);
  if (!report.clean()) context.exit_code = kExitFailure;
  if (words.json) {
    Json line = json_of(session);
    line["schedule"] = schedule.text();
    line["finished"] = report.finished;
    line["clean"] = report.clean();
    line["hazards"] = Json::array();
    for (const Hazard& hazard : report.hazards) line["hazards"].push_back(json_of(hazard));
    line["counts"] = json_of(report.counts);
    line["outputs"] = Json::array();
    for (const Output& output : run.outputs) {
      if (!output.shown) continue;
      Json each{{"name", output.argument->name},
                {"type", element_name(output.argument->element)},
                {"shape", output.argument->shape}};
      if (report.finished && !output.argument->path.empty()) each["file"] = output.argument->path;
      line["outputs"].push_back(std::move(each));
    }
    line["seconds"] = run.seconds;
    print_json(line);
    return;
  }
  fmt::print("{}\nschedule {}\n", launch_line(session), schedule.text());
  for (const Hazard& hazard : report.hazards) fmt::print("\n{}\n", hazard.text());
  fmt::print("\n{}\n", !report.finished ? "did not finish: nothing is written"
                       : report.clean() ? "finished, no hazards"
                                        : fmt::format("finished, {} hazard{}", report.hazards.size(),
                                                      report.hazards.size() == 1 ? "" : "s"));
  fmt::print("{}", counts_text(report.counts));
  if (!report.finished) return;
  for (const Output& output : run.outputs) {
    if (!output.shown) continue;
    const Argument& argument = *output.argument;
    fmt::print("{} {}{} = {}{}\n", argument.name, element_name(argument.element),
               attend::io::shape_text(argument.shape), preview(output),
               argument.path.empty() ? "" : ", written to " + argument.path);
  }
}

}  // namespace

void add_run_command(CLI::App& app, CommandContext& context) {
  struct Options {
    LaunchWords launch;
    ScheduleWords schedule;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = new_command(
      app, "run", "Run a kernel once; print hazards, counts and results",
      {"ptxsim run sim/tool/examples/saxpy.ptx --grid 4 --block 256 --args y=zeros:f32:1000 x=random:f32:1000 f32:2 "
       "i32:1000",
       "ptxsim run sim/tool/examples/reverse.ptx --block 128 --args out=zeros:u32:128 in=random:u32:128 --async latest "
       "--seed 7 --json"});
  add_launch_options(*command, options->launch);
  add_schedule_options(*command, options->schedule);
  command->callback([options, &context] { run(options->launch, schedule_of(options->schedule), context); });
}

}  // namespace ptxsim::tool
