// SPDX-License-Identifier: Apache-2.0
// The backward pass as a textbook writes it, in fp64, over all pairs: a second opinion, with mistakes to plant.
#pragma once
#include <attend/attend.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "reference/memory.hpp"

namespace attend::test {

enum class GradientFault {
  none,
  no_delta,         ///< dS = P * dP
  scale_forgotten,  ///< in dQ
  scale_wrong,      ///< by 1 % in dK
  cap_slope_forgotten,
  dropped_key,       ///< one in the middle contributes nothing to dQ
  dropped_row,       ///< the last one contributes nothing to dK and dV
  group_not_summed,  ///< dK and dV of the group's first head alone
  neighbours_delta,  ///< D of the row before
  probs_in_bf16,
  mask_off_by_one,  ///< the last kept key of each row is left out
};

/// A backward Problem with dense tensors of f32 gradients, dO and room for them.
struct GradientMemory {
  explicit GradientMemory(const std::string& line, uint64_t seed = 1, double magnitude = 1)
      : forward(forward_line(line), seed, magnitude), problem(*AttentionBwd::parse(line)) {
    const AttentionFwd& f = forward.problem;
    const auto tokens = [&](const Offsets& cu, int64_t longest) { return cu.empty() ? f.b * longest : cu[f.b]; };
    const int64_t q_tokens = tokens(f.cu_q, f.sq), k_tokens = tokens(f.cu_k, f.sk);
    Rng rng(seed + 1000);
    dout.resize(static_cast<size_t>(q_tokens * f.hq * f.dv));
    for (float& x : dout) x = static_cast<float>(static_cast<int64_t>(rng.below(257)) - 128) / 64;
    dq.resize(static_cast<size_t>(q_tokens * f.hq * f.d));
    dk.resize(static_cast<size_t>(k_tokens * f.hk * f.d));
    dv.resize(static_cast<size_t>(k_tokens * f.hk * f.dv));
    dbias.resize(static_cast<size_t>(f.bias_size()));
    dsink.resize(static_cast<size_t>(f.hq));
  }

  AttentionBwdArgs args() {
    const AttentionFwdArgs f = forward.args();
    AttentionBwdArgs args;
    args.q = f.q;
    args.k = f.k;
    args.v = f.v;
    args.o = f.o;
    args.lse = f.lse;
    args.dout = dout.data();
    args.alibi_slopes = f.alibi_slopes;
    args.bias = f.bias;
    args.sink = f.sink;
    args.dq = dq.data();
    args.dk = dk.data();
    args.dv = dv.data();
    args.dbias = dbias.data();
    args.dsink = dsink.data();
    return args;
  }

  Memory forward;
  AttentionBwd problem;
  std::vector<float> dout, dq, dk, dv, dbias, dsink;  ///< dO in f32 too

 private:
  static std::string forward_line(const std::string& line) {
    AttentionFwd forward = AttentionBwd::parse(line)->forward;
    return forward.text();
  }
};

/// Runs the forward pass, exactly and then rounded to the types, and writes the gradients, rounded to f32.
void textbook_gradients(GradientMemory& memory, GradientFault fault = GradientFault::none);

}  // namespace attend::test
