// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "sim/trace/trace.hpp"

// A Trace as rows of bars, as a file for Chrome's trace viewer or Perfetto, and as a picture.
namespace ptxsim {

struct TimelineRow {
  uint32_t cta = 0;
  std::string name;
  std::vector<const Trace::Span*> spans;  ///< by begin; none overlaps the one before it, unless each track has one row
};
/// Warps first, then what is in flight; operations of one track that overlap get rows of their own, or all one row.
std::vector<TimelineRow> timeline_rows(const Trace& trace, bool one_row_each = false);

/// The Trace Event Format: a process per CTA, a thread per row, one microsecond per scheduler step.
std::string chrome_trace(const Trace& trace, const std::string& kernel);

/// Flat shapes, top to bottom and left to right in pixels; for whoever writes SVG or dots.
struct Drawing {
  struct Box {
    double x, y, width, height;
    uint32_t rgb;
  };
  struct Text {
    double x, y;  ///< of the left end (or the middle, the right end) of the text's top
    std::string text;
    enum class Anchor : uint8_t { left, center, right } anchor;
    bool faint;
  };
  int width = 0, height = 0;
  std::vector<Box> boxes;
  std::vector<Text> texts;
};
struct TimelinePicture {
  std::string title;
  int width = 1600;
  uint64_t first = 0, last = UINT64_MAX;  ///< scheduler steps that are shown
  bool one_row_each = false;              ///< whatever overlaps in a track is drawn as one bar
};
/// One row of bars per warp and per track, coloured by class, over an axis in scheduler steps, with a legend.
Drawing draw_timeline(const Trace& trace, const TimelinePicture& options);
std::string svg(const Drawing& drawing);

}  // namespace ptxsim
