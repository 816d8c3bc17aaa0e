// SPDX-License-Identifier: Apache-2.0
#include "gradients.hpp"

#include <array>
#include <limits>
#include <stdexcept>

#include "base/rng.hpp"
#include "guarded_run.hpp"
#include "tensor_rows.hpp"

namespace attend::verify {
namespace {

enum Gradient : int { kDout, kDq, kDk, kDv, kGradients };
constexpr const char* kNames[kGradients] = {"do", "dq", "dk", "dv"};

void require(const Status& status) {
  if (!status.ok()) throw std::runtime_error("forward pass: " + status.message());
}

}  // namespace

struct GradientInputs::State {
  AttentionBwd problem;
  FillOptions options;
  Inputs forward;
  std::array<GuardedBuffer, kGradients> tensors;
  GuardedBuffer dbias, dsink;

  TensorRows rows(int which) const {
    const AttentionFwd& f = problem.forward;
    switch (which) {
      case kDout: return {&f, problem.do_strides, false, f.dv};
      case kDq: return {&f, problem.dq_strides, false, f.d};
      case kDk: return {&f, problem.dk_strides, true, f.d};
      default: return {&f, problem.dv_strides, true, f.dv};
    }
  }
  DType type(int which) const {
    const DType types[kGradients] = {problem.do_type, problem.dq_type, problem.dk_type, problem.dv_type};
    return types[which];
  }
};

GradientInputs::GradientInputs(std::unique_ptr<State> state) : state_(std::move(state)) {}
GradientInputs::GradientInputs(GradientInputs&&) noexcept = default;
GradientInputs& GradientInputs::operator=(GradientInputs&&) noexcept = default;
GradientInputs::~GradientInputs() = default;

GradientInputs GradientInputs::make(const AttentionBwd& problem, const FillOptions& options) {
  GradientInputs inputs(
      std::make_unique<State>(State{problem, options, Inputs::make(problem.forward, options), {}, {}, {}}));
  State& state = *inputs.state_;
  for (int which = 0; which < kGradients; ++which)
    state.tensors[which] = GuardedBuffer(
        static_cast<size_t>(state.rows(which).extent() * dtype_bytes(state.type(which))), options.guard_pages);
  const AttentionFwd& f = problem.forward;
  if (problem.dbias)
    state.dbias = GuardedBuffer(static_cast<size_t>(f.bias_size()) * sizeof(float), options.guard_pages);
  if (problem.dsink) state.dsink = GuardedBuffer(static_cast<size_t>(f.hq) * sizeof(float), options.guard_pages);
  inputs.run_forward();

  const TensorRows rows = state.rows(kDout);
  const float* lse = state.forward.args().lse;
  Rng rng(options.seed, uint64_t{9} << 56);  // apart from the numbers of the forward pass
  if (options.poison) fill_buffer(state.tensors[kDout], problem.do_type, input_poison(problem.do_type));
  rows.for_each([&](int64_t n, int64_t head, int64_t row, int64_t offset) {
    const bool unused = lse[f.lse_offset(n, row, head)] == -std::numeric_limits<float>::infinity();
    for (int64_t c = 0; c < rows.columns; ++c) {
      const double value = options.ties ? static_cast<double>(rng.below(5) - 2) / 2 : rng.normal();
      if (!options.poison || !unused) store_element(problem.do_type, state.tensors[kDout].data(), offset + c, value);
    }
  });
  inputs.poison_outputs();
  return inputs;
}

AttentionBwdArgs GradientInputs::args() const {
  const State& state = *state_;
  const AttentionFwdArgs forward = state.forward.args();
  AttentionBwdArgs args;
  args.q = forward.q;
  args.k = forward.k;
  args.v = forward.v;
  args.o = forward.o;
  args.lse = forward.lse;
  args.dout = state.tensors[kDout].data();
  args.alibi_slopes = forward.alibi_slopes;
  args.bias = forward.bias;
  args.sink = forward.sink;
  args.dq = state.tensors[kDq].data();
  args.dk = state.tensors[kDk].data();
  args.dv = state.tensors[kDv].data();
  args.dbias = reinterpret_cast<float*>(state.dbias.data());
  args.dsink = reinterpret_cast<float*>(state.dsink.data());
  return args;
}

Inputs& GradientInputs::forward() { return state_->forward; }
void* GradientInputs::dout() { return state_->tensors[kDout].data(); }

void GradientInputs::run_forward() {
  const auto planned = plan(state_->problem.forward);
  require(planned.status());
  require(planned->run(state_->forward.args()));
}

std::string GradientInputs::output_bytes() const {
  std::string bytes;
  const auto add = [&](const GuardedBuffer& memory) {
    bytes.append(reinterpret_cast<const char*>(memory.data()), memory.size());
  };
  for (int which = kDq; which < kGradients; ++which) add(state_->tensors[which]);
  add(state_->dbias);
  add(state_->dsink);
  return bytes;
}

void GradientInputs::poison_outputs() {
  State& state = *state_;
  for (int which = kDq; which < kGradients; ++which)
    poison_rows(state.tensors[which], state.type(which), state.rows(which));
  for (const GuardedBuffer* list : {&state.dbias, &state.dsink})
    fill_buffer(*list, DType::f32, output_poison(DType::f32));
}

std::string GradientInputs::output_fault() const {
  const State& state = *state_;
  for (int which = kDq; which < kGradients; ++which) {
    std::string fault = row_fault(state.tensors[which], state.type(which), state.rows(which), kNames[which]);
    if (!fault.empty()) return fault;
  }
  std::string fault = list_fault(state.dbias, "dbias");
  return fault.empty() ? list_fault(state.dsink, "dsink") : fault;
}

AttentionBwd random_backward_problem(uint64_t seed, const GeneratorLimits& limits) {
  AttentionBwd problem = AttentionBwd::of(random_problem(seed, limits));
  const AttentionFwd& f = problem.forward;
  Rng rng(seed, uint64_t{1} << 40);
  constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};
  const auto chance = [&](double p) { return rng.uniform() < p; };
  if (chance(0.4)) problem.dq_type = problem.dk_type = problem.dv_type = DType::f32;
  if (chance(0.2))
    for (DType* type : {&problem.do_type, &problem.dq_type, &problem.dk_type, &problem.dv_type})
      *type = kTypes[rng.below(3)];
  if (chance(0.2) && f.cu_q.empty()) problem.dq_strides = dense_strides(Layout::bhsd, f.sq, f.hq, f.d);
  if (chance(0.2) && f.cu_k.empty()) problem.dk_strides = dense_strides(Layout::bhsd, f.sk, f.hk, f.d + 3);
  problem.dbias = f.bias && chance(0.8);
  problem.dsink = f.sink && chance(0.8);
  if (const Status status = problem.check(); !status.ok())
    throw std::logic_error("the generator drew " + problem.text() + ": " + status.message());
  return problem;
}

CheckResult check_problem(const AttentionBwd& problem, const FillOptions& fill, const PlanOptions& plan_options,
                          int64_t sample) {
  CheckLog log(problem.text(), fill.seed, plan_options.kernel, {});
  const auto planned = plan(problem, plan_options);
  if (!log.planned(planned.status())) return log.result();
  log.kernel(planned->kernel());

  const GradientInputs inputs = GradientInputs::make(problem, fill);
  const Status status = run_guarded(*planned, inputs.args(), fill.guard_pages);
  return log.finish(status, inputs.output_fault(), [&] {
    return compare_gradients_with_reference(problem, inputs.args(), planned->arithmetic(), sample, fill.seed);
  });
}

}  // namespace attend::verify
