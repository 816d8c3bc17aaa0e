// SPDX-License-Identifier: Apache-2.0
// What verify.hpp is for the forward pass, for the backward pass.
#pragma once
#include "verify.hpp"

namespace attend::verify {

/// A valid backward Problem: that of random_problem, with gradients of drawn types and layouts, dbias and dsink where
/// there is something to ask. The same seed gives the same Problem on every machine.
AttentionBwd random_backward_problem(uint64_t seed, const GeneratorLimits& limits = {});

/// Owns the memory of one backward run: the inputs, o and lse as the forward pass leaves them, dO and the gradients.
class GradientInputs {
 public:
  /// Runs the forward pass, with its own choice of a kernel. Throws std::runtime_error when it fails.
  static GradientInputs make(const AttentionBwd& problem, const FillOptions& options = {});
  GradientInputs(GradientInputs&&) noexcept;
  GradientInputs& operator=(GradientInputs&&) noexcept;
  ~GradientInputs();
  /// Pointers for plan.run(); stable as long as this lives.
  AttentionBwdArgs args() const;
  /// q, k, v and the rest; a test that changes them runs the forward pass again.
  Inputs& forward();
  void run_forward();
  /// dO, for tests that plant a value.
  void* dout();
  /// Bytes of all gradients, for bitwise comparison.
  std::string output_bytes() const;
  void poison_outputs();
  /// After a run: empty, or the first slot of a gradient that was not written, or the first one between rows that was.
  std::string output_fault() const;

 private:
  struct State;
  explicit GradientInputs(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Plans, runs on poisoned, guarded inputs and compares all gradients (or `sample` rows of them) with the oracle.
CheckResult check_problem(const AttentionBwd& problem, const FillOptions& fill, const PlanOptions& plan_options = {},
                          int64_t sample = -1);

}  // namespace attend::verify
