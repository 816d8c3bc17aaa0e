// SPDX-License-Identifier: Apache-2.0
#include "progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace attend::cli {
namespace {

constexpr double kRedrawSeconds = 0.1;  // faster flickers and costs the work time
constexpr double kLineSeconds = 5;      // a log needs a sign of life, no more

int terminal_columns(std::FILE* stream) {
  winsize size{};
  if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

double seconds_between(std::chrono::steady_clock::time_point a, std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

}  // namespace

ProgressStyle progress_style(std::FILE* stream, bool quiet) {
  if (quiet) return ProgressStyle::quiet;
  const char* terminal = std::getenv("TERM");
  const bool can_redraw = ::isatty(::fileno(stream)) != 0 && terminal != nullptr && std::string(terminal) != "dumb";
  return can_redraw ? ProgressStyle::bar : ProgressStyle::lines;
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e9) return "?";
  const auto whole = static_cast<int64_t>(std::ceil(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string format_progress(const std::string& title, int64_t done, int64_t total, double elapsed_seconds,
                            const std::string& note, int columns) {
  const double share = total > 0 ? std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0) : 1;
  // The time left assumes that steps to come cost what steps so far did.
  const double left = done > 0 ? elapsed_seconds / share * (1 - share) : std::nan("");
  const std::string time = done >= total ? format_duration(elapsed_seconds) : format_duration(left) + " left";
  const std::string counts = fmt::format("{:3.0f} %  {}/{}  {}", std::floor(100 * share), done, total, time);
  constexpr int kBar = 24;
  const auto filled = static_cast<int>(share * kBar);
  std::string line = title + "  ";
  if (columns >= static_cast<int>(title.size() + counts.size()) + kBar + 6)
    line += "[" + std::string(static_cast<size_t>(filled), '#') + std::string(static_cast<size_t>(kBar - filled), '-') +
            "]  ";
  line += counts;
  if (!note.empty()) line += "  " + note;
  if (columns >= 0 && line.size() > static_cast<size_t>(columns)) line.resize(static_cast<size_t>(columns));
  return line;
}

Progress::Progress(std::string title, int64_t total, bool quiet, std::FILE* stream)
    : title_(std::move(title)),
      total_(total),
      stream_(stream),
      style_(progress_style(stream, quiet)),
      start_(Clock::now()),
      last_drawn_(start_) {}

Progress::~Progress() { clear(); }

void Progress::advance(int64_t steps, const std::string& note) {
  done_ += steps;
  note_ = note;
  if (style_ == ProgressStyle::quiet) return;
  const auto now = Clock::now();
  const double since = seconds_between(last_drawn_, now);
  const bool due =
      style_ == ProgressStyle::bar ? !drawn_ || since >= kRedrawSeconds || done_ >= total_ : since >= kLineSeconds;
  if (!due) return;
  last_drawn_ = now;
  draw();
}

void Progress::draw() {
  const double elapsed = seconds_between(start_, last_drawn_);
  if (style_ == ProgressStyle::bar) {
    // One column stays free: a full line would wrap on some terminals. \x1b[K wipes what a longer line left.
    const std::string line = format_progress(title_, done_, total_, elapsed, note_, terminal_columns(stream_) - 1);
    std::fprintf(stream_, "\r%s\x1b[K", line.c_str());
    drawn_ = true;
  } else {
    std::fprintf(stream_, "%s\n", format_progress(title_, done_, total_, elapsed, note_, 160).c_str());
  }
  std::fflush(stream_);
}

void Progress::clear() {
  if (!drawn_) return;
  std::fputs("\r\x1b[K", stream_);
  std::fflush(stream_);
  drawn_ = false;
}

}  // namespace attend::cli
