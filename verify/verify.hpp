// SPDX-License-Identifier: Apache-2.0
// Shared by tests, `attend check` and `attend bench`: problems, inputs and the comparison, on public headers alone.
#pragma once
#include <attend/attend.hpp>
#include <cstdint>
#include <memory>
#include <string>

namespace attend::verify {

/// Bounds of random problems, small enough that one takes milliseconds.
struct GeneratorLimits {
  int64_t max_rows = 300;  ///< longest sq or sk
  int64_t max_batch = 4;
  int64_t max_heads = 8;      ///< query heads
  int64_t max_columns = 512;  ///< d and dv
  double max_work = 4e7;      ///< b * hq * sq * sk * (d + dv)
  double caches = 0;          ///< share of Problems whose K and V lie in a cache, of any placement and format
  /// Problems as devices' fastest kernels take them, among the others: one type of 16 bits, rows behind one another,
  /// columns a multiple of 8 and mostly of a size that models have, a positive scale.
  struct Served {
    double share = 0;  ///< of the Problems
    int64_t max_rows = 700;
    double max_work = 4e7;
  } served;
};

/// A valid Problem drawn with sizes at the edges (0, 1, tile - 1, tile, tile + 1, primes), any mask row or
/// intersection, any score term, type and layout. The same seed gives the same Problem on every machine.
AttentionFwd random_problem(uint64_t seed, const GeneratorLimits& limits = {});

/// The Problem, which has no mask, with a drawn term of that row.
AttentionFwd with_mask(const AttentionFwd& plain, MaskKind kind, uint64_t seed);

/// How inputs are filled.
struct FillOptions {
  uint64_t seed = 0;
  double magnitude = 1;  ///< standard deviation of q, k and v
  bool ties = false;     ///< values from a handful of numbers, so that maxima tie
  bool poison =
      true;  ///< NaN in every slot that no row uses: masked keys and values, padding between strides, whole o and lse
  bool guard_pages = true;  ///< every buffer ends at an unreadable page
};

/// Owns the memory of one run: q, k, v, o, lse, slopes, bias and sink as the Problem's strides ask.
class Inputs {
 public:
  static Inputs make(const AttentionFwd& problem, const FillOptions& options = {});
  Inputs(Inputs&&) noexcept;
  Inputs& operator=(Inputs&&) noexcept;
  ~Inputs();
  /// Pointers for plan.run(); stable as long as this lives.
  AttentionFwdArgs args() const;
  /// Bytes of the buffer behind o and lse, for bitwise comparison.
  std::string output_bytes() const;
  /// Fills o and lse with NaN again.
  void poison_outputs();
  /// Element counts of the buffers, in the order q k v o lse alibi bias sink k_scales v_scales k_mean, 0 for those that
  /// the Problem does not ask for; of K and V with codes, bytes.
  int64_t elements(int buffer) const;
  size_t bytes(int buffer) const;
  /// The buffer itself, in the same order, for tests that plant a value; null when the Problem does not ask for it.
  void* data(int buffer) const;
  /// After a run: empty, or the first slot of o or lse that was not written, or the first one around and between the
  /// rows of o that was.
  std::string output_fault() const;

 private:
  struct State;
  explicit Inputs(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Outcome of one problem on one kernel.
struct CheckResult {
  bool passed = false;
  bool refused = false;  ///< the asked kernel does not take the Problem; `message` says why. Not a failure.
  std::string kernel;
  Comparison comparison;
  std::string message;  ///< on failure: what, where, and the command that replays it
};

/// Plans, runs on poisoned, guarded inputs and compares all rows (or `sample`) with the oracle. `replay_words` end the
/// command that replays a failure: what the plan's options do not say, as ` --device sim`.
CheckResult check_problem(const AttentionFwd& problem, const FillOptions& fill, const PlanOptions& plan_options = {},
                          int64_t sample = -1, const std::string& replay_words = {});

}  // namespace attend::verify
