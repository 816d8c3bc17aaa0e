// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "cli/io/file.hpp"
#include "cli/picture/image.hpp"
#include "sim/tool/print.hpp"
#include "sim/tool/session.hpp"
#include "sim/trace/timeline.hpp"

namespace ptxsim::tool {
namespace {

struct TraceWords {
  LaunchWords launch;
  ScheduleWords schedule;
  std::string out, picture;
  uint32_t first_cta = 0, last_cta = 0;
  TimelinePicture view;
};

attend::picture::Image image_of(const Drawing& drawing) {
  using attend::picture::Align;
  using attend::picture::Color;
  attend::picture::Image image(drawing.width, drawing.height, Color{255, 255, 255});
  const auto whole = [](double value) { return static_cast<int>(value + 0.5); };
  for (const Drawing::Box& box : drawing.boxes) {
    const Color color{static_cast<uint8_t>(box.rgb >> 16), static_cast<uint8_t>(box.rgb >> 8),
                      static_cast<uint8_t>(box.rgb)};
    image.fill(whole(box.x), whole(box.y), std::max(1, whole(box.x + box.width) - whole(box.x)),
               std::max(1, whole(box.height)), color);
  }
  for (const Drawing::Text& text : drawing.texts) {
    const Align align = text.anchor == Drawing::Text::Anchor::left     ? Align::left
                        : text.anchor == Drawing::Text::Anchor::center ? Align::center
                                                                       : Align::right;
    const Color ink = text.faint ? Color{118, 118, 134} : Color{34, 34, 46};
    // The letters are 8 dots high; rows leave room for 12.
    attend::picture::draw_text(image, whole(text.x), whole(text.y) + 2, text.text, ink, 1, align);
  }
  return image;
}

void write_picture(const std::string& path, const Drawing& drawing) {
  if (path.ends_with(".svg")) {
    require(attend::io::write_file_atomically(path, svg(drawing)));
    return;
  }
  require(attend::io::write_file_atomically(path, take(image_of(drawing).png())));
}

void run(TraceWords words, CommandContext& context) {
  if (!words.picture.empty() && !words.picture.ends_with(".svg") && !words.picture.ends_with(".png"))
    throw CommandError("--picture is " + words.picture + ", expected a name that ends in .png or .svg", kExitUsage);
  if (words.out.empty() && words.picture.empty())
    throw CommandError("say where to: --out trace.json, --picture trace.png, or both", kExitUsage);
  require_folder_of(words.out);
  require_folder_of(words.picture);
  if (words.view.first >= words.view.last)
    throw CommandError(fmt::format("--from is {} and --to is {}, expected less", words.view.first, words.view.last),
                       kExitUsage);
  const Session session = open_session(words.launch);
  TraceOptions options;
  options.timeline = true;
  options.first_cta = words.first_cta;
  options.last_cta = std::max(words.first_cta, words.last_cta);
  if (const uint64_t ctas = session.options.grid.count(); ctas > 0 && options.last_cta >= ctas)
    throw CommandError(fmt::format("--first-cta to --last-cta is {} to {}, the grid has {} CTA{}, counted from 0",
                                   options.first_cta, options.last_cta, ctas, ctas == 1 ? "" : "s"),
                       kExitUsage);
  const Schedule schedule = schedule_of(words.schedule);
  const SessionRun run = simulate(session, schedule, options);
  const Trace& trace = *run.report.trace;
  if (words.view.first >= run.report.counts.warp_instructions)
    throw CommandError(
        fmt::format("--from is {}, the run has {} steps", words.view.first, run.report.counts.warp_instructions),
        kExitUsage);
  words.view.title = launch_line(session) + "   " + schedule.text();
  if (!words.out.empty())
    require(attend::io::write_file_atomically(words.out, chrome_trace(trace, session.entry.name)));
  if (!words.picture.empty()) write_picture(words.picture, draw_timeline(trace, words.view));
  if (!run.report.clean()) context.exit_code = kExitFailure;
  if (words.launch.json) {
    Json out = json_of(session);
    out["schedule"] = schedule.text();
    out["finished"] = run.report.finished;
    out["bars"] = trace.spans.size();
    out["steps"] = run.report.counts.warp_instructions;
    out["hazards"] = Json::array();
    for (const Hazard& hazard : run.report.hazards) out["hazards"].push_back(json_of(hazard));
    print_json(out);
    return;
  }
  fmt::print("{}\n{} steps, {} bars in {} rows\n", launch_line(session), grouped(run.report.counts.warp_instructions),
             trace.spans.size(), timeline_rows(trace).size());
  if (!run.report.clean()) fmt::print("\n{}", run.report.text());
  if (!words.out.empty()) fmt::print("wrote {} (open it in ui.perfetto.dev or chrome://tracing)\n", words.out);
  if (!words.picture.empty()) fmt::print("wrote {}\n", words.picture);
}

}  // namespace

void add_trace_command(CLI::App& app, CommandContext& context) {
  auto words = std::make_shared<TraceWords>();
  CLI::App* command = new_command(
      app, "trace", "A timeline of warps, waits, copies and matrix products: JSON for Perfetto, or a picture",
      {"ptxsim trace sim/tool/examples/reverse.ptx --block 128 --args zeros:u32:128 random:u32:128 --quantum 8 --out "
       "reverse.json --picture reverse.png"});
  add_launch_options(*command, words->launch);
  add_schedule_options(*command, words->schedule);
  command->add_option("--out", words->out, "Trace events as JSON, for ui.perfetto.dev or chrome://tracing");
  command->add_option("--picture", words->picture, "A picture, .png or .svg");
  command->add_option("--first-cta", words->first_cta, "The first CTA that is shown")
      ->check(whole_number(UINT32_MAX))
      ->capture_default_str();
  command->add_option("--last-cta", words->last_cta, "The last one; default: the first")
      ->check(whole_number(UINT32_MAX));
  command->add_option("--from", words->view.first, "First scheduler step of the picture")
      ->check(whole_number())
      ->capture_default_str();
  command->add_option("--to", words->view.last, "Last scheduler step of the picture; default: the end")
      ->check(whole_number());
  command->add_option("--width", words->view.width, "Of the picture, in pixels")
      ->check(CLI::Range(600, 20000))
      ->capture_default_str();
  command->callback([words, &context] { run(*words, context); });
}

}  // namespace ptxsim::tool
