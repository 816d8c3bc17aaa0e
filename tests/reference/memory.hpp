// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attend.hpp>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace attend::test {

inline constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

/// Memory of a Problem in which every element can be read and set as a number, whatever its type.
class Memory {
 public:
  explicit Memory(const std::string& line, uint64_t seed = 1, double magnitude = 1)
      : problem(*AttentionFwd::parse(line)) {
    Rng rng(seed);
    const AttentionFwd& p = problem;
    const auto fill = [&](std::vector<float>& storage, DType type, int64_t count) {
      std::vector<float> values(static_cast<size_t>(count));
      for (float& x : values) x = static_cast<float>(magnitude * rng.normal());
      storage.resize(values.size());
      narrow(type, values.data(), count, storage.data());
    };
    fill(q_, p.q_type, elements(p.cu_q, p.sq) * p.hq * p.d);
    fill(k_, p.k_type, elements(p.cu_k, p.sk) * p.hk * p.d);
    fill(v_, p.v_type, elements(p.cu_k, p.sk) * p.hk * p.dv);
    o_.resize(static_cast<size_t>(elements(p.cu_q, p.sq) * p.hq * p.dv));
    lse.resize(static_cast<size_t>(p.lse_size()));
    for (int64_t i = 0; i < p.b * p.hq; ++i) {
      slopes.push_back(static_cast<float>(rng.uniform() / 8));
      sink.push_back(static_cast<float>(2 * rng.normal()));
    }
    for (int64_t i = 0; i < p.bias_size(); ++i) bias.push_back(static_cast<float>(rng.normal()));
  }

  AttentionFwdArgs args() {
    return {q_.data(), k_.data(), v_.data(), o_.data(), lse.data(), slopes.data(), bias.data(), sink.data()};
  }

  float q(int64_t n, int64_t head, int64_t row, int64_t c) const {
    return get(q_, problem.q_type, problem.q_offset(n, row, head) + c);
  }
  float k(int64_t n, int64_t head, int64_t row, int64_t c) const {
    return get(k_, problem.k_type, problem.k_offset(n, row, head) + c);
  }
  float v(int64_t n, int64_t head, int64_t row, int64_t c) const {
    return get(v_, problem.v_type, problem.v_offset(n, row, head) + c);
  }
  float o(int64_t n, int64_t head, int64_t row, int64_t c) const {
    return get(o_, problem.o_type, problem.o_offset(n, row, head) + c);
  }
  void set_q(int64_t n, int64_t head, int64_t row, int64_t c, float x) {
    set(q_, problem.q_type, problem.q_offset(n, row, head) + c, x);
  }
  void set_k(int64_t n, int64_t head, int64_t row, int64_t c, float x) {
    set(k_, problem.k_type, problem.k_offset(n, row, head) + c, x);
  }
  void set_v(int64_t n, int64_t head, int64_t row, int64_t c, float x) {
    set(v_, problem.v_type, problem.v_offset(n, row, head) + c, x);
  }
  void set_o(int64_t n, int64_t head, int64_t row, int64_t c, float x) {
    set(o_, problem.o_type, problem.o_offset(n, row, head) + c, x);
  }

  AttentionFwd problem;
  std::vector<float> lse, slopes, bias, sink;

 private:
  int64_t elements(const Offsets& cu, int64_t longest) const {
    return cu.empty() ? problem.b * longest : cu[problem.b];
  }
  static float get(const std::vector<float>& storage, DType type, int64_t at) {
    float x = 0;
    widen(type, reinterpret_cast<const char*>(storage.data()) + at * dtype_bytes(type), 1, &x);
    return x;
  }
  static void set(std::vector<float>& storage, DType type, int64_t at, float x) {
    narrow(type, &x, 1, reinterpret_cast<char*>(storage.data()) + at * dtype_bytes(type));
  }

  std::vector<float> q_, k_, v_, o_;  ///< bytes of their types; a float for each element is room enough
};

}  // namespace attend::test
