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

/// Softmax of a row's scores of the keys `span` over those that the mask keeps, in place; 0 elsewhere.
template <class T>
void softmax(const AttentionFwd& p, const attend::Frame& frame, int64_t row, attend::Range span, std::span<T> scores) {
  const attend::Range kept = p.mask.key_span(frame, {row, row + 1});
  const auto at = [&](int64_t key) { return scores.begin() + (key - span.begin); };
  std::fill(at(span.begin), at(kept.begin), T(0));
  std::fill(at(kept.end), at(span.end), T(0));
  if (p.mask.classify(frame, {row, row + 1}, kept) != attend::TileClass::full)  // it has holes
    for (int64_t key = kept.begin; key < kept.end; ++key)
      if (!p.mask.keep(frame, row, key)) *at(key) = -std::numeric_limits<T>::infinity();
  const T largest = *std::max_element(at(kept.begin), at(kept.end));
  T sum = 0;
  for (auto x = at(kept.begin); x != at(kept.end); ++x) sum += * x = std::exp(*x - largest);
  for (auto x = at(kept.begin); x != at(kept.end); ++x) *x /= sum;
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
      softmax(p, head.frame, row, {0, sk}, std::span(scores_).subspan(static_cast<size_t>(row * sk)));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, d, keys, 1, scores_.data(), keys, head.v, d, 0, head.o,
                static_cast<int>(p.o_strides.row));
  }
  std::vector<float> scores_;
};

/// Some queries at a time against the keys that any of them sees.
class Reference final : public Unfused {
  void compute(const AttentionFwd& p, const Head& head) override {
    constexpr int64_t kBlock = 256;
    const auto d = static_cast<int>(p.d);
    k_.assign(head.k, head.k + head.frame.sk * p.d);
    v_.assign(head.v, head.v + head.frame.sk * p.d);
    for (int64_t first = 0; first < head.frame.sq; first += kBlock) {
      const int64_t count = std::min(kBlock, head.frame.sq - first);
      const attend::Range span = p.mask.key_span(head.frame, {first, first + count});
      const auto rows = static_cast<int>(count), keys = static_cast<int>(span.size());
      q_.resize(static_cast<size_t>(count * p.d));
      o_.resize(q_.size());
      scores_.resize(static_cast<size_t>(count * span.size()));
      for (int64_t row = 0; row < count; ++row)
        std::copy_n(head.q + (first + row) * p.q_strides.row, p.d, q_.begin() + row * p.d);
      cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, keys, d, p.effective_scale(), q_.data(), d,
                  k_.data() + span.begin * p.d, d, 0, scores_.data(), keys);
#pragma omp parallel for schedule(dynamic)
      for (int64_t row = 0; row < count; ++row)
        softmax(p, head.frame, first + row, span,
                std::span(scores_).subspan(static_cast<size_t>(row * span.size()), static_cast<size_t>(span.size())));
      cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, d, keys, 1, scores_.data(), keys,
                  v_.data() + span.begin * p.d, d, 0, o_.data(), d);
      for (int64_t row = 0; row < count; ++row)
        std::copy_n(o_.begin() + row * p.d, p.d, head.o + (first + row) * p.o_strides.row);
    }
  }
  std::vector<double> q_, k_, v_, o_, scores_;
};

}  // namespace

std::unique_ptr<Attention> make_attention(const std::string& name, const attend::PlanOptions& options) {
  if (name == "attend") return std::make_unique<Attend>(options);
  if (name == "naive") return std::make_unique<Naive>();
  if (name == "reference") return std::make_unique<Reference>();
  throw Error("attention is " + name + ", expected attend, naive or reference");
}

}  // namespace llm
