// SPDX-License-Identifier: Apache-2.0
#include "contender.hpp"

#include <cstring>
#include <new>
#include <span>

#include "verify/gradients.hpp"

namespace attend::bench {
namespace {

struct AlignedDelete {
  void operator()(std::byte* p) const { ::operator delete(p, std::align_val_t(4096)); }
};
/// At a page's beginning: rows that begin 16 bytes behind it, as malloc places them, cost every load a second line.
using Memory = std::unique_ptr<std::byte, AlignedDelete>;

Memory allocate_aligned(size_t bytes) {
  return Memory(static_cast<std::byte*>(::operator new(bytes, std::align_val_t(4096), std::nothrow)));
}

/// A plan of either operation with memory of its own.
template <class Plan, class Args>
class PlanRunner : public Runner {
 public:
  template <class... Base>
  explicit PlanRunner(Plan plan, Base&&... base) : Runner(std::forward<Base>(base)...), plan_(std::move(plan)) {
    threads_ = plan_.threads();
    kernel_ = plan_.kernel();
    isa_ = plan_.isa();
    arithmetic_ = plan_.arithmetic();
    workspace_bytes_ = static_cast<int64_t>(plan_.workspace_bytes());
    tile_rows_ = plan_.tile_rows();
    tile_keys_ = plan_.tile_keys();
  }

  Status allocate() {
    const size_t size = plan_.workspace_bytes();
    if (size == 0) return {};
    workspace_ = allocate_aligned(size);
    if (!workspace_) return {StatusCode::out_of_memory, "bench: workspace of " + std::to_string(size) + " bytes"};
    std::memset(workspace_.get(), 0, size);  // pages are mapped before the clock runs
    return {};
  }

  Status run() override { return plan_.run(args_, memory()); }

 protected:
  std::span<std::byte> memory() const { return {workspace_.get(), plan_.workspace_bytes()}; }

  Plan plan_;
  Args args_;

 private:
  Memory workspace_;
};

class ForwardRunner final : public PlanRunner<AttentionFwdPlan, AttentionFwdArgs> {
 public:
  ForwardRunner(const AttentionFwdPlan& plan, SharedInputs inputs)
      : PlanRunner(plan, plan.problem(), std::move(inputs)) {
    args_ = inputs_->args();
  }

  /// Copies of K and V, with their scales, until no cache holds them all. False: there is no room for them.
  bool make_cold() {
    constexpr int kK = 1, kV = 2, kKScales = 8, kVScales = 9;  // as Inputs::data() counts them
    const auto copy = [&](int buffer) {
      Memory memory = allocate_aligned(inputs_->bytes(buffer));
      if (memory) std::memcpy(memory.get(), inputs_->data(buffer), inputs_->bytes(buffer));
      return memory;
    };
    const size_t layer = inputs_->bytes(kK) + inputs_->bytes(kV) + inputs_->bytes(kKScales) + inputs_->bytes(kVScales);
    for (size_t have = layer; layer > 0 && have < kColdBytes; have += layer) {
      Layer next{copy(kK), copy(kV), copy(kKScales), copy(kVScales)};
      if (!next.k || !next.v || !next.k_scales || !next.v_scales) return false;
      layers_.push_back(std::move(next));
    }
    return true;
  }

  Status run() override {
    const size_t turn = turn_++ % (layers_.size() + 1);
    AttentionFwdArgs args = args_;
    if (turn > 0) {
      const Layer& layer = layers_[turn - 1];
      args.k = layer.k.get();
      args.v = layer.v.get();
      args.k_scales = layer.k_scales.get();
      args.v_scales = layer.v_scales.get();
    }
    return plan_.run(args, memory());
  }

 private:
  struct Layer {
    Memory k, v, k_scales, v_scales;
  };
  /// Twice the last-level cache of the largest servers.
  static constexpr size_t kColdBytes = size_t{1} << 30;

  std::vector<Layer> layers_;
  size_t turn_ = 0;
};

class BackwardRunner final : public PlanRunner<AttentionBwdPlan, AttentionBwdArgs> {
 public:
  BackwardRunner(const AttentionBwdPlan& plan, const verify::FillOptions& fill)
      : PlanRunner(plan, plan.problem().forward, plan.problem().cost()),
        tensors_(verify::GradientInputs::make(plan.problem(), fill)) {
    args_ = tensors_.args();
  }
  void poison_outputs() override { tensors_.poison_outputs(); }
  Comparison compare(int64_t sample_rows, uint64_t seed) const override {
    return compare_gradients_with_reference(plan_.problem(), args_, arithmetic_, sample_rows, seed);
  }

 private:
  verify::GradientInputs tensors_;
};

}  // namespace

Result<std::unique_ptr<Runner>> make_attend_runner(const AttentionFwd& problem, SharedInputs inputs,
                                                   const Subject& subject) {
  PlanOptions options;
  options.threads = subject.threads;
  options.kernel = subject.kernel;
  options.cascade = !subject.flat;
  const Result<AttentionFwdPlan> made = plan(problem, options);
  if (!made.ok()) return made.status();
  auto runner = std::make_unique<ForwardRunner>(*made, std::move(inputs));
  if (Status status = runner->allocate(); !status.ok()) return status;
  if (subject.cold && !runner->make_cold()) return Status(StatusCode::out_of_memory, "bench: copies of K and V");
  return std::unique_ptr<Runner>(std::move(runner));
}

Result<std::unique_ptr<Runner>> make_backward_runner(const AttentionBwd& problem, uint64_t seed,
                                                     const Subject& subject) {
  PlanOptions options;
  options.threads = subject.threads;
  options.kernel = subject.kernel;
  verify::FillOptions fill;
  fill.seed = seed;
  fill.poison = false;
  fill.guard_pages = false;
  const Result<AttentionBwdPlan> made = plan(problem, options);
  if (!made.ok()) return made.status();
  auto runner = std::make_unique<BackwardRunner>(*made, fill);
  if (Status status = runner->allocate(); !status.ok()) return status;
  return std::unique_ptr<Runner>(std::move(runner));
}

Result<double> check_answer(Runner& runner, int64_t sample_rows, uint64_t seed) {
  runner.poison_outputs();
  if (Status status = runner.run(); !status.ok()) return status;
  const Comparison comparison = runner.compare(sample_rows, seed);
  const bool compared = comparison.rows > 0 || runner.problem().sq == 0;
  if (compared && comparison.first_failure.empty() && comparison.max_ratio <= 1) return comparison.max_ratio;
  return Status(StatusCode::internal,
                "wrong answer, not timed: " + runner.kernel() + ": " +
                    (compared ? comparison.first_failure : std::string("no row could be compared")));
}

double workspace_allowance(const AttentionFwd& problem, Arithmetic arithmetic) {
  const auto padded = [](int64_t n, int64_t step) { return static_cast<double>((n + step - 1) / step * step); };
  double keys = 0;
  for (int64_t n = 0; n < problem.b; ++n) keys += padded(problem.key_length(n), 64);
  const double element = arithmetic == Arithmetic::bf16_dot ? 2 : 4;
  const double columns = padded(problem.d, 16) + padded(problem.dv, 16);
  return static_cast<double>(problem.hk) * keys * columns * element + 4 * 1024 * 1024;
}

}  // namespace attend::bench
