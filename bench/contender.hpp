// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attend.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "case.hpp"
#include "verify/verify.hpp"

namespace attend::bench {

/// Tensors of one Problem, shared by the contenders that compute it. Writable outputs belong to whoever ran last.
using SharedInputs = std::shared_ptr<verify::Inputs>;

/// Something that computes one Problem again and again on the same tensors.
class Runner {
 public:
  virtual ~Runner() = default;
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Error: what the contender says.
  virtual Status run() = 0;
  virtual void poison_outputs() { inputs_->poison_outputs(); }
  /// The last run against the fp64 reference, on `sample_rows` rows.
  virtual Comparison compare(int64_t sample_rows, uint64_t seed) const {
    return compare_with_reference(problem_, inputs_->args(), arithmetic_, sample_rows, seed);
  }

  const AttentionFwd& problem() const { return problem_; }  ///< of a backward pass: what it is the gradient of
  const Cost& cost() const { return cost_; }
  int threads() const { return threads_; }
  const std::string& kernel() const { return kernel_; }
  const std::string& isa() const { return isa_; }
  Arithmetic arithmetic() const { return arithmetic_; }
  int64_t workspace_bytes() const { return workspace_bytes_; }
  int64_t tile_rows() const { return tile_rows_; }
  int64_t tile_keys() const { return tile_keys_; }
  const SharedInputs& shared_inputs() const { return inputs_; }  ///< null for a backward pass

 protected:
  Runner(AttentionFwd problem, SharedInputs inputs)
      : problem_(std::move(problem)), inputs_(std::move(inputs)), cost_(problem_.cost()) {}
  Runner(AttentionFwd problem, const Cost& cost) : problem_(std::move(problem)), cost_(cost) {}

  AttentionFwd problem_;
  SharedInputs inputs_;
  Cost cost_;
  int threads_ = 1;
  std::string kernel_, isa_;
  Arithmetic arithmetic_ = Arithmetic::f32;
  int64_t workspace_bytes_ = 0, tile_rows_ = 0, tile_keys_ = 0;
};

/// The library itself, with a workspace that is allocated once. Cold: with copies of K and V that are read in turn.
/// Errors: what plan() says; out_of_memory.
Result<std::unique_ptr<Runner>> make_attend_runner(const AttentionFwd& problem, SharedInputs inputs,
                                                   const Subject& subject);

/// The library's backward pass, with tensors of its own.
/// Errors: what plan() says.
Result<std::unique_ptr<Runner>> make_backward_runner(const AttentionBwd& problem, uint64_t seed,
                                                     const Subject& subject);

/// One run on outputs full of NaN, then `sample_rows` rows against the fp64 reference. The largest error over bound, at
/// most 1. Errors: internal with the first wrong element; what run() says.
Result<double> check_answer(Runner& runner, int64_t sample_rows, uint64_t seed);

/// Whether this build has the OpenBLAS baseline.
bool openblas_built();
/// Unfused attention as a careful user writes it: per head S = scale * QK^T by one single-threaded cblas_sgemm call, a
/// vectorised softmax over the keys each row sees, O = PV by a second call; heads are spread over `threads` OpenMP
/// threads. Errors: unsupported for anything but f32 with no mask or one causal mask and no score terms; also in a
/// build without OpenBLAS. out_of_memory for the score matrices.
Result<std::unique_ptr<Runner>> make_openblas_runner(const AttentionFwd& problem, SharedInputs inputs, int threads);

}  // namespace attend::bench
