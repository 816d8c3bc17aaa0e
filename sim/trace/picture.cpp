// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "sim/trace/timeline.hpp"

namespace ptxsim {
namespace {

constexpr double kLeft = 190, kRight = 30, kTop = 78, kRow = 18, kGap = 5, kCtaGap = 22, kBottom = 56;
constexpr uint32_t kPaper = 0xffffff, kRowPaper = 0xf3f3f6;

/// Told apart in grey and by those who do not see red and green apart.
uint32_t color_of(TimelineClass what) {
  switch (what) {
    case TimelineClass::alu: return 0x7d8fa9;
    case TimelineClass::matrix: return 0xd1495b;
    case TimelineClass::copy: return 0x2a9d8f;
    case TimelineClass::sync: return 0x30343f;
    case TimelineClass::wait: return 0xf2d694;
  }
  return 0;
}

/// 1, 2 or 5 times a power of ten, at least `least`.
uint64_t round_step(double least) {
  uint64_t power = 1;
  while (true) {
    for (const uint64_t factor : {1, 2, 5})
      if (static_cast<double>(factor * power) >= least) return factor * power;
    power *= 10;
  }
}

class Painter {
 public:
  Painter(const Trace& trace, const TimelinePicture& options) : rows_(timeline_rows(trace, options.one_row_each)) {
    uint64_t end = 1;
    for (const Trace::Span& span : trace.spans) end = std::max(end, span.end);
    first_ = std::min(options.first, end - 1);
    last_ = std::max(std::min(options.last, end), first_ + 1);
    out_.width = std::max(options.width, 600);
    scale_ = (out_.width - kLeft - kRight) / static_cast<double>(last_ - first_);
    title(options.title);
  }

  Drawing draw() {
    double y = kTop;
    for (size_t i = 0; i < rows_.size(); ++i) {
      const bool new_cta = i == 0 || rows_[i - 1].cta != rows_[i].cta;
      if (new_cta) {
        if (i > 0) y += kCtaGap;
        text(12, y, "CTA " + std::to_string(rows_[i].cta), Drawing::Text::Anchor::left, true);
      }
      row(rows_[i], y);
      y += kRow + kGap;
    }
    axis(y + 4);
    out_.height = static_cast<int>(y + kBottom);
    out_.boxes.front().height = out_.height;
    return std::move(out_);
  }

 private:
  void box(double x, double y, double width, double height, uint32_t rgb) {
    out_.boxes.push_back({x, y, width, height, rgb});
  }
  void text(double x, double y, std::string words, Drawing::Text::Anchor anchor, bool faint) {
    out_.texts.push_back({x, y, std::move(words), anchor, faint});
  }
  double x_of(uint64_t step) const { return kLeft + static_cast<double>(step - first_) * scale_; }

  void title(const std::string& words) {
    box(0, 0, out_.width, 0, kPaper);
    text(12, 14, words, Drawing::Text::Anchor::left, false);
    double x = kLeft;
    for (const TimelineClass what :
         {TimelineClass::alu, TimelineClass::matrix, TimelineClass::copy, TimelineClass::sync, TimelineClass::wait}) {
      box(x, 42, 26, 12, color_of(what));
      const std::string name = timeline_class_name(what);
      text(x + 32, 42, name, Drawing::Text::Anchor::left, false);
      x += 60 + 8.0 * static_cast<double>(name.size());
    }
  }

  /// Bars narrower than a pixel would hide each other: within a pixel column the class that fills it most is drawn.
  void row(const TimelineRow& row, double y) {
    text(kLeft - 10, y + 5, row.name, Drawing::Text::Anchor::right, false);
    box(kLeft, y, out_.width - kLeft - kRight, kRow, kRowPaper);
    const size_t columns = static_cast<size_t>(out_.width - kLeft - kRight);
    std::vector<std::array<double, kTimelineClasses>> share(columns);
    for (const Trace::Span* span : row.spans) {
      if (span->end <= first_ || span->begin >= last_) continue;
      const double begin = x_of(std::max(span->begin, first_)) - kLeft, end = x_of(std::min(span->end, last_)) - kLeft;
      for (size_t column = static_cast<size_t>(begin); column < columns && static_cast<double>(column) < end;
           ++column) {
        const double from = std::max(begin, static_cast<double>(column));
        const double to = std::min(end, static_cast<double>(column + 1));
        share[column][static_cast<size_t>(span->what)] += to - from;
      }
    }
    // Runs of pixel columns of one colour.
    constexpr size_t kNothing = kTimelineClasses;
    const auto best = [&](size_t column) {
      const auto& s = share[column];
      const size_t most = static_cast<size_t>(std::max_element(s.begin(), s.end()) - s.begin());
      return s[most] > 0 ? most : kNothing;
    };
    for (size_t begin = 0; begin < columns;) {
      const size_t what = best(begin);
      size_t end = begin + 1;
      while (end < columns && best(end) == what) ++end;
      if (what != kNothing)
        box(kLeft + static_cast<double>(begin), y, static_cast<double>(end - begin), kRow,
            color_of(static_cast<TimelineClass>(what)));
      begin = end;
    }
  }

  void axis(double y) {
    const uint64_t step = round_step(90 / scale_);
    for (uint64_t at = (first_ + step - 1) / step * step; at <= last_; at += step) {
      box(x_of(at), y, 1, 6, 0x30343f);
      text(x_of(at), y + 10, std::to_string(at), Drawing::Text::Anchor::center, false);
    }
    box(kLeft, y, out_.width - kLeft - kRight, 1, 0x30343f);
    text((kLeft + out_.width - kRight) / 2, y + 28, "scheduler steps (warp instructions of the whole machine)",
         Drawing::Text::Anchor::center, true);
  }

  std::vector<TimelineRow> rows_;
  Drawing out_;
  uint64_t first_ = 0, last_ = 1;
  double scale_ = 1;
};

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value);
  return text.data();
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += c;
  }
  return out;
}

}  // namespace

Drawing draw_timeline(const Trace& trace, const TimelinePicture& options) { return Painter(trace, options).draw(); }

std::string svg(const Drawing& drawing) {
  const std::string size = std::to_string(drawing.width), height = std::to_string(drawing.height);
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + size + "\" height=\"" + height +
                    "\" viewBox=\"0 0 " + size + " " + height + "\" font-family=\"sans-serif\" font-size=\"12\">\n";
  for (const Drawing::Box& box : drawing.boxes) {
    std::array<char, 8> color{};
    std::snprintf(color.data(), color.size(), "#%06x", box.rgb & 0xffffff);
    out += "<rect x=\"" + number(box.x) + "\" y=\"" + number(box.y) + "\" width=\"" + number(box.width) +
           "\" height=\"" + number(box.height) + "\" fill=\"" + color.data() + "\"/>\n";
  }
  for (const Drawing::Text& text : drawing.texts) {
    const char* anchor = text.anchor == Drawing::Text::Anchor::left     ? "start"
                         : text.anchor == Drawing::Text::Anchor::center ? "middle"
                                                                        : "end";
    // The baseline lies about ten pixels below the top of letters of this size.
    out += "<text x=\"" + number(text.x) + "\" y=\"" + number(text.y + 10) + "\" text-anchor=\"" + anchor +
           "\" fill=\"" + (text.faint ? "#767686" : "#22222e") + "\">" + escaped(text.text) + "</text>\n";
  }
  return out + "</svg>\n";
}

}  // namespace ptxsim
