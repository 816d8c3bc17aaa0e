// SPDX-License-Identifier: Apache-2.0
#include "sim/trace/timeline.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/ptxsim.hpp"

namespace ptxsim {
namespace {

Trace::Span span(const char* track, int32_t warp, uint64_t begin, uint64_t end, TimelineClass what) {
  Trace::Span out;
  out.track = out.name = track;
  out.warp = warp;
  out.begin = begin;
  out.end = end;
  out.what = what;
  return out;
}

Trace sample() {
  Trace trace;
  trace.spans = {span("warp 10", 10, 0, 4, TimelineClass::alu), span("warp 2", 2, 4, 9, TimelineClass::wait),
                 span("bulk copies", -1, 0, 6, TimelineClass::copy), span("bulk copies", -1, 3, 8, TimelineClass::copy),
                 span("bulk copies", -1, 6, 9, TimelineClass::copy)};
  return trace;
}

TEST(timeline, rows_are_warps_by_number_then_what_is_in_flight_without_overlap) {
  const Trace trace = sample();
  const std::vector<TimelineRow> rows = timeline_rows(trace);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].name, "warp 2");
  EXPECT_EQ(rows[1].name, "warp 10");
  EXPECT_EQ(rows[2].name, "bulk copies");
  EXPECT_EQ(rows[3].name, "bulk copies (2)");
  EXPECT_EQ(rows[2].spans.size(), 2U);
  for (const TimelineRow& row : rows)
    for (size_t i = 1; i < row.spans.size(); ++i) EXPECT_LE(row.spans[i - 1]->end, row.spans[i]->begin);
  const std::vector<TimelineRow> merged = timeline_rows(trace, /*one_row_each=*/true);
  ASSERT_EQ(merged.size(), 3U);
  EXPECT_EQ(merged[2].name, "bulk copies");
  EXPECT_EQ(merged[2].spans.size(), 3U);
}

TEST(timeline, chrome_trace_has_every_bar_and_names_every_row) {
  Trace trace = sample();
  trace.spans[0].name = "a \"quoted\" \\ name\n";
  const std::string json = chrome_trace(trace, "kernel");
  const auto count = [&](const std::string& what) {
    size_t found = 0;
    for (size_t at = json.find(what); at != std::string::npos; at = json.find(what, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count("\"ph\":\"X\""), trace.spans.size());
  EXPECT_EQ(count("thread_name"), 4U);
  EXPECT_EQ(count("process_name"), 1U);
  EXPECT_NE(json.find(R"(a \"quoted\" \\ name\u000a)"), std::string::npos);
  EXPECT_NE(json.find("\"ts\":4,\"dur\":5"), std::string::npos);
}

TEST(timeline, picture_shows_a_bar_where_its_steps_are) {
  const Trace trace = sample();
  TimelinePicture options;
  options.title = "a < b";
  options.width = 1000;
  const Drawing drawing = draw_timeline(trace, options);
  EXPECT_EQ(drawing.width, 1000);
  // Waits of warp 2 begin at 4 of 9 steps: one box of the legend's colour for waits that starts there.
  const uint32_t wait = 0xf2d694;
  std::vector<Drawing::Box> waits;
  std::copy_if(drawing.boxes.begin(), drawing.boxes.end(), std::back_inserter(waits),
               [&](const Drawing::Box& box) { return box.rgb == wait; });
  ASSERT_EQ(waits.size(), 2U);  // the legend's, and the bar
  const double left = 190, wide = 1000 - 190 - 30;
  EXPECT_NEAR(waits[1].x, left + wide * 4 / 9, 1.5);
  EXPECT_NEAR(waits[1].width, wide * 5 / 9, 2.5);
  const std::string text = svg(drawing);
  EXPECT_NE(text.find("a &lt; b"), std::string::npos);
  EXPECT_NE(text.find("</svg>"), std::string::npos);
  // Outside of what is shown there is nothing.
  options.first = 0, options.last = 4;
  const Drawing part = draw_timeline(trace, options);
  EXPECT_EQ(std::count_if(part.boxes.begin(), part.boxes.end(), [&](const auto& box) { return box.rgb == wait; }), 1);
}

TEST(timeline, of_nothing_is_an_empty_picture) {
  EXPECT_TRUE(timeline_rows({}).empty());
  EXPECT_GT(draw_timeline({}, {}).height, 0);
  EXPECT_NE(chrome_trace({}, "k").find("\"traceEvents\":["), std::string::npos);
}

constexpr const char* kExchange = R"(
.version 8.0
.target sm_90a
.address_size 64
.visible .entry k(.param .u64 k_out)
{
  .shared .align 4 .b8 tile[256];
  .reg .pred %late;
  .reg .b32 %thread, %slot, %base, %value;
  .reg .b64 %out, %at;
  ld.param.u64 %out, [k_out];
  mov.u32 %thread, %tid.x;
  mov.u32 %base, tile;
  shl.b32 %slot, %thread, 2;
  add.s32 %slot, %slot, %base;
  st.shared.u32 [%slot], %thread;
  bar.sync 1, 64;
  xor.b32 %slot, %slot, 128;
  ld.shared.u32 %value, [%slot];
  setp.gt.u32 %late, %thread, 1000;
  @%late bra never;
  mul.wide.u32 %at, %thread, 4;
  add.s64 %out, %out, %at;
  st.global.u32 [%out], %value;
  ret;
never:
  bar.sync 2;
  ret;
}
)";

TEST(recorder, records_turns_waits_coverage_and_wavefronts) {
  auto module = Module::parse(kExchange);
  ASSERT_TRUE(module.ok()) << module.status().message();
  Device device;
  TraceOptions options;
  options.timeline = options.coverage = options.bank_conflicts = true;
  device.set_trace(options);
  LaunchOptions launch;
  launch.block.x = 64;
  auto report = device.launch(*module, "k", launch, arguments(device.alloc(256)));
  ASSERT_TRUE(report.ok()) << report.status().message();
  ASSERT_TRUE(report->clean()) << report->text();
  ASSERT_NE(report->trace, nullptr);
  const Trace& trace = *report->trace;
  uint64_t running = 0;
  bool waited = false;
  for (const Trace::Span& each : trace.spans) {
    EXPECT_LE(each.begin, each.end);
    EXPECT_LE(each.end, report->counts.warp_instructions);
    if (each.what == TimelineClass::wait)
      waited = waited || each.name == "wait barrier 1";
    else
      running += each.end - each.begin;
  }
  EXPECT_TRUE(waited);
  EXPECT_EQ(running, report->counts.warp_instructions);  // each step is in one bar
  // Lines of kExchange, counted from its first newline.
  const auto line_of = [](std::string_view what) {
    const std::string_view text = kExchange;
    return static_cast<int32_t>(1 +
                                std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(text.find(what)), '\n'));
  };
  EXPECT_EQ(trace.lines.at(line_of("st.shared")).runs, 2U);
  EXPECT_EQ(trace.lines.count(line_of("bar.sync 2")), 0U);
  EXPECT_EQ(trace.lines.at(line_of("@%late")).taken, 0U);
  EXPECT_EQ(trace.lines.at(line_of("@%late")).not_taken, 64U);
  EXPECT_EQ(trace.banks.at(line_of("st.shared")).accesses, 2U);
  EXPECT_EQ(trace.banks.at(line_of("st.shared")).wavefronts, 2U);
}

}  // namespace
}  // namespace ptxsim
