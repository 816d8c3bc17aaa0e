// SPDX-License-Identifier: Apache-2.0
#include <cblas.h>
#include <omp.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <optional>

#include "contender.hpp"
#include "unfused_softmax.hpp"

namespace attend::bench {
namespace {

SoftmaxRows fastest_softmax() {
#if defined(__x86_64__)
  // Asked of the CPU itself: ATTEND_MAX_ISA limits the library, not its opponent.
  if (__builtin_cpu_supports("avx512f")) return softmax_rows_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return softmax_rows_avx2;
#endif
  return softmax_rows_baseline;
}

/// Why the baseline does not take the Problem; nothing when it does.
std::optional<std::string> refusal(const AttentionFwd& p) {
  if (p.q_type != DType::f32 || p.k_type != DType::f32 || p.v_type != DType::f32 || p.o_type != DType::f32)
    return "element types are f32 only";
  if (!p.cu_q.empty() || !p.cu_k.empty()) return "lengths are fixed only";
  if (p.softcap != 0 || p.alibi || p.sink || p.bias || p.lse) return "score terms and lse are not computed";
  if (p.mask.terms().size() > 1) return "masks are none or one causal only";
  for (const MaskTerm& term : p.mask.terms())
    if (!std::holds_alternative<CausalBottomRight>(term) && !std::holds_alternative<CausalTopLeft>(term))
      return "masks are none or one causal only";
  return std::nullopt;
}

struct AlignedDelete {
  void operator()(float* p) const { ::operator delete(p, std::align_val_t(64)); }
};

class OpenblasRunner final : public Runner {
 public:
  OpenblasRunner(AttentionFwd problem, SharedInputs inputs, int threads)
      : Runner(std::move(problem), std::move(inputs)), softmax_(fastest_softmax()) {
    threads_ = threads;
    kernel_ = "openblas_unfused";
    isa_ = openblas_get_corename();
    args_ = inputs_->args();
    const AttentionFwd& p = problem_;
    ld_ = (p.sk + 15) / 16 * 16;
    const int64_t workers = std::min<int64_t>(threads, p.b * p.hq);
    workspace_bytes_ = workers * p.sq * ld_ * static_cast<int64_t>(sizeof(float));
    visible_.resize(static_cast<size_t>(p.sq), p.sk);
    for (int64_t q = 0; q < p.sq; ++q) {
      const Range keys = p.mask.none() ? Range{0, p.sk} : p.mask.key_span(p.frame(0, 0), {q, q + 1});
      visible_[static_cast<size_t>(q)] = std::clamp<int64_t>(keys.end, 0, p.sk);
    }
  }

  bool allocate() {
    const auto bytes = static_cast<size_t>(std::max<int64_t>(workspace_bytes_, 64));
    scores_.reset(static_cast<float*>(::operator new(bytes, std::align_val_t(64), std::nothrow)));
    if (!scores_) return false;
    std::fill_n(scores_.get(), bytes / sizeof(float), 0.0f);
    return true;
  }

  Status run() override {
    const AttentionFwd& p = problem_;
    const int64_t heads = p.b * p.hq;
    openblas_set_num_threads(1);
    const int team = static_cast<int>(std::min<int64_t>(threads_, heads));
    if (team <= 1) {
      for (int64_t i = 0; i < heads; ++i) head(i / p.hq, i % p.hq, scores_.get());
      return {};
    }
#pragma omp parallel num_threads(team)
    {
      float* scores = scores_.get() + omp_get_thread_num() * p.sq * ld_;
#pragma omp for schedule(dynamic, 1)
      for (int64_t i = 0; i < heads; ++i) head(i / p.hq, i % p.hq, scores);
    }
    return {};
  }

 private:
  void head(int64_t n, int64_t h, float* scores) const {
    const AttentionFwd& p = problem_;
    const int64_t kh = h / p.group();
    const auto* q = static_cast<const float*>(args_.q) + p.q_offset(n, 0, h);
    const auto* k = static_cast<const float*>(args_.k) + p.k_offset(n, 0, kh);
    const auto* v = static_cast<const float*>(args_.v) + p.v_offset(n, 0, kh);
    auto* o = static_cast<float*>(args_.o) + p.o_offset(n, 0, h);
    const auto narrow = [](int64_t x) { return static_cast<blasint>(x); };
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, narrow(p.sq), narrow(p.sk), narrow(p.d),
                static_cast<float>(p.effective_scale()), q, narrow(p.q_strides.row), k, narrow(p.k_strides.row), 0.0f,
                scores, narrow(ld_));
    softmax_(scores, ld_, visible_.data(), p.sq, p.sk);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, narrow(p.sq), narrow(p.dv), narrow(p.sk), 1.0f, scores,
                narrow(ld_), v, narrow(p.v_strides.row), 0.0f, o, narrow(p.o_strides.row));
  }

  AttentionFwdArgs args_;
  SoftmaxRows softmax_;
  int64_t ld_ = 0;
  std::vector<int64_t> visible_;
  std::unique_ptr<float, AlignedDelete> scores_;
};

}  // namespace

bool openblas_built() { return true; }

Result<std::unique_ptr<Runner>> make_openblas_runner(const AttentionFwd& problem, SharedInputs inputs, int threads) {
  if (const auto reason = refusal(problem)) return unsupported("openblas_unfused: " + *reason);
  auto runner = std::make_unique<OpenblasRunner>(problem, std::move(inputs), std::max(threads, 1));
  if (!runner->allocate())
    return Status(StatusCode::out_of_memory,
                  "openblas_unfused: score matrices of " + std::to_string(runner->workspace_bytes()) + " bytes");
  return std::unique_ptr<Runner>(std::move(runner));
}

}  // namespace attend::bench
