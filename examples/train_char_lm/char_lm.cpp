// SPDX-License-Identifier: Apache-2.0
#include "char_lm.hpp"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace train_char_lm {

namespace {

constexpr float kNormEpsilon = 1e-5F;
constexpr double kAdamBeta1 = 0.9, kAdamBeta2 = 0.95, kAdamEpsilon = 1e-8;

int blas(int64_t x) { return static_cast<int>(x); }

/// out [rows][columns] (+)= a [rows][inner] . b [inner][columns]
void multiply(const float* a, const float* b, float* out, int64_t rows, int64_t inner, int64_t columns, bool add) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas(rows), blas(columns), blas(inner), 1, a, blas(inner), b,
              blas(columns), add ? 1 : 0, out, blas(columns));
}

/// out [rows][inner] (+)= a [rows][columns] . b^T, b [inner][columns]
void multiply_transposed(const float* a, const float* b, float* out, int64_t rows, int64_t inner, int64_t columns,
                         bool add) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas(rows), blas(inner), blas(columns), 1, a, blas(columns), b,
              blas(columns), add ? 1 : 0, out, blas(inner));
}

/// out [inner][columns] += a^T . b, a [rows][inner], b [rows][columns]
void add_outer(const float* a, const float* b, float* out, int64_t rows, int64_t inner, int64_t columns) {
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas(inner), blas(columns), blas(rows), 1, a, blas(inner), b,
              blas(columns), 1, out, blas(columns));
}

float inverse_rms(const float* x, int64_t width) {
  float squares = 0;
  for (int64_t c = 0; c < width; ++c) squares += x[c] * x[c];
  return 1 / std::sqrt(squares / static_cast<float>(width) + kNormEpsilon);
}

/// y = gain * x / rms(x), row by row
void normalise(const std::vector<float>& x, const float* gain, int64_t width, std::vector<float>& y) {
  y.resize(x.size());
  for (size_t at = 0; at < x.size(); at += static_cast<size_t>(width)) {
    const float r = inverse_rms(&x[at], width);
    for (int64_t c = 0; c < width; ++c) y[at + c] = gain[c] * x[at + c] * r;
  }
}

/// dx += what comes back through normalise(), and the gradient of its gain
void normalise_backward(const std::vector<float>& x, const float* gain, const std::vector<float>& dy, int64_t width,
                        std::vector<float>& dx, float* d_gain) {
  for (size_t at = 0; at < x.size(); at += static_cast<size_t>(width)) {
    const float r = inverse_rms(&x[at], width);
    float along = 0;  // of gain * dy along x
    for (int64_t c = 0; c < width; ++c) {
      along += gain[c] * dy[at + c] * x[at + c];
      d_gain[c] += dy[at + c] * x[at + c] * r;
    }
    along *= r * r * r / static_cast<float>(width);
    for (int64_t c = 0; c < width; ++c) dx[at + c] += gain[c] * dy[at + c] * r - x[at + c] * along;
  }
}

}  // namespace

CharLm::Weights CharLm::views(std::vector<float>& all) const {
  const int64_t width = shape_.width();
  int64_t used = 0;
  const auto take = [&](int64_t size) {
    used += size;
    return all.empty() ? nullptr : all.data() + used - size;
  };
  const auto place = [&] {
    Weights w{};
    w.embedding = take(shape_.vocabulary * width);
    w.positions = take(shape_.context * width);
    w.final_gain = take(width);
    for (int64_t i = 0; i < shape_.layers; ++i) {
      Layer layer{};
      layer.attention_gain = take(width);
      layer.qkv = take(width * 3 * width);
      layer.out = take(width * width);
      layer.mlp_gain = take(width);
      layer.up = take(width * 4 * width);
      layer.down = take(4 * width * width);
      w.layers.push_back(layer);
    }
    return w;
  };
  if (all.empty()) {  // the first pass only counts
    place();
    all.resize(static_cast<size_t>(used));
    used = 0;
  }
  return place();
}

CharLm::CharLm(const ModelShape& shape, uint64_t seed) : shape_(shape), traces_(static_cast<size_t>(shape.layers)) {
  weight_ = views(weights_);
  grad_ = views(gradient_);
  first_moment_.resize(weights_.size());
  second_moment_.resize(weights_.size());
  std::mt19937_64 random(seed);
  const int64_t width = shape.width();
  const auto draw = [&](float* first, int64_t size, double deviation) {
    std::normal_distribution<float> normal(0, static_cast<float>(deviation));
    std::generate_n(first, size, [&] { return normal(random); });
  };
  draw(weight_.embedding, shape.vocabulary * width, 0.02);
  draw(weight_.positions, shape.context * width, 0.02);
  std::fill_n(weight_.final_gain, width, 1.0F);
  const double deviation = 1 / std::sqrt(static_cast<double>(width));
  const double into_sum = deviation / std::sqrt(2.0 * static_cast<double>(shape.layers));  // what is added to x
  for (const Layer& layer : weight_.layers) {
    std::fill_n(layer.attention_gain, width, 1.0F);
    std::fill_n(layer.mlp_gain, width, 1.0F);
    draw(layer.qkv, 3 * width * width, deviation);
    draw(layer.out, width * width, into_sum);
    draw(layer.up, 4 * width * width, deviation);
    draw(layer.down, 4 * width * width, into_sum / 2);
  }
}

const std::vector<float>& CharLm::forward(std::span<const int32_t> tokens, CausalAttention& attention) {
  const int64_t width = shape_.width(), rows = static_cast<int64_t>(tokens.size());
  const auto size = [&](int64_t columns) { return static_cast<size_t>(rows * columns); };
  tokens_.assign(tokens.begin(), tokens.end());
  x_.resize(size(width));
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t c = 0; c < width; ++c)
      x_[row * width + c] =
          weight_.embedding[tokens_[row] * width + c] + weight_.positions[row % shape_.context * width + c];
  for (size_t i = 0; i < traces_.size(); ++i) {
    Trace& trace = traces_[i];
    const Layer& layer = weight_.layers[i];
    trace.x = x_;
    normalise(x_, layer.attention_gain, width, trace.normed);
    trace.qkv.resize(size(3 * width));
    multiply(trace.normed.data(), layer.qkv, trace.qkv.data(), rows, width, 3 * width, false);
    trace.o.resize(size(width));
    trace.lse.resize(size(shape_.heads));
    attention.forward(trace.qkv.data(), trace.o.data(), trace.lse.data());
    multiply(trace.o.data(), layer.out, x_.data(), rows, width, width, true);
    trace.middle = x_;
    normalise(x_, layer.mlp_gain, width, trace.mlp_normed);
    trace.hidden.resize(size(4 * width));
    multiply(trace.mlp_normed.data(), layer.up, trace.hidden.data(), rows, width, 4 * width, false);
    std::vector<float> squared(trace.hidden.size());
    std::transform(trace.hidden.begin(), trace.hidden.end(), squared.begin(),
                   [](float h) { return h > 0 ? h * h : 0; });
    multiply(squared.data(), layer.down, x_.data(), rows, 4 * width, width, true);
  }
  normalise(x_, weight_.final_gain, width, final_normed_);
  logits_.resize(size(shape_.vocabulary));
  multiply_transposed(final_normed_.data(), weight_.embedding, logits_.data(), rows, shape_.vocabulary, width, false);
  return logits_;
}

double CharLm::row_loss(int64_t row, int32_t target, float* gradient) const {
  const std::span<const float> logits(&logits_[row * shape_.vocabulary], static_cast<size_t>(shape_.vocabulary));
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - largest);
  if (gradient != nullptr) {
    const double rows = static_cast<double>(tokens_.size());
    for (size_t t = 0; t < logits.size(); ++t)
      gradient[t] = static_cast<float>(
          (std::exp(logits[t] - largest) / sum - (static_cast<int32_t>(t) == target ? 1 : 0)) / rows);
  }
  return std::log(sum) + largest - logits[static_cast<size_t>(target)];
}

double CharLm::loss(std::span<const int32_t> targets) const {
  double sum = 0;
  for (size_t row = 0; row < targets.size(); ++row) sum += row_loss(static_cast<int64_t>(row), targets[row], nullptr);
  return sum / static_cast<double>(targets.size());
}

double CharLm::backward(std::span<const int32_t> targets, CausalAttention& attention) {
  const int64_t width = shape_.width(), rows = static_cast<int64_t>(tokens_.size());
  std::fill(gradient_.begin(), gradient_.end(), 0.0F);
  double sum = 0;
  std::vector<float> d_logits(logits_.size());
  for (int64_t row = 0; row < rows; ++row) sum += row_loss(row, targets[row], &d_logits[row * shape_.vocabulary]);

  const auto size = [&](int64_t columns) { return static_cast<size_t>(rows * columns); };
  std::vector<float> dx(size(width)), d_normed(size(width)), d_hidden(size(4 * width)), d_qkv(size(3 * width));
  add_outer(d_logits.data(), final_normed_.data(), grad_.embedding, rows, shape_.vocabulary, width);
  multiply(d_logits.data(), weight_.embedding, d_normed.data(), rows, shape_.vocabulary, width, false);
  normalise_backward(x_, weight_.final_gain, d_normed, width, dx, grad_.final_gain);
  for (size_t i = traces_.size(); i-- > 0;) {
    const Trace& trace = traces_[i];
    const Layer &layer = weight_.layers[i], &grad = grad_.layers[i];
    std::vector<float> squared(trace.hidden.size());
    multiply_transposed(dx.data(), layer.down, d_hidden.data(), rows, 4 * width, width, false);
    for (size_t j = 0; j < squared.size(); ++j) {
      const float h = std::max(trace.hidden[j], 0.0F);
      squared[j] = h * h;
      d_hidden[j] *= 2 * h;
    }
    add_outer(squared.data(), dx.data(), grad.down, rows, 4 * width, width);
    add_outer(trace.mlp_normed.data(), d_hidden.data(), grad.up, rows, width, 4 * width);
    multiply_transposed(d_hidden.data(), layer.up, d_normed.data(), rows, width, 4 * width, false);
    normalise_backward(trace.middle, layer.mlp_gain, d_normed, width, dx, grad.mlp_gain);

    std::vector<float> d_o(size(width));
    multiply_transposed(dx.data(), layer.out, d_o.data(), rows, width, width, false);
    add_outer(trace.o.data(), dx.data(), grad.out, rows, width, width);
    attention.backward(trace.qkv.data(), trace.o.data(), trace.lse.data(), d_o.data(), d_qkv.data());
    add_outer(trace.normed.data(), d_qkv.data(), grad.qkv, rows, width, 3 * width);
    multiply_transposed(d_qkv.data(), layer.qkv, d_normed.data(), rows, width, 3 * width, false);
    normalise_backward(trace.x, layer.attention_gain, d_normed, width, dx, grad.attention_gain);
  }
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t c = 0; c < width; ++c) {
      grad_.embedding[tokens_[row] * width + c] += dx[row * width + c];
      grad_.positions[row % shape_.context * width + c] += dx[row * width + c];
    }
  return sum / static_cast<double>(rows);
}

void CharLm::step(double rate) {
  ++steps_;
  double squares = 0;
  for (const float g : gradient_) squares += double{g} * g;
  const double cut = 1 / std::max(std::sqrt(squares), 1.0);
  const double unbias1 = 1 / (1 - std::pow(kAdamBeta1, steps_)), unbias2 = 1 / (1 - std::pow(kAdamBeta2, steps_));
  for (size_t i = 0; i < weights_.size(); ++i) {
    const double g = cut * gradient_[i];
    const double first = kAdamBeta1 * first_moment_[i] + (1 - kAdamBeta1) * g;
    const double second = kAdamBeta2 * second_moment_[i] + (1 - kAdamBeta2) * g * g;
    first_moment_[i] = static_cast<float>(first);
    second_moment_[i] = static_cast<float>(second);
    weights_[i] -= static_cast<float>(rate * first * unbias1 / (std::sqrt(second * unbias2) + kAdamEpsilon));
  }
}

}  // namespace train_char_lm
