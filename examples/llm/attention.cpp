// SPDX-License-Identifier: Apache-2.0
#include "attention.hpp"

#include <cblas.h>
#include <omp.h>

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

/// Keys or values of one head of a sequence in f32: key t's columns lie at data + t * stride.
struct Rows {
  const float* data = nullptr;
  int64_t stride = 0;
  std::vector<float> decoded;  ///< where they are not f32 numbers at even distances in the cache
};

template <class Offset, class ScaleOffset>
Rows rows_of(const AttentionFwd& p, int64_t keys, attend::KvFormat format, attend::DType type, const float* mean,
             const void* data, const void* scales, Offset offset, ScaleOffset scale_offset) {
  Rows rows;
  if (format == attend::KvFormat::plain && type == attend::DType::f32 && mean == nullptr && keys > 0 &&
      (!p.cache || p.cache->placement == attend::KvPlacement::contiguous)) {
    rows.data = static_cast<const float*>(data) + offset(0);
    rows.stride = keys > 1 ? offset(1) - offset(0) : p.d;
    return rows;
  }
  rows.decoded.resize(static_cast<size_t>(keys * p.d));
  const int64_t scale_bytes = attend::dtype_bytes(attend::kv_format_row(format).scale_type);
  for (int64_t key = 0; key < keys; ++key) {
    float* row = rows.decoded.data() + key * p.d;
    attend::kv_decode(format, type, static_cast<const char*>(data) + attend::kv_bytes(format, type, offset(key)),
                      static_cast<const char*>(scales) + scale_offset(key) * scale_bytes, p.d, row);
    for (int64_t c = 0; mean != nullptr && c < p.d; ++c) row[c] += mean[c];
  }
  rows.data = rows.decoded.data();
  rows.stride = p.d;
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
  const float* q;
  const Rows &k, &v;
  float* o;
};

/// Heads are shared out among threads, as a careful user of BLAS would: K and V in f32, then compute() does the rest
/// with a BLAS of one thread.
class Unfused : public Attention {
 public:
  explicit Unfused(int threads) : threads_(threads > 0 ? threads : omp_get_max_threads()) {}
  void begin_step(std::span<const AttentionFwd> problems) override { problems_ = problems; }
  void run(size_t kind, const AttentionFwdArgs& args) override {
    const AttentionFwd& p = problems_[kind];
    const int blas_threads = openblas_get_num_threads();
    openblas_set_num_threads(1);
    std::vector<Rows> k(static_cast<size_t>(p.b * p.hk)), v(k.size());
#pragma omp parallel for schedule(dynamic) num_threads(threads_)
    for (int64_t i = 0; i < p.b * p.hk; ++i) {
      const int64_t n = i / p.hk, head = i % p.hk;
      const float* mean = p.cache && p.cache->k_mean ? args.k_mean + head * p.d : nullptr;
      k[i] = rows_of(
          p, p.key_length(n), p.k_format(), p.k_type, mean, args.k, args.k_scales,
          [&](int64_t t) { return p.k_offset(n, t, head); }, [&](int64_t t) { return p.k_scale_offset(n, t, head); });
      v[i] = rows_of(
          p, p.key_length(n), p.v_format(), p.v_type, nullptr, args.v, args.v_scales,
          [&](int64_t t) { return p.v_offset(n, t, head); }, [&](int64_t t) { return p.v_scale_offset(n, t, head); });
    }
#pragma omp parallel for schedule(dynamic) num_threads(threads_)
    for (int64_t i = 0; i < p.b * p.hq; ++i) {
      const int64_t n = i / p.hq, head = i % p.hq, key_head = n * p.hk + head / p.group();
      compute(p, {p.frame(n, head), static_cast<const float*>(args.q) + p.q_offset(n, 0, head), k[key_head],
                  v[key_head], static_cast<float*>(args.o) + p.o_offset(n, 0, head)});
    }
    openblas_set_num_threads(blas_threads);
  }

 protected:
  /// Called by several threads at once.
  virtual void compute(const AttentionFwd& p, const Head& head) = 0;

 private:
  int threads_;
  std::span<const AttentionFwd> problems_;
};

class Naive final : public Unfused {
 public:
  using Unfused::Unfused;

 private:
  void compute(const AttentionFwd& p, const Head& head) override {
    thread_local std::vector<float> scores;
    const int64_t sk = head.frame.sk;
    const auto rows = static_cast<int>(head.frame.sq), keys = static_cast<int>(sk), d = static_cast<int>(p.d);
    scores.resize(static_cast<size_t>(head.frame.sq * sk));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, keys, d, static_cast<float>(p.effective_scale()), head.q,
                static_cast<int>(p.q_strides.row), head.k.data, static_cast<int>(head.k.stride), 0, scores.data(),
                keys);
    for (int64_t row = 0; row < head.frame.sq; ++row)
      softmax(p, head.frame, row, {0, sk}, std::span(scores).subspan(static_cast<size_t>(row * sk)));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, d, keys, 1, scores.data(), keys, head.v.data,
                static_cast<int>(head.v.stride), 0, head.o, static_cast<int>(p.o_strides.row));
  }
};

/// Some queries at a time against the keys that any of them sees.
class Reference final : public Unfused {
 public:
  using Unfused::Unfused;

 private:
  void compute(const AttentionFwd& p, const Head& head) override {
    constexpr int64_t kBlock = 256;
    thread_local std::vector<double> q, k, v, o, scores;
    const auto d = static_cast<int>(p.d);
    for (auto& [from, to] : {std::pair{&head.k, &k}, std::pair{&head.v, &v}}) {
      to->resize(static_cast<size_t>(head.frame.sk * p.d));
      for (int64_t key = 0; key < head.frame.sk; ++key)
        std::copy_n(from->data + key * from->stride, p.d, to->begin() + key * p.d);
    }
    for (int64_t first = 0; first < head.frame.sq; first += kBlock) {
      const int64_t count = std::min(kBlock, head.frame.sq - first);
      const attend::Range span = p.mask.key_span(head.frame, {first, first + count});
      const auto rows = static_cast<int>(count), keys = static_cast<int>(span.size());
      q.resize(static_cast<size_t>(count * p.d));
      o.resize(q.size());
      scores.resize(static_cast<size_t>(count * span.size()));
      for (int64_t row = 0; row < count; ++row)
        std::copy_n(head.q + (first + row) * p.q_strides.row, p.d, q.begin() + row * p.d);
      cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, keys, d, p.effective_scale(), q.data(), d,
                  k.data() + span.begin * p.d, d, 0, scores.data(), keys);
      for (int64_t row = 0; row < count; ++row)
        softmax(p, head.frame, first + row, span,
                std::span(scores).subspan(static_cast<size_t>(row * span.size()), static_cast<size_t>(span.size())));
      cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, d, keys, 1, scores.data(), keys,
                  v.data() + span.begin * p.d, d, 0, o.data(), d);
      for (int64_t row = 0; row < count; ++row)
        std::copy_n(o.begin() + row * p.d, p.d, head.o + (first + row) * p.o_strides.row);
    }
  }
};

}  // namespace

std::unique_ptr<Attention> make_attention(const std::string& name, const attend::PlanOptions& options) {
  if (name == "attend") return std::make_unique<Attend>(options);
  if (name == "naive") return std::make_unique<Naive>(options.threads);
  if (name == "reference") return std::make_unique<Reference>(options.threads);
  throw Error("attention is " + name + ", expected attend, naive or reference");
}

}  // namespace llm
