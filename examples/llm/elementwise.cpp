// SPDX-License-Identifier: Apache-2.0
#include "elementwise.hpp"

#include <omp.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

// Loops below are simple enough for the compiler's vectors. Each is compiled for three widths, of which one is chosen
// when the program starts: by features, as compilers know the names only of processors older than they are.
#if defined(__x86_64__) && defined(__GLIBC__)
#define LLM_VECTORS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define LLM_VECTORS
#endif

namespace llm {

namespace {

/// exp within 2e-7 relative: 2^n e^r, |r| <= ln 2 / 2, the Taylor sum of e^r to the 7th power. Below -87 it is e^-87,
/// above 88 e^88; NaN stays.
inline float exp_f32(float x) {
  x = x < -87.0F ? -87.0F : x;
  x = x > 88.0F ? 88.0F : x;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer, which the low bits then hold
  const float shifted = x * 1.44269504F + kRound, n = shifted - kRound;
  const float r = (x - n * 0.693145752F) - n * 1.42860677e-6F;  // ln 2 in two parts, the first of few bits
  const float sum =
      1 +
      r * (1 + r * (0.5F + r * (1.0F / 6 + r * (1.0F / 24 + r * (1.0F / 120 + r * (1.0F / 720 + r * (1.0F / 5040)))))));
  const auto scale = std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) << 23) + 0x3F800000U);
  return sum * scale;
}

LLM_VECTORS void normalise_row(const float* x, const float* gain, int64_t width, double epsilon, float* y) {
  double squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t c = 0; c < width; ++c) squares += double{x[c]} * x[c];
  const auto r = static_cast<float>(1 / std::sqrt(squares / static_cast<double>(width) + epsilon));
#pragma omp simd
  for (int64_t c = 0; c < width; ++c) y[c] = gain[c] * (x[c] * r);
}

LLM_VECTORS void add_some(float* x, const float* y, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) x[i] += y[i];
}

LLM_VECTORS void open_silu(float* gate, const float* up, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) gate[i] *= up[i] / (1 + exp_f32(-gate[i]));
}

LLM_VECTORS void open_gelu(float* gate, const float* up, int64_t count) {
  constexpr float kTwiceRootOfTwoByPi = 1.5957691216F;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float x = gate[i];
    gate[i] = x * up[i] / (1 + exp_f32(-kTwiceRootOfTwoByPi * (x + 0.044715F * x * x * x)));
  }
}

LLM_VECTORS float largest_of(const float* x, int64_t count) {
  constexpr int kLanes = 16;
  float lanes[kLanes];
  std::fill_n(lanes, kLanes, x[0]);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
#pragma omp simd
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] = x[i + lane] > lanes[lane] ? x[i + lane] : lanes[lane];
  for (; i < count; ++i) lanes[0] = x[i] > lanes[0] ? x[i] : lanes[0];
  return *std::max_element(lanes, lanes + kLanes);
}

/// Sums of exp(x - largest), and of that times x - y.
struct Sums {
  double exponentials = 0, weighted = 0;
};

LLM_VECTORS Sums sums_of(const float* x, const float* y, float largest, int64_t count) {
  double exponentials = 0, weighted = 0;
#pragma omp simd reduction(+ : exponentials, weighted)
  for (int64_t i = 0; i < count; ++i) {
    const double e = exp_f32(x[i] - largest);
    exponentials += e;
    weighted += e * (double{x[i]} - y[i]);
  }
  return {exponentials, weighted};
}

/// body(row) for each row of so many numbers.
template <class Body>
void rows(std::span<float> x, size_t width, int threads, const Body& body) {
  const auto count = static_cast<int64_t>(x.size() / width);
  const int team = threads > 0 ? threads : omp_get_max_threads();
#pragma omp parallel for schedule(static) num_threads(team) if (count > 16)
  for (int64_t row = 0; row < count; ++row) body(x.data() + row * static_cast<int64_t>(width));
}

/// body(begin, count) for pieces of [0, size) whose bounds do not depend on threads.
template <class Body>
void pieces(size_t size, int threads, const Body& body) {
  constexpr int64_t kPiece = 1 << 14;
  const auto all = static_cast<int64_t>(size);
  const int team = threads > 0 ? threads : omp_get_max_threads();
#pragma omp parallel for schedule(static) num_threads(team) if (all > kPiece)
  for (int64_t begin = 0; begin < all; begin += kPiece) body(begin, std::min(kPiece, all - begin));
}

}  // namespace

void normalise(std::span<const float> x, std::span<const float> gain, double epsilon, std::vector<float>& y,
               int threads) {
  y.resize(x.size());
  const auto width = static_cast<int64_t>(gain.size()), rows = static_cast<int64_t>(x.size()) / width;
  const int team = threads > 0 ? threads : omp_get_max_threads();
#pragma omp parallel for schedule(static) num_threads(team) if (rows > 16)
  for (int64_t row = 0; row < rows; ++row)
    normalise_row(x.data() + row * width, gain.data(), width, epsilon, y.data() + row * width);
}

void centre(std::span<float> x, std::span<const float> gain, std::span<const float> bias, double epsilon, int threads) {
  rows(x, gain.size(), threads, [&](float* row) {
    const auto width = static_cast<double>(gain.size());
    double sum = 0, squares = 0;
    for (size_t c = 0; c < gain.size(); ++c) sum += row[c];
    const double mean = sum / width;
    for (size_t c = 0; c < gain.size(); ++c) squares += (row[c] - mean) * (row[c] - mean);
    const double r = 1 / std::sqrt(squares / width + epsilon);
    for (size_t c = 0; c < gain.size(); ++c) row[c] = static_cast<float>((row[c] - mean) * r) * gain[c] + bias[c];
  });
}

void add_to_rows(std::span<float> x, std::span<const float> bias, int threads) {
  rows(x, bias.size(), threads, [&](float* row) { add_some(row, bias.data(), static_cast<int64_t>(bias.size())); });
}

void gelu(std::span<float> x, int threads) {
  pieces(x.size(), threads, [&](int64_t begin, int64_t count) {
    for (float& each : x.subspan(static_cast<size_t>(begin), static_cast<size_t>(count)))
      each *= 0.5F * (1 + std::erf(each / std::numbers::sqrt2_v<float>));
  });
}

void add(std::span<float> x, std::span<const float> y, int threads) {
  pieces(x.size(), threads, [&](int64_t begin, int64_t count) { add_some(x.data() + begin, y.data() + begin, count); });
}

void open_gate(Gate kind, std::span<float> gate, std::span<const float> up, int threads) {
  const auto open = kind == Gate::silu ? open_silu : open_gelu;
  pieces(gate.size(), threads,
         [&](int64_t begin, int64_t count) { open(gate.data() + begin, up.data() + begin, count); });
}

double log_sum_exp(std::span<const float> x) {
  const auto count = static_cast<int64_t>(x.size());
  const float largest = largest_of(x.data(), count);
  return largest + std::log(sums_of(x.data(), x.data(), largest, count).exponentials);
}

Comparison compare(std::span<const float> found, std::span<const float> expected) {
  const auto count = static_cast<int64_t>(found.size());
  const float largest = largest_of(expected.data(), count);
  const Sums sums = sums_of(expected.data(), found.data(), largest, count);
  Comparison both;
  both.log_sum_exp_expected = largest + std::log(sums.exponentials);
  both.log_sum_exp_found = log_sum_exp(found);
  // The mean of (expected - its sum) - (found - its sum) under the expected probabilities.
  both.divergence = sums.weighted / sums.exponentials - both.log_sum_exp_expected + both.log_sum_exp_found;
  const auto choice = [](std::span<const float> logits) {
    return std::max_element(logits.begin(), logits.end()) - logits.begin();
  };
  both.same_choice = choice(found) == choice(expected);
  return both;
}

}  // namespace llm
