// SPDX-License-Identifier: Apache-2.0
// Trains a character transformer of 1.3 million parameters twice on the same batches, once with attend's attention and
// gradients and once with naive attention in fp64, and prints the loss of both.
#include <CLI/CLI.hpp>
#include <attend/attend.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numbers>

#include "char_lm.hpp"
#include "text.hpp"

namespace train_char_lm {
namespace {

struct Options {
  std::string file, prompt = "This License ";
  int64_t steps = 300, batch = 8, shown = 15, characters = 300;
  uint64_t seed = 1;
};

constexpr double kPeakRate = 3e-3;
constexpr int64_t kWarmup = 20;

/// Rises over kWarmup steps, then falls along a cosine to a tenth.
double learning_rate(int64_t step, int64_t steps) {
  if (step < kWarmup) return kPeakRate * static_cast<double>(step + 1) / kWarmup;
  const double done = static_cast<double>(step - kWarmup) / static_cast<double>(std::max<int64_t>(steps - kWarmup, 1));
  return kPeakRate * (0.55 + 0.45 * std::cos(std::numbers::pi * done));
}

/// Adds what each call takes to a sum.
class Timed final : public CausalAttention {
 public:
  explicit Timed(std::unique_ptr<CausalAttention> inner) : inner_(std::move(inner)) {}
  void forward(const float* qkv, float* o, float* lse) override {
    time([&] { inner_->forward(qkv, o, lse); });
  }
  void backward(const float* qkv, const float* o, const float* lse, const float* d_o, float* d_qkv) override {
    time([&] { inner_->backward(qkv, o, lse, d_o, d_qkv); });
  }
  double seconds = 0;

 private:
  template <class Work>
  void time(Work work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  std::unique_ptr<CausalAttention> inner_;
};

/// A model, its attention, and the time they took.
struct Run {
  Run(const ModelShape& shape, uint64_t seed, std::unique_ptr<CausalAttention> inner)
      : model(shape, seed), attention(std::move(inner)) {}

  double gradient(const Text::Batch& batch) {
    model.forward(batch.inputs, attention);
    return model.backward(batch.targets, attention);
  }
  double train(const Text::Batch& batch, double rate) {
    const auto begin = std::chrono::steady_clock::now();
    const double loss = gradient(batch);
    model.step(rate);
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return loss;
  }
  double loss(const Text::Batch& batch) {
    model.forward(batch.inputs, attention);
    return model.loss(batch.targets);
  }

  CharLm model;
  Timed attention;
  double seconds = 0;
};

/// Norm of the difference of two gradients over the norm of one.
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(double{a[i]} - b[i], 2);
    size += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / size);
}

/// Continues the prompt, each character drawn from what the model says of the last `context` ones.
std::string continued(CharLm& model, const Text& text, const ModelShape& shape, const Options& options) {
  const auto attention = attend_attention({1, shape.context, shape.heads, shape.columns});
  std::mt19937_64 random(options.seed);
  std::vector<int32_t> characters;
  for (const char c : options.prompt)
    for (int32_t known = 0; known < text.vocabulary(); ++known)
      if (text.byte(known) == c) characters.push_back(known);
  if (characters.empty()) characters.push_back(0);
  std::string out;
  for (const int32_t c : characters) out += text.byte(c);
  for (int64_t i = 0; i < options.characters; ++i) {
    const int64_t kept = std::min<int64_t>(static_cast<int64_t>(characters.size()), shape.context);
    std::vector<int32_t> window(characters.end() - kept, characters.end());
    window.resize(static_cast<size_t>(shape.context));  // what follows is masked
    const float* logits = &model.forward(window, *attention)[(kept - 1) * text.vocabulary()];
    std::vector<double> weights;
    for (int64_t c = 0; c < text.vocabulary(); ++c) weights.push_back(std::exp(1.4 * logits[c]));
    characters.push_back(std::discrete_distribution<int32_t>(weights.begin(), weights.end())(random));
    out += text.byte(characters.back());
  }
  return out;
}

int train(const Options& options) {
  ModelShape shape;
  const Text text = Text::read(options.file, 20 * (shape.context + 1));
  shape.vocabulary = text.vocabulary();
  const AttentionShape attention{options.batch, shape.context, shape.heads, shape.columns};
  Run ours(shape, options.seed, attend_attention(attention)), naive(shape, options.seed, naive_attention(attention));
  std::printf("%lld parameters, %lld layers of %lld heads of %lld, context %lld, batch %lld; %lld characters of %s\n\n",
              static_cast<long long>(ours.model.parameters()), static_cast<long long>(shape.layers),
              static_cast<long long>(shape.heads), static_cast<long long>(shape.columns),
              static_cast<long long>(shape.context), static_cast<long long>(options.batch),
              static_cast<long long>(text.size()), text.name().c_str());

  std::mt19937_64 random(options.seed);
  double first_loss = 0, gradient_distance = 0, largest_difference = 0;
  std::printf("%6s  %10s  %10s  %11s\n", "step", "attend", "naive fp64", "difference");
  const int64_t every = std::max<int64_t>(options.steps / options.shown, 1);
  for (int64_t step = 0; step < options.steps; ++step) {
    const Text::Batch batch = text.training(options.batch, shape.context, random);
    const double rate = learning_rate(step, options.steps);
    const double loss = ours.train(batch, rate), naive_loss = naive.train(batch, rate);
    if (step == 0) {
      first_loss = loss;
      gradient_distance = distance(ours.model.gradient(), naive.model.gradient());
    }
    largest_difference = std::max(largest_difference, std::fabs(loss - naive_loss));
    if (step % every == 0 || step + 1 == options.steps) {
      std::printf("%6lld  %10.5f  %10.5f  %11.2e\n", static_cast<long long>(step), loss, naive_loss, loss - naive_loss);
      std::fflush(stdout);
    }
  }

  const Text::Batch held_out = text.held_out(options.batch, shape.context);
  const double loss = ours.loss(held_out), naive_loss = naive.loss(held_out);
  std::printf("\nheld out: %.5f, with naive fp64 attention %.5f nats per character\n", loss, naive_loss);
  std::printf("gradients of the first batch differ by %.1e of their norm, losses by at most %.1e\n", gradient_distance,
              largest_difference);
  std::printf("time per step: %.1f ms, of it attention %.1f ms; with naive fp64 attention %.1f ms, of it %.1f ms\n",
              1e3 * ours.seconds / static_cast<double>(options.steps),
              1e3 * ours.attention.seconds / static_cast<double>(options.steps),
              1e3 * naive.seconds / static_cast<double>(options.steps),
              1e3 * naive.attention.seconds / static_cast<double>(options.steps));
  if (options.characters > 0) std::printf("\n%s\n", continued(ours.model, text, shape, options).c_str());

  // f32 rounds at 6e-8; what the two runs do with such differences over many steps is training, not an error.
  const bool same = gradient_distance < 1e-5, learns = loss < first_loss;
  if (!same) std::printf("WRONG: the gradients differ\n");
  if (!learns) std::printf("WRONG: nothing was learnt: the first loss was %.5f\n", first_loss);
  return same && learns ? 0 : 1;
}

}  // namespace
}  // namespace train_char_lm

int main(int argc, char** argv) {
  train_char_lm::Options options;
  CLI::App app("Trains a character transformer with attend, beside the same with naive fp64 attention");
  app.add_option("FILE", options.file, "Text to learn; without it the licences in /usr/share/common-licenses");
  app.add_option("--steps", options.steps, "Training steps")->check(CLI::Range(1, 1000000))->capture_default_str();
  app.add_option("--batch", options.batch, "Sequences per step")->check(CLI::Range(1, 1024))->capture_default_str();
  app.add_option("--seed", options.seed, "Of weights, batches and the continuation")->capture_default_str();
  app.add_option("--prompt", options.prompt, "What the trained model continues")->capture_default_str();
  app.add_option("--characters", options.characters, "Length of the continuation")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return train_char_lm::train(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "train_char_lm: %s\n", error.what());
    return 1;
  }
}
