// SPDX-License-Identifier: Apache-2.0
// Three documents of different length without padding, in two ways: as a ragged batch (cumulative lengths, as
// FlashAttention's varlen functions take them) and as one packed sequence under a documents mask. The outputs agree,
// and both cost the same.
#include <algorithm>
#include <attend/attend.hpp>
#include <cmath>
#include <cstdio>
#include <vector>

namespace {

attend::Status run(const attend::AttentionFwd& problem, const std::vector<float>& qkv, std::vector<float>* o) {
  attend::Result<attend::AttentionFwdPlan> planned = attend::plan(problem);
  if (!planned.ok()) return planned.status();
  const int64_t part = problem.hq * problem.d;  // q, k and v lie side by side in each token's row
  return planned->run({.q = qkv.data(), .k = qkv.data() + part, .v = qkv.data() + 2 * part, .o = o->data()});
}

}  // namespace

int main() {
  using namespace attend;
  const int64_t heads = 3, d = 48;
  const std::vector<int32_t> cu = {0, 100, 417, 450};  // documents of 100, 317 and 33 tokens
  const int64_t tokens = cu.back();
  std::vector<float> qkv(tokens * 3 * heads * d);
  for (size_t i = 0; i < qkv.size(); ++i) qkv[i] = std::sin(static_cast<float>(i % 100003));

  AttentionFwd ragged = AttentionFwd::dense(Layout::thd, DType::f32, 3, heads, heads, 317, 317, d);
  ragged.cu_q = ragged.cu_k = Array<int32_t>::view(cu.data(), 4);
  ragged.q_strides.row = ragged.k_strides.row = ragged.v_strides.row = 3 * heads * d;
  ragged.mask = Mask::causal();

  AttentionFwd packed = AttentionFwd::dense(Layout::bshd, DType::f32, 1, heads, heads, tokens, tokens, d);
  packed.q_strides.row = packed.k_strides.row = packed.v_strides.row = 3 * heads * d;
  packed.mask = Mask::causal() & Mask(Documents{.offsets = std::vector<int64_t>(cu.begin(), cu.end())});

  std::vector<float> a(tokens * heads * d), b(a.size());
  for (const Status& status : {run(ragged, qkv, &a), run(packed, qkv, &b)}) {
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.message().c_str());
      return 1;
    }
  }
  float difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference = std::max(difference, std::abs(a[i] - b[i]));
  std::printf("%lld pairs each way; largest difference %.1e\n", static_cast<long long>(ragged.cost().visible_pairs),
              static_cast<double>(difference));
  return difference < 1e-5f && ragged.cost().visible_pairs == packed.cost().visible_pairs ? 0 : 1;
}
