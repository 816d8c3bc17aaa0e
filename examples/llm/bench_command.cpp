// SPDX-License-Identifier: Apache-2.0
// attend-llm bench: tokens per second of prefill and decoding, in the words of llama-bench (pp, tg), attention's share,
// and its time beside that of the same calls alone, on caches as cold as in the model.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/progress.hpp"
#include "commands.hpp"
#include "session.hpp"

namespace llm {
namespace {

struct BenchOptions {
  SessionOptions session;
  std::vector<int64_t> prompts{512}, depths{0};
  int64_t generated = 32;
  int repeat = 3;
  bool json = false, quiet = false;
};

struct Figures {
  double rate = 0, deviation = 0;  ///< tokens per second: mean and standard deviation
  double attention_share = 0;      ///< mean share of the time
  double beside_alone = 0;         ///< attention's time in the model over that of the same calls alone: median
};

struct Test {
  std::string name;  ///< pp512, tg32 @ d4096
  int64_t tokens = 0, depth = 0;
  bool decode = false;
};

std::vector<int32_t> some_tokens(int64_t count, int64_t vocabulary) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  uint64_t state = 1;
  for (int32_t& token : tokens) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    token = static_cast<int32_t>((state >> 33) % static_cast<uint64_t>(vocabulary));
  }
  return tokens;
}

/// Seconds of the attention of these steps and nothing else: the same problems on the same caches, layer after layer.
/// Keys and values are no nearer to the processor than weights leave them in the model.
double attention_alone(Session& session, std::span<const int32_t> tokens, int64_t before, bool one_by_one) {
  const ModelShape& shape = session.model().shape();
  const size_t at_once = one_by_one ? 1 : tokens.size();
  std::vector<float> q(at_once * static_cast<size_t>(shape.query_heads * shape.columns)), o(q.size());
  for (size_t i = 0; i < q.size(); ++i) q[i] = static_cast<float>(i % 7) - 3;
  double seconds = 0;
  for (size_t at = 0; at < tokens.size(); at += at_once) {
    const Step step = session.cache().step(tokens.subspan(at, at_once), before + static_cast<int64_t>(at));
    session.attention().begin_step(step.problems);
    for (int64_t layer = 0; layer < shape.layers; ++layer) {
      attend::AttentionFwdArgs args = session.cache().args(layer);
      args.q = q.data();
      args.o = o.data();
      session.model().read_weights(layer);
      const auto begin = std::chrono::steady_clock::now();
      session.attention().run(shape.kind(layer), args);
      seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }
  }
  return seconds;
}

Figures measure(Session& session, const Test& test, int repeat) {
  const std::vector<int32_t> tokens = some_tokens(test.depth + test.tokens, session.model().shape().vocabulary);
  const std::span<const int32_t> all(tokens), timed = all.subspan(static_cast<size_t>(test.depth));
  session.truncate(0);
  if (test.depth > 0) session.next(all.first(static_cast<size_t>(test.depth)));
  std::vector<double> rates, beside;
  double share = 0;
  for (int i = -1; i < repeat; ++i) {  // the first one warms up
    session.truncate(test.depth);
    const double before = session.model().attention_seconds();
    const auto begin = std::chrono::steady_clock::now();
    if (test.decode) {
      for (const int32_t& token : timed) session.next({&token, 1});
    } else {
      session.next(timed);
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const double attention = session.model().attention_seconds() - before;
    const double alone = attention_alone(session, timed, test.depth, test.decode);
    if (i < 0) continue;
    rates.push_back(static_cast<double>(test.tokens) / seconds);
    beside.push_back(attention / alone);
    share += attention / seconds / repeat;
  }
  std::nth_element(beside.begin(), beside.begin() + repeat / 2, beside.end());
  Figures figures{0, 0, share, beside[static_cast<size_t>(repeat / 2)]};
  for (const double rate : rates) figures.rate += rate / repeat;
  for (const double rate : rates) figures.deviation += std::pow(rate - figures.rate, 2) / std::max(repeat - 1, 1);
  figures.deviation = std::sqrt(figures.deviation);
  return figures;
}

int run(const BenchOptions& asked) {
  BenchOptions options = asked;
  std::vector<Test> tests;
  for (const int64_t depth : options.depths) {
    const std::string behind = depth > 0 ? fmt::format(" @ d{}", depth) : "";
    for (const int64_t tokens : options.prompts)
      tests.push_back({fmt::format("pp{}{}", tokens, behind), tokens, depth, false});
    if (options.generated > 0)
      tests.push_back({fmt::format("tg{}{}", options.generated, behind), options.generated, depth, true});
  }
  int64_t needed = 1;
  for (const Test& test : tests) needed = std::max(needed, test.tokens + test.depth);
  if (options.session.context == 0) options.session.context = needed;
  if (options.session.context < needed)
    throw Error(fmt::format("--context is {}, expected at least {} for these tests", options.session.context, needed));
  Session session(options.session);
  if (!options.json) {
    fmt::print("{} ({:.1f} M parameters), cache {} {:.1f} MiB, attention {}\n\n", session.name(),
               static_cast<double>(session.model().parameters()) / 1e6, options.session.cache.format,
               static_cast<double>(session.cache().bytes()) / (1 << 20), options.session.attention);
    fmt::print("| {:<16} | {:>18} | {:>9} | {:>9} |\n|:{:-<16} | {:->18}:| {:->9}:| {:->9}:|\n", "test", "t/s",
               "attention", "/ alone", "", "", "", "");
  }
  attend::cli::Progress progress("bench", static_cast<int64_t>(tests.size()), options.quiet || options.json);
  for (const Test& test : tests) {
    const Figures figures = measure(session, test, options.repeat);
    if (options.json) {
      fmt::print("{}\n", nlohmann::ordered_json{{"model", session.name()},
                                                {"test", test.name},
                                                {"tokens", test.tokens},
                                                {"depth", test.depth},
                                                {"attention", options.session.attention},
                                                {"kv_format", options.session.cache.format},
                                                {"threads", options.session.threads},
                                                {"tokens_per_second", figures.rate},
                                                {"deviation", figures.deviation},
                                                {"attention_share", figures.attention_share},
                                                {"attention_beside_alone", figures.beside_alone}}
                             .dump());
    } else {
      progress.clear();
      fmt::print("| {:<16} | {:>18} | {:>7.1f} % | {:>9.2f} |\n", test.name,
                 fmt::format("{:.2f} ± {:.2f}", figures.rate, figures.deviation), 100 * figures.attention_share,
                 figures.beside_alone);
      std::fflush(stdout);
    }
    progress.advance(1, test.name);
  }
  return attend::cli::kExitOk;
}

}  // namespace

void add_bench_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = attend::cli::new_command(
      app, "bench", "Tokens per second, in the form of llama-bench, and the share of attention",
      {"attend-llm bench --prompts 64 --generated 8 --repeat 1",
       "attend-llm bench --prompts 64 --depths 0,256 --generated 4 --repeat 1 --attention naive"});
  add_session_options(*command, options->session);
  command->add_option("--prompts", options->prompts, "Lengths of prompts (pp)")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  command->add_option("--generated", options->generated, "Tokens generated one by one (tg); 0: none")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->capture_default_str();
  command->add_option("--depths", options->depths, "Tokens in the cache before the test begins (d)")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->capture_default_str();
  command->add_option("--repeat", options->repeat, "Runs of each test")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--quiet", options->quiet, "No progress on stderr");
  command->add_flag("--json", options->json, "Print one JSON object per line instead of text");
  command->callback([options, &context] { context.exit_code = run(*options); });
}

}  // namespace llm
