// SPDX-License-Identifier: Apache-2.0
// attend-llm perplexity: how well the model predicts a text.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "cli/progress.hpp"
#include "commands.hpp"
#include "elementwise.hpp"
#include "session.hpp"

namespace llm {
namespace {

struct PerplexityOptions {
  SessionOptions session;
  std::string file, against;
  int64_t chunk = 512, stride = 0, tokens = 0;
  bool json = false, quiet = false;
};

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) throw Error("cannot read " + path);
  return text;
}

/// What is summed over the predicted tokens.
struct Sums {
  int64_t predicted = 0, agreed = 0;                  ///< agreed: both think the same token the most likely
  double nats = 0, nats_against = 0, divergence = 0;  ///< divergence: KL(against || this)

  double mean(double sum) const { return sum / static_cast<double>(predicted); }
  double perplexity() const { return std::exp(mean(nats)); }
  double perplexity_against() const { return std::exp(mean(nats_against)); }
};

/// One more token, by its logits and, where there is something to compare with, `against`.
void count(std::span<const float> found, std::span<const float> against, int32_t token, Sums& sums) {
  ++sums.predicted;
  const auto next = static_cast<size_t>(token);
  if (against.empty()) {
    sums.nats += log_sum_exp(found) - found[next];
    return;
  }
  const Comparison both = compare(found, against);
  sums.nats += both.log_sum_exp_found - found[next];
  sums.nats_against += both.log_sum_exp_expected - against[next];
  sums.divergence += both.divergence;
  sums.agreed += both.same_choice ? 1 : 0;
}

void print(const PerplexityOptions& options, const std::string& model, const Sums& sums) {
  const bool compared = !options.against.empty();
  const double change = compared ? sums.perplexity() / sums.perplexity_against() - 1 : 0;
  if (options.json) {
    nlohmann::ordered_json line{{"model", model},
                                {"file", options.file},
                                {"predicted", sums.predicted},
                                {"chunk", options.chunk},
                                {"stride", options.stride},
                                {"attention", options.session.attention},
                                {"kv_format", options.session.cache.format},
                                {"smooth_keys", options.session.cache.smooth_keys},
                                {"page_size", options.session.cache.page_size},
                                {"window", options.session.cache.window},
                                {"nats_per_token", sums.mean(sums.nats)},
                                {"perplexity", sums.perplexity()}};
    if (compared) {
      line["against"] = options.against;
      line["perplexity_against"] = sums.perplexity_against();
      line["relative_change"] = change;
      line["mean_divergence"] = sums.mean(sums.divergence);
      line["agreement"] = sums.mean(static_cast<double>(sums.agreed));
    }
    fmt::print("{}\n", line.dump());
    return;
  }
  fmt::print("perplexity {:.6f} ({:.6f} nats per token) over {} tokens of {}, in chunks of {}, {} apart\n",
             sums.perplexity(), sums.mean(sums.nats), sums.predicted, options.file, options.chunk, options.stride);
  if (compared)
    fmt::print(
        "with {} attention on an f32 cache {:.6f}: {:+.4f} %; mean divergence {:.3e} nats; the same most likely token "
        "for "
        "{:.2f} % of all\n",
        options.against, sums.perplexity_against(), 100 * change, sums.mean(sums.divergence),
        100 * sums.mean(static_cast<double>(sums.agreed)));
}

/// Chunks of the text, each `stride` tokens further; of each the tokens that no chunk before has predicted count. Where
/// the model has seen a token at the front of every text, each chunk has it.
int run(const PerplexityOptions& asked) {
  PerplexityOptions options = asked;
  if (options.stride == 0) options.stride = options.chunk / 2;
  if (options.stride < 1 || options.stride > options.chunk)
    throw Error(fmt::format("--stride is {}, expected 1 to the chunk's {} tokens", options.stride, options.chunk));
  if (options.session.context == 0) options.session.context = options.chunk;
  const std::string text = read_file(options.file);
  Session session(options.session);
  std::vector<int32_t> tokens = session.tokenizer().encode(text);
  if (options.tokens > 0 && static_cast<int64_t>(tokens.size()) > options.tokens)
    tokens.resize(static_cast<size_t>(options.tokens));
  const auto size = static_cast<int64_t>(tokens.size());
  const std::vector<int32_t>& front = session.tokenizer().begin();
  const auto fronts = static_cast<int64_t>(front.size());
  if (size + fronts < 2) throw Error(fmt::format("{} has {} tokens, expected at least 2", options.file, size));
  if (options.stride > options.chunk - fronts)
    throw Error(fmt::format("--stride is {}, expected 1 to the {} tokens that a chunk has of the text", options.stride,
                            options.chunk - fronts));

  KvStore plain_cache(session.model().shape().attention(), {}, options.session.context);
  const std::unique_ptr<Attention> plain =
      make_attention(options.against.empty() ? "reference" : options.against, attend::PlanOptions());
  const auto vocabulary = static_cast<size_t>(session.model().shape().vocabulary);
  Sums sums;
  std::vector<float> logits, plain_logits;
  const int64_t first = 1 - fronts;  // without a token in front nothing predicts the text's first
  attend::cli::Progress progress("perplexity", size - first, options.quiet || options.json);
  for (int64_t begin = 0, next = first; next < size; begin += options.stride) {
    const int64_t end = std::min(begin + options.chunk - fronts, size);
    std::vector<int32_t> chunk = front;
    chunk.insert(chunk.end(), tokens.begin() + begin, tokens.begin() + end);
    const auto rows_of = [&](KvStore& cache, Attention& attention) {
      Step step = cache.step(chunk, 0);
      step.asked.clear();
      for (int64_t token = next; token < end; ++token) step.asked.push_back(token - begin + fronts - 1);
      const std::span<const float> rows = session.model().run(step, cache, attention);
      return std::vector<float>(rows.begin(), rows.end());
    };
    logits = rows_of(session.cache(), session.attention());
    if (!options.against.empty()) plain_logits = rows_of(plain_cache, *plain);
    const int64_t before = sums.predicted;
    for (size_t row = 0; next < end; ++next, ++row) {
      const auto of_row = [&](const std::vector<float>& all) {
        return all.empty() ? std::span<const float>() : std::span(all).subspan(row * vocabulary, vocabulary);
      };
      count(of_row(logits), of_row(plain_logits), tokens[static_cast<size_t>(next)], sums);
    }
    progress.advance(sums.predicted - before, fmt::format("{:.4f}", sums.perplexity()));
  }
  progress.clear();
  print(options, session.name(), sums);
  return attend::cli::kExitOk;
}

}  // namespace

void add_perplexity_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<PerplexityOptions>();
  CLI::App* command = attend::cli::new_command(
      app, "perplexity", "How well the model predicts a text",
      {"attend-llm perplexity data/text.txt --tokens 300",
       "attend-llm perplexity data/text.txt --tokens 300 --kv-format int8 --against reference"});
  command->add_option("file", options->file, "The text")->required();
  add_session_options(*command, options->session);
  command
      ->add_option("--against", options->against,
                   "Compare with this attention on an f32 cache: perplexity, divergence, agreement")
      ->check(CLI::IsMember({"attend", "naive", "reference"}));
  command->add_option("--chunk", options->chunk, "Tokens that the model sees at once")
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 30))
      ->capture_default_str();
  command->add_option("--stride", options->stride, "Tokens from one chunk to the next; 0: half a chunk");
  command->add_option("--tokens", options->tokens, "Only the first tokens of the text; 0: all")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40));
  command->add_flag("--quiet", options->quiet, "No progress on stderr");
  command->add_flag("--json", options->json, "Print one JSON object instead of text");
  command->callback([options, &context] { context.exit_code = run(*options); });
}

}  // namespace llm
