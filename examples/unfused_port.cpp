// SPDX-License-Identifier: Apache-2.0
// Attention as it is usually written, and the same call ported to attend: outputs and times of both.
#include <algorithm>
#include <attend/attend.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

namespace {

struct Shape {
  int64_t b, heads, n, d;  // tensors are [b][heads][n][d]
};

/// Before: the score matrix of every head in memory, three passes over it.
void unfused_attention(const Shape& s, const float* q, const float* k, const float* v, float* o) {
  std::vector<float> scores(s.n * s.n);
  const float scale = 1 / std::sqrt(static_cast<float>(s.d));
  for (int64_t head = 0; head < s.b * s.heads; ++head) {
    const int64_t at = head * s.n * s.d;
    for (int64_t i = 0; i < s.n; ++i) {
      float* row = &scores[i * s.n];
      float largest = -std::numeric_limits<float>::infinity();
      for (int64_t j = 0; j <= i; ++j) {  // causal
        float dot = 0;
        for (int64_t c = 0; c < s.d; ++c) dot += q[at + i * s.d + c] * k[at + j * s.d + c];
        row[j] = dot * scale;
        largest = std::max(largest, row[j]);
      }
      float sum = 0;
      for (int64_t j = 0; j <= i; ++j) sum += row[j] = std::exp(row[j] - largest);
      float* out = o + at + i * s.d;
      std::fill(out, out + s.d, 0.0f);
      for (int64_t j = 0; j <= i; ++j) {
        const float p = row[j] / sum;
        for (int64_t c = 0; c < s.d; ++c) out[c] += p * v[at + j * s.d + c];
      }
    }
  }
}

/// After: what was said in loops is said in a Problem. The plan can be kept for all layers and all calls of one shape.
attend::Status fused_attention(const Shape& s, const float* q, const float* k, const float* v, float* o) {
  using namespace attend;
  AttentionFwd problem = AttentionFwd::dense(Layout::bhsd, DType::f32, s.b, s.heads, s.heads, s.n, s.n, s.d);
  problem.mask = Mask::causal();
  Result<AttentionFwdPlan> planned = plan(problem);
  if (!planned.ok()) return planned.status();
  return planned->run({.q = q, .k = k, .v = v, .o = o});
}

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main() {
  const Shape shape{1, 4, 768, 64};
  const size_t elements = static_cast<size_t>(shape.b * shape.heads * shape.n * shape.d);
  std::vector<float> q(elements), k(elements), v(elements), before(elements), after(elements);
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  for (std::vector<float>* tensor : {&q, &k, &v}) {
    for (float& value : *tensor) value = normal(random);
  }

  auto start = std::chrono::steady_clock::now();
  unfused_attention(shape, q.data(), k.data(), v.data(), before.data());
  const double unfused_ms = milliseconds_since(start);

  double fused_ms = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 3; ++round) {  // the first call also starts the threads
    start = std::chrono::steady_clock::now();
    const attend::Status status = fused_attention(shape, q.data(), k.data(), v.data(), after.data());
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.message().c_str());
      return 1;
    }
    fused_ms = std::min(fused_ms, milliseconds_since(start));
  }

  float difference = 0;
  for (size_t i = 0; i < elements; ++i) difference = std::max(difference, std::abs(before[i] - after[i]));
  std::printf("unfused %.2f ms, attend %.2f ms; largest difference of the outputs %.1e\n", unfused_ms, fused_ms,
              static_cast<double>(difference));
  return difference < 1e-5f ? 0 : 1;
}
