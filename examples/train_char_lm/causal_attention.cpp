// SPDX-License-Identifier: Apache-2.0
#include "causal_attention.hpp"

#include <algorithm>
#include <attend/attend.hpp>
#include <cmath>
#include <span>
#include <stdexcept>
#include <vector>

namespace train_char_lm {

namespace {

void require(const attend::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.message());
}

class Attend final : public CausalAttention {
 public:
  explicit Attend(const AttentionShape& shape) : width_(shape.width()) {
    using namespace attend;
    AttentionFwd problem = AttentionFwd::dense(Layout::bshd, DType::f32, shape.batch, shape.heads, shape.heads,
                                               shape.context, shape.context, shape.columns);
    // Q, K and V lie side by side in the rows of one matrix; their gradients will too.
    problem.q_strides = problem.k_strides = problem.v_strides = {shape.context * 3 * width_, 3 * width_, shape.columns};
    problem.mask = Mask::causal();
    problem.lse = true;
    auto forward = plan(problem);
    require(forward.status());
    auto backward = plan(AttentionBwd::of(problem));
    require(backward.status());
    forward_ = std::make_unique<AttentionFwdPlan>(*forward);
    backward_ = std::make_unique<AttentionBwdPlan>(*backward);
    workspace_.resize(std::max(forward_->workspace_bytes(), backward_->workspace_bytes()));
  }

  void forward(const float* qkv, float* o, float* lse) override {
    attend::AttentionFwdArgs args;
    args.q = qkv;
    args.k = qkv + width_;
    args.v = qkv + 2 * width_;
    args.o = o;
    args.lse = lse;
    require(forward_->run(args, workspace_));
  }

  void backward(const float* qkv, const float* o, const float* lse, const float* d_o, float* d_qkv) override {
    attend::AttentionBwdArgs args;
    args.q = qkv;
    args.k = qkv + width_;
    args.v = qkv + 2 * width_;
    args.o = o;
    args.lse = lse;
    args.dout = d_o;
    args.dq = d_qkv;
    args.dk = d_qkv + width_;
    args.dv = d_qkv + 2 * width_;
    require(backward_->run(args, workspace_));
  }

 private:
  int64_t width_;
  std::unique_ptr<attend::AttentionFwdPlan> forward_;
  std::unique_ptr<attend::AttentionBwdPlan> backward_;
  std::vector<std::byte> workspace_;
};

/// One head of one sequence in fp64: rows of `columns` numbers.
struct Head {
  std::vector<double> q, k, v, p;
};

class Naive final : public CausalAttention {
 public:
  explicit Naive(const AttentionShape& shape) : shape_(shape) {}

  void forward(const float* qkv, float* o, float* lse) override {
    const int64_t n = shape_.context, columns = shape_.columns, heads = shape_.batch * shape_.heads;
#pragma omp parallel for schedule(static)
    for (int64_t index = 0; index < heads; ++index) {
      const Head head = weights(qkv, index, lse + index * n);
      for (int64_t i = 0; i < n; ++i) {
        std::vector<double> sum(static_cast<size_t>(columns));
        for (int64_t j = 0; j <= i; ++j)
          for (int64_t c = 0; c < columns; ++c) sum[c] += head.p[i * n + j] * head.v[j * columns + c];
        std::copy(sum.begin(), sum.end(), o + row_of_o(index, i));
      }
    }
  }

  void backward(const float* qkv, const float* o, const float*, const float* d_o, float* d_qkv) override {
    const int64_t n = shape_.context, columns = shape_.columns, heads = shape_.batch * shape_.heads;
    const double scale = 1 / std::sqrt(static_cast<double>(columns));
#pragma omp parallel for schedule(static)
    for (int64_t index = 0; index < heads; ++index) {
      std::vector<float> lse(static_cast<size_t>(n));
      const Head head = weights(qkv, index, lse.data());
      const size_t size = static_cast<size_t>(n * columns);
      std::vector<double> dq(size), dk(size), dv(size), d_out(static_cast<size_t>(columns));
      for (int64_t i = 0; i < n; ++i) {
        const int64_t at = row_of_o(index, i);
        std::copy_n(d_o + at, columns, d_out.begin());
        double delta = 0;
        for (int64_t c = 0; c < columns; ++c) delta += d_out[c] * o[at + c];
        for (int64_t j = 0; j <= i; ++j) {
          const double p = head.p[i * n + j];
          double dp = 0;
          for (int64_t c = 0; c < columns; ++c) dp += d_out[c] * head.v[j * columns + c];
          const double ds = p * (dp - delta) * scale;
          for (int64_t c = 0; c < columns; ++c) {
            dv[j * columns + c] += p * d_out[c];
            dq[i * columns + c] += ds * head.k[j * columns + c];
            dk[j * columns + c] += ds * head.q[i * columns + c];
          }
        }
      }
      for (int64_t i = 0; i < n; ++i) {
        float* row = d_qkv + row_of_q(index, i);
        for (const auto* gradient : {&dq, &dk, &dv}) {
          std::copy_n(gradient->begin() + i * columns, columns, row);
          row += shape_.width();
        }
      }
    }
  }

 private:
  int64_t row_of_q(int64_t index, int64_t i) const {
    const int64_t n = index / shape_.heads, head = index % shape_.heads;
    return (n * shape_.context + i) * 3 * shape_.width() + head * shape_.columns;
  }
  int64_t row_of_o(int64_t index, int64_t i) const {
    const int64_t n = index / shape_.heads, head = index % shape_.heads;
    return (n * shape_.context + i) * shape_.width() + head * shape_.columns;
  }

  /// Q, K, V in fp64 and P = softmax(Q . K^T / sqrt(columns)) of the keys up to each row.
  Head weights(const float* qkv, int64_t index, float* lse) const {
    const int64_t n = shape_.context, columns = shape_.columns;
    Head head;
    for (int64_t i = 0; i < n; ++i) {
      const float* row = qkv + row_of_q(index, i);
      for (auto* part : {&head.q, &head.k, &head.v}) {
        part->insert(part->end(), row, row + columns);
        row += shape_.width();
      }
    }
    head.p.assign(static_cast<size_t>(n * n), 0);
    const double scale = 1 / std::sqrt(static_cast<double>(columns));
    for (int64_t i = 0; i < n; ++i) {
      const std::span<double> p(&head.p[i * n], static_cast<size_t>(i + 1));
      for (int64_t j = 0; j <= i; ++j) {
        for (int64_t c = 0; c < columns; ++c) p[j] += head.q[i * columns + c] * head.k[j * columns + c];
        p[j] *= scale;
      }
      const double largest = *std::max_element(p.begin(), p.end());
      double sum = 0;
      for (double& x : p) sum += x = std::exp(x - largest);
      for (double& x : p) x /= sum;
      lse[i] = static_cast<float>(largest + std::log(sum));
    }
    return head;
  }

  AttentionShape shape_;
};

}  // namespace

std::unique_ptr<CausalAttention> attend_attention(const AttentionShape& shape) {
  return std::make_unique<Attend>(shape);
}

std::unique_ptr<CausalAttention> naive_attention(const AttentionShape& shape) { return std::make_unique<Naive>(shape); }

}  // namespace train_char_lm
