// SPDX-License-Identifier: Apache-2.0
#include <attend/rope.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "base/text.hpp"

namespace attend {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;

Status wrong(const char* field, const std::string& found, const char* expected) {
  return invalid_argument(std::string("make_rope: options.") + field + " is " + found + ", expected " + expected);
}

Status check(const RopeOptions& o) {
  if (o.dims < 0 || o.dims > 512 || o.dims % 2 != 0) return wrong("dims", print_number(o.dims), "even, 0 to 512");
  if (!(o.base > 1) || !std::isfinite(o.base)) return wrong("base", print_number(o.base), "more than 1");
  if (!(o.factor >= 1) || !std::isfinite(o.factor)) return wrong("factor", print_number(o.factor), "1 or more");
  if (o.scaling < RopeScaling::none || o.scaling > RopeScaling::yarn)
    return wrong("scaling", print_number(static_cast<int32_t>(o.scaling)), "a row of RopeScaling");
  if (o.scaling == RopeScaling::ntk && o.dims == 2) return wrong("dims", "2", "4 or more with ntk");
  if (o.trained_length < 1) return wrong("trained_length", print_number(o.trained_length), "1 or more");
  if (!(o.low_turns > 0 && o.high_turns > o.low_turns))
    return wrong("high_turns", print_number(o.high_turns), "more than low_turns, which is more than 0");
  if (!(o.slow_turns > 0 && o.fast_turns > o.slow_turns))
    return wrong("fast_turns", print_number(o.fast_turns), "more than slow_turns, which is more than 0");
  return {};
}

/// llama3: by how often the wave turns within the trained length.
double llama3(const RopeOptions& o, double frequency) {
  const double turns = static_cast<double>(o.trained_length) * frequency / kTurn;
  const double keep = std::clamp((turns - o.low_turns) / (o.high_turns - o.low_turns), 0.0, 1.0);
  return frequency * (keep + (1 - keep) / o.factor);
}

/// The pair, as a real number, whose wave turns so often within the trained length.
double pair_of_turns(const RopeOptions& o, double turns) {
  return static_cast<double>(o.dims) * std::log(static_cast<double>(o.trained_length) / (turns * kTurn)) /
         (2 * std::log(o.base));
}

double yarn(const RopeOptions& o, int64_t i, double frequency) {
  const double low = std::max(std::floor(pair_of_turns(o, o.fast_turns)), 0.0);
  const double high = std::min(std::ceil(pair_of_turns(o, o.slow_turns)), static_cast<double>(o.dims - 1));
  const double width = high > low ? high - low : 0.001;
  const double divide = std::clamp((static_cast<double>(i) - low) / width, 0.0, 1.0);
  return frequency * (1 - divide + divide / o.factor);
}

}  // namespace

Result<Rope> make_rope(const RopeOptions& o) {
  if (Status status = check(o); !status.ok()) return status;
  const auto dims = static_cast<double>(o.dims);
  const double base = o.scaling == RopeScaling::ntk ? o.base * std::pow(o.factor, dims / (dims - 2)) : o.base;
  std::vector<float> frequencies;
  for (int64_t i = 0; i < o.dims / 2; ++i) {
    double frequency = std::pow(base, -2 * static_cast<double>(i) / dims);
    if (o.scaling == RopeScaling::linear) frequency /= o.factor;
    if (o.scaling == RopeScaling::llama3) frequency = llama3(o, frequency);
    if (o.scaling == RopeScaling::yarn) frequency = yarn(o, i, frequency);
    frequencies.push_back(static_cast<float>(frequency));
  }
  Rope rope;
  rope.interleaved = o.interleaved;
  rope.frequencies = Array<float>(std::move(frequencies));
  if (o.scaling == RopeScaling::yarn) rope.magnitude = static_cast<float>(0.1 * std::log(o.factor) + 1);
  return rope;
}

}  // namespace attend
