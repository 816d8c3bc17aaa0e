// SPDX-License-Identifier: Apache-2.0
// Causal attention within a window of 128 keys, 4 query heads over 2 key heads. Prints what it checked.
#include <attend/attend.hpp>
#include <cmath>
#include <cstdio>
#include <vector>

int main() {
  const int64_t b = 1, n = 300, hq = 4, hk = 2, d = 64;
  std::vector<float> q(b * n * hq * d), k(b * n * hk * d), v(b * n * hk * d), o(b * n * hq * d);
  for (size_t i = 0; i < q.size(); ++i) q[i] = std::sin(static_cast<float>(i));
  for (size_t i = 0; i < k.size(); ++i) k[i] = std::cos(3 * static_cast<float>(i));
  for (size_t i = 0; i < v.size(); ++i) v[i] = std::sin(2 * static_cast<float>(i));

  using attend::DType, attend::Layout, attend::Mask;
  const attend::Status status = attend::attention(
      {q.data(), DType::f32, Layout::bshd, b, n, hq, d}, {k.data(), DType::f32, Layout::bshd, b, n, hk, d},
      {v.data(), DType::f32, Layout::bshd, b, n, hk, d}, {o.data(), DType::f32, Layout::bshd, b, n, hq, d},
      {.mask = Mask::causal() & Mask::window(127, 0)});
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.message().c_str());
    return 1;
  }

  // The last query of head 3 by the formula: it sees keys 172 to 299 of key head 1.
  const float* query = &q[((n - 1) * hq + 3) * d];
  double sum = 0, weighted = 0;
  for (int64_t key = n - 128; key < n; ++key) {
    double score = 0;
    for (int64_t c = 0; c < d; ++c) score += static_cast<double>(query[c]) * k[(key * hk + 1) * d + c];
    const double weight = std::exp(score / std::sqrt(static_cast<double>(d)));
    sum += weight;
    weighted += weight * v[(key * hk + 1) * d];
  }
  const double found = o[((n - 1) * hq + 3) * d];
  std::printf("o[query 299, head 3, column 0] is %.6f, by hand %.6f\n", found, weighted / sum);
  return std::abs(found - weighted / sum) < 1e-5 ? 0 : 1;
}
