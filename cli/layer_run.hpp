// SPDX-License-Identifier: Apache-2.0
// Attention on one layer, forward or backward: timed on one thread and on all, compared with fp64.
#pragma once
#include <attend/attend.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "layer.hpp"

namespace attend::cli {

struct Measuring {
  int repeat = 20;       ///< timed runs
  int64_t sample = 256;  ///< rows compared with fp64; -1: all
  uint64_t seed = 0;     ///< chooses them, and draws dO
};

/// A tensor that a run writes.
struct Output {
  const char* name;  ///< `o`, in the file behind the layer's name
  DType type;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes{};

  void* allocate() {
    int64_t size = dtype_bytes(type);
    for (const int64_t extent : shape) size *= extent;
    bytes.resize(static_cast<size_t>(size));
    return bytes.data();
  }
  bool operator==(const Output& other) const { return bytes == other.bytes; }
};

/// What was found out about one layer.
struct Outcome {
  std::string problem, kernel, isa;
  Arithmetic arithmetic = Arithmetic::f32;
  int threads = 1;
  size_t workspace_bytes = 0;
  double seconds = 0, one_thread_seconds = 0;  ///< medians
  double gflops = 0, peak_gflops = 0;
  Comparison comparison;
  bool same_bits = true;  ///< on one thread and on all
  double rms_change = 0;  ///< of o by what the cache's format lost, relative to o
  std::vector<Output> outputs;

  double share() const { return peak_gflops > 0 ? gflops / peak_gflops : 0; }
  bool correct() const { return same_bits && comparison.first_failure.empty() && comparison.max_ratio <= 1; }
};

/// Peaks are measured once for each kind of arithmetic, in this process.
class Peaks {
 public:
  template <class Plan>
  double gflops(const Plan& plan) {
    const PeakKind kind = plan.arithmetic() == Arithmetic::bf16_dot ? PeakKind::dot_bf16 : PeakKind::fma_f32;
    const auto [at, is_new] = known_.try_emplace({plan.isa(), kind, plan.threads()}, 0.0);
    if (is_new) at->second = measure_peak(plan.isa(), kind, plan.threads());
    return at->second;
  }

 private:
  std::map<std::tuple<std::string, PeakKind, int>, double> known_;
};

Outcome run_forward(const Layer& layer, const PlanOptions& with, const Measuring& measuring, Peaks& peaks);

/// Gradients in f32 of the forward pass on the layer, from a dO of normal numbers.
Outcome run_backward(const Layer& layer, const PlanOptions& with, const Measuring& measuring, Peaks& peaks);

/// How far the output is from that of the layer whose keys and values were never encoded, relative RMS.
double rms_change(const Layer& plain, const Outcome& cached, const PlanOptions& with);

}  // namespace attend::cli
