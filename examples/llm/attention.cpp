// SPDX-License-Identifier: Apache-2.0
#include "attention.hpp"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "checked.hpp"

namespace llm {

namespace {

using attend::AttentionFwd;
using attend::AttentionFwdArgs;

class Attend final : public Attention {
 public:
  explicit Attend(attend::PlanOptions options) : options_(std::move(options)) {}
  void begin_step(std::span<const AttentionFwd> problems) override {
    plans_.clear();
    for (const AttentionFwd& problem : problems) {
      plans_.push_back(checked(attend::plan(problem, options_)));
      workspace_.resize(std::max(workspace_.size(), plans_.back().workspace_bytes()));
    }
  }
  void run(size_t kind, const AttentionFwdArgs& args) override { check(plans_[kind].run(args, workspace_)); }

 private:
  attend::PlanOptions options_;
  std::vector<attend::AttentionFwdPlan> plans_;
  std::vector<std::byte> workspace_;
};

/// Decoded keys or values of one head of a sequence, [key][column].
template <class Offset, class ScaleOffset>
std::vector<float> decoded(const AttentionFwd& p, int64_t keys, attend::KvFormat format, attend::DType type,
                           const void* data, const void* scales, Offset offset, ScaleOffset scale_offset) {
  std::vector<float> rows(static_cast<size_t>(keys * p.d));
  const int64_t scale_bytes = attend::dtype_bytes(attend::kv_format_row(format).scale_type);
  for (int64_t key = 0; key < keys; ++key)
    attend::kv_decode(format, type, static_cast<const char*>(data) + attend::kv_bytes(format, type, offset(key)),
                      static_cast<const char*>(scales) + scale_offset(key) * scale_bytes, p.d, rows.data() + key * p.d);
  return rows;
}

/// Softmax of the kept scores of a row, in place; 0 elsewhere.
template <class T>
void softmax(std::span<T> scores, attend::Range kept) {
  std::fill(scores.begin(), scores.begin() + kept.begin, T(0));
  std::fill(scores.begin() + kept.end, scores.end(), T(0));
  const auto row = scores.subspan(static_cast<size_t>(kept.begin), static_cast<size_t>(kept.size()));
  const T largest = *std::max_element(row.begin(), row.end());
  T sum = 0;
  for (T& x : row) sum += x = std::exp(x - largest);
  for (T& x : row) x /= sum;
}

/// What one head of one sequence reads and writes; rows of q and o are q_strides.row and o_strides.row apart.
struct Head {
  attend::Frame frame;
  const float *q, *k, *v;
  float* o;
};

/// Head by head: K and V are decoded, then compute() does the rest.
class Unfused : public Attention {
 public:
  void begin_step(std::span<const AttentionFwd> problems) override { problems_ = problems; }
  void run(size_t kind, const AttentionFwdArgs& args) override {
    const AttentionFwd& p = problems_[kind];
    for (int64_t n = 0; n < p.b; ++n)
      for (int64_t key_head = 0; key_head < p.hk; ++key_head) {
        std::vector<float> k = decoded(
            p, p.key_length(n), p.k_format(), p.k_type, args.k, args.k_scales,
            [&](int64_t t) { return p.k_offset(n, t, key_head); },
            [&](int64_t t) { return p.k_scale_offset(n, t, key_head); });
        const std::vector<float> v = decoded(
            p, p.key_length(n), p.v_format(), p.v_type, args.v, args.v_scales,
            [&](int64_t t) { return p.v_offset(n, t, key_head); },
            [&](int64_t t) { return p.v_scale_offset(n, t, key_head); });
        if (p.cache && p.cache->k_mean)
          for (size_t i = 0; i < k.size(); ++i) k[i] += args.k_mean[key_head * p.d + static_cast<int64_t>(i) % p.d];
        for (int64_t head = key_head * p.group(); head < (key_head + 1) * p.group(); ++head)
          compute(p, {p.frame(n, head), static_cast<const float*>(args.q) + p.q_offset(n, 0, head), k.data(), v.data(),
                      static_cast<float*>(args.o) + p.o_offset(n, 0, head)});
      }
  }

 protected:
  virtual void compute(const AttentionFwd& p, const Head& head) = 0;
  static attend::Range kept_keys(const AttentionFwd& p, const Head& head, int64_t row) {
    return p.mask.key_span(head.frame, {row, row + 1});
  }

 private:
  std::span<const AttentionFwd> problems_;
};

class Naive final : public Unfused {
  void compute(const AttentionFwd& p, const Head& head) override {
    const int64_t sk = head.frame.sk;
    const auto rows = static_cast<int>(head.frame.sq), keys = static_cast<int>(sk), d = static_cast<int>(p.d);
    scores_.resize(static_cast<size_t>(head.frame.sq * sk));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, keys, d, static_cast<float>(p.effective_scale()), head.q,
                static_cast<int>(p.q_strides.row), head.k, d, 0, scores_.data(), keys);
    for (int64_t row = 0; row < head.frame.sq; ++row)
      softmax(std::span(scores_).subspan(static_cast<size_t>(row * sk), static_cast<size_t>(sk)),
              kept_keys(p, head, row));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, d, keys, 1, scores_.data(), keys, head.v, d, 0, head.o,
                static_cast<int>(p.o_strides.row));
  }
  std::vector<float> scores_;
};

class Reference final : public Unfused {
  void compute(const AttentionFwd& p, const Head& head) override {
#pragma omp parallel for schedule(dynamic)
    for (int64_t row = 0; row < head.frame.sq; ++row) {
      std::vector<double> scores(static_cast<size_t>(head.frame.sk)), sum(static_cast<size_t>(p.d));
      const attend::Range kept = kept_keys(p, head, row);
      for (int64_t key = kept.begin; key < kept.end; ++key) {
        double dot = 0;
        for (int64_t c = 0; c < p.d; ++c) dot += double{head.q[row * p.q_strides.row + c]} * head.k[key * p.d + c];
        scores[key] = dot * p.effective_scale();
      }
      softmax(std::span(scores), kept);
      for (int64_t key = kept.begin; key < kept.end; ++key)
        for (int64_t c = 0; c < p.d; ++c) sum[c] += scores[key] * head.v[key * p.d + c];
      std::copy(sum.begin(), sum.end(), head.o + row * p.o_strides.row);
    }
  }
};

}  // namespace

std::unique_ptr<Attention> make_attention(const std::string& name, const attend::PlanOptions& options) {
  if (name == "attend") return std::make_unique<Attend>(options);
  if (name == "naive") return std::make_unique<Naive>();
  if (name == "reference") return std::make_unique<Reference>();
  throw Error("attention is " + name + ", expected attend, naive or reference");
}

}  // namespace llm
