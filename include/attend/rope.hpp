// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/array.hpp>
#include <attend/executor.hpp>
#include <attend/status.hpp>
#include <attend/tensor.hpp>
#include <cstdint>

namespace attend {

/// How rotary frequencies are stretched for sequences longer than those of the training.
enum class RopeScaling : int32_t {
  none,
  linear,  ///< all divided by `factor` (position interpolation, arXiv:2306.15595)
  ntk,     ///< base * factor^(dims / (dims - 2)): the fastest stay, the slowest are divided
  llama3,  ///< long waves divided by `factor`, short ones kept, those between blended
  yarn,  ///< by turns within the training's length (arXiv:2309.00071, section 3.2), and what is rotated grows a little
};

/// What rotary frequencies are made of.
struct RopeOptions {
  int64_t dims = 0;  ///< leading columns that are rotated, even; the others stay
  /// Pairs are neighbours (2i, 2i + 1), else halves apart (i, i + dims / 2).
  bool interleaved = false;
  double base = 10000;
  RopeScaling scaling = RopeScaling::none;
  double factor = 1;                       ///< at least 1
  int64_t trained_length = 8192;           ///< llama3, yarn: tokens
  double low_turns = 1, high_turns = 4;    ///< llama3: low_freq_factor, high_freq_factor
  double slow_turns = 1, fast_turns = 32;  ///< yarn: beta_slow, beta_fast
};

/// Rotary position embedding (RoFormer, arXiv:2104.09864, equation 34): pair i of a row at position p is turned by
/// p * frequencies[i] radians. Any table will do; make_rope() fills the usual ones.
struct Rope {
  bool interleaved = false;
  Array<float> frequencies;  ///< [dims / 2] radians a position
  float magnitude = 1;       ///< multiplies what is rotated

  int64_t dims() const { return 2 * frequencies.size(); }
};

/// Error: invalid_argument naming the field.
Result<Rope> make_rope(const RopeOptions& options);

struct RotateOptions {
  int threads = 0;                     ///< as in PlanOptions
  const Executor* executor = nullptr;  ///< the caller's threads
};

/// Turns each row: to = rotated from, which may be the same memory. `positions` has one number for each (batch, row):
/// [batch][rows]. Angles are computed in fp64, products in f32. Errors: invalid_argument naming what differs.
Status rotate(const Rope& rope, const ConstTensor& from, const Array<int32_t>& positions, const Tensor& to,
              const RotateOptions& options = {});

}  // namespace attend
