// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace attend::cli {

enum class ProgressStyle {
  bar,    ///< redraws one line of a terminal
  lines,  ///< a line now and then, for logs
  quiet,
};

/// bar when `stream` is a terminal, else lines; quiet when asked.
ProgressStyle progress_style(std::FILE* stream, bool quiet);

/// `4 s`, `1:05`, `2:03:09`; `?` for what is not finite or negative.
std::string format_duration(double seconds);

/// One line of at most `columns` characters without a line end:
/// `check  [#####-----]  50 %  15/30  0:15 left  note`
std::string format_progress(const std::string& title, int64_t done, int64_t total, double elapsed_seconds,
                            const std::string& note, int columns);

/// Shows how far a known number of steps has come, on stderr. Not thread-safe.
class Progress {
 public:
  Progress(std::string title, int64_t total, bool quiet, std::FILE* stream = stderr);
  /// Wipes the bar, so that what is printed next begins on a clean line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `steps` more are done. `note` says what the next one is, or the best so far.
  void advance(int64_t steps = 1, const std::string& note = {});
  /// Wipes the bar, for a caller who is about to print a line; the next advance() draws it again.
  void clear();

 private:
  void draw();

  using Clock = std::chrono::steady_clock;
  std::string title_, note_;
  int64_t total_, done_ = 0;
  std::FILE* stream_;
  ProgressStyle style_;
  Clock::time_point start_, last_drawn_;
  bool drawn_ = false;
};

}  // namespace attend::cli
