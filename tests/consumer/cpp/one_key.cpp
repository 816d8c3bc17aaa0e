// SPDX-License-Identifier: Apache-2.0
// With a single key the softmax is 1 whatever the score: o is v, up to a few roundings of f32.
#include <attend/attend.hpp>
#include <cmath>
#include <cstdio>
#include <vector>

int main() {
  const int64_t rows = 5, heads = 2, d = 24;
  std::vector<float> q(rows * heads * d, 0.5f), k(heads * d, 0.25f), v(heads * d), o(rows * heads * d);
  for (size_t i = 0; i < v.size(); i++) v[i] = static_cast<float>(i) / 8;
  using attend::DType;
  using attend::Layout;
  const attend::Status status = attend::attention(
      {q.data(), DType::f32, Layout::bshd, 1, rows, heads, d}, {k.data(), DType::f32, Layout::bshd, 1, 1, heads, d},
      {v.data(), DType::f32, Layout::bshd, 1, 1, heads, d}, {o.data(), DType::f32, Layout::bshd, 1, rows, heads, d});
  if (!status.ok()) {
    std::printf("%s\n", status.message().c_str());
    return 1;
  }
  for (size_t i = 0; i < o.size(); i++) {
    if (!(std::abs(o[i] - v[i % v.size()]) <= 1e-6f * v[i % v.size()])) {
      std::printf("o[%zu] is %.9g, expected %.9g\n", i, static_cast<double>(o[i]),
                  static_cast<double>(v[i % v.size()]));
      return 1;
    }
  }
  // A wrong shape must come back as a sentence, across the library's border too.
  const attend::Status refused = attend::attention(
      {q.data(), DType::f32, Layout::bshd, 1, rows, heads, d + 1}, {k.data(), DType::f32, Layout::bshd, 1, 1, heads, d},
      {v.data(), DType::f32, Layout::bshd, 1, 1, heads, d}, {o.data(), DType::f32, Layout::bshd, 1, rows, heads, d});
  if (refused.code() != attend::StatusCode::invalid_argument || refused.message().empty()) {
    std::printf("q with %d columns against k with %d was not refused\n", static_cast<int>(d + 1), static_cast<int>(d));
    return 1;
  }
  return 0;
}
