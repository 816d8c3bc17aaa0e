// SPDX-License-Identifier: Apache-2.0
#include "layer_run.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

#include "command.hpp"

namespace attend::cli {
namespace {

/// Median over `repeat` runs, after one that warms up and touches the output.
template <class Plan, class Args>
double median_seconds(const Plan& plan, const Args& args, int repeat) {
  std::vector<std::byte> workspace(plan.workspace_bytes());
  require(plan.run(args, workspace));
  std::vector<double> seconds;
  for (int i = 0; i < repeat; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    require(plan.run(args, workspace));
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + repeat / 2, seconds.end());
  return seconds[static_cast<size_t>(repeat / 2)];
}

/// Times the Problem on one thread and on all; `args` write into outcome.outputs.
template <class Problem, class Args>
void time_problem(const Problem& problem, const Args& args, const PlanOptions& with, const Measuring& measuring,
                  Peaks& peaks, Outcome& outcome) {
  const auto chosen = take(plan(problem, with));
  outcome.problem = problem.text();
  outcome.kernel = chosen.kernel();
  outcome.isa = chosen.isa();
  outcome.arithmetic = chosen.arithmetic();
  outcome.threads = chosen.threads();
  outcome.workspace_bytes = chosen.workspace_bytes();
  if (chosen.threads() > 1) {
    PlanOptions alone = with;
    alone.threads = 1;
    alone.kernel = chosen.kernel();
    outcome.one_thread_seconds = median_seconds(take(plan(problem, alone)), args, measuring.repeat);
    const std::vector<Output> outputs = outcome.outputs;
    outcome.seconds = median_seconds(chosen, args, measuring.repeat);
    outcome.same_bits = outputs == outcome.outputs;
  } else {
    outcome.seconds = outcome.one_thread_seconds = median_seconds(chosen, args, measuring.repeat);
  }
  outcome.gflops = outcome.seconds > 0 ? problem.cost().flops / outcome.seconds / 1e9 : 0;
  outcome.peak_gflops = peaks.gflops(chosen);
}

}  // namespace

Outcome run_forward(const Layer& layer, const PlanOptions& with, const Measuring& measuring, Peaks& peaks) {
  const AttentionFwd& problem = layer.problem;
  Outcome outcome;
  outcome.outputs = {{"o", problem.o_type, layer.output_shape()},
                     {"lse", DType::f32, {problem.b, problem.hq, problem.sq}}};
  AttentionFwdArgs args = layer.args();
  args.o = outcome.outputs[0].allocate();
  args.lse = static_cast<float*>(outcome.outputs[1].allocate());
  time_problem(problem, args, with, measuring, peaks, outcome);
  outcome.comparison = compare_with_reference(problem, args, outcome.arithmetic, measuring.sample, measuring.seed);
  return outcome;
}

Outcome run_backward(const Layer& layer, const PlanOptions& with, const Measuring& measuring, Peaks& peaks) {
  AttentionBwd problem = AttentionBwd::of(layer.problem);
  problem.dq_type = problem.dk_type = problem.dv_type = DType::f32;
  const AttentionFwd& forward = problem.forward;
  Output o{"o", forward.o_type, layer.output_shape()}, lse{"lse", DType::f32, {forward.b, forward.hq, forward.sq}},
      dout{"do", problem.do_type, layer.output_shape()};
  AttentionFwdArgs forward_args = layer.args();
  forward_args.o = o.allocate();
  forward_args.lse = static_cast<float*>(lse.allocate());
  PlanOptions own_choice = with;
  own_choice.kernel.clear();  // --kernel names one of the backward pass
  require(take(plan(forward, own_choice)).run(forward_args));

  std::mt19937_64 generator(measuring.seed);
  std::normal_distribution<float> normal;
  void* gradient = dout.allocate();
  std::vector<float> values(dout.bytes.size() / static_cast<size_t>(dtype_bytes(dout.type)));
  for (float& x : values) x = normal(generator);
  narrow(dout.type, values.data(), static_cast<int64_t>(values.size()), gradient);

  Outcome outcome;
  outcome.outputs = {{"dq", DType::f32, layer.tensor_shape(forward.sq, forward.hq, forward.d)},
                     {"dk", DType::f32, layer.tensor_shape(forward.sk, forward.hk, forward.d)},
                     {"dv", DType::f32, layer.tensor_shape(forward.sk, forward.hk, forward.dv)}};
  AttentionBwdArgs args;
  args.q = forward_args.q;
  args.k = forward_args.k;
  args.v = forward_args.v;
  args.o = forward_args.o;
  args.lse = forward_args.lse;
  args.dout = gradient;
  args.dq = outcome.outputs[0].allocate();
  args.dk = outcome.outputs[1].allocate();
  args.dv = outcome.outputs[2].allocate();
  time_problem(problem, args, with, measuring, peaks, outcome);
  outcome.comparison =
      compare_gradients_with_reference(problem, args, outcome.arithmetic, measuring.sample, measuring.seed);
  return outcome;
}

double rms_change(const Layer& plain, const Outcome& cached, const PlanOptions& with) {
  AttentionFwd problem = plain.problem;
  problem.lse = false;
  const AttentionFwdPlan chosen = take(plan(problem, with));
  std::vector<std::byte> o(cached.outputs[0].bytes.size());
  AttentionFwdArgs args = plain.args();
  args.o = o.data();
  require(chosen.run(args));
  const int64_t count = static_cast<int64_t>(o.size()) / dtype_bytes(plain.problem.o_type);
  std::vector<float> expected(static_cast<size_t>(count)), found(static_cast<size_t>(count));
  widen(plain.problem.o_type, o.data(), count, expected.data());
  widen(plain.problem.o_type, cached.outputs[0].bytes.data(), count, found.data());
  double change = 0, size = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    change += std::pow(double{found[i]} - expected[i], 2);
    size += std::pow(double{expected[i]}, 2);
  }
  return size > 0 ? std::sqrt(change / size) : 0;
}

}  // namespace attend::cli
