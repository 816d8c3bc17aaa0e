// SPDX-License-Identifier: Apache-2.0
// attend-llm serve-sim: many prompts answered at once, as a server would: sequences join and leave between steps, share
// the pages of what their prompts have in common, and decode together.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>

#include "checked.hpp"
#include "cli/progress.hpp"
#include "commands.hpp"
#include "sampler.hpp"
#include "session.hpp"

namespace llm {
namespace {

using Clock = std::chrono::steady_clock;

struct ServeOptions {
  SessionOptions session;
  SamplerOptions sampler;
  std::string prompts;
  int64_t at_once = 8, tokens = 32;
  bool json = false, quiet = false;
};

constexpr const char* kSystem =
    "You are a careful assistant. Answer in one short sentence. If you do not know the answer, say so. Do not repeat "
    "the "
    "question. Do not use lists.";
constexpr const char* kQuestions[] = {
    "What is the capital of France?",
    "Why is the sky blue?",
    "How many legs does a spider have?",
    "Who wrote Hamlet?",
    "What is water made of?",
    "Name a planet with rings.",
    "What does a bee make?",
    "Which ocean is the largest?",
    "What is the opposite of hot?",
    "How many days are there in a week?",
    "What do plants need to grow?",
    "Name a primary colour.",
    "What is ice?",
    "Where do penguins live?",
    "What is the square root of 81?",
    "Which animal is the tallest?",
};

/// One prompt on its way.
struct Request {
  std::vector<int32_t> tokens;  ///< of the prompt, then what was generated
  int64_t prompt = 0;           ///< tokens of the prompt
  int64_t computed = 0;         ///< tokens whose keys and values are in the cache
  attend::KvPages::Sequence sequence = 0;
  double first_token_seconds = 0;  ///< from the beginning of the run
};

std::vector<std::vector<int32_t>> read_prompts(const ServeOptions& options, const Tokenizer& tokenizer) {
  std::vector<std::vector<int32_t>> prompts;
  const auto add = [&](const std::string& question) {
    prompts.push_back(tokenizer.chat({{"system", kSystem}, {"user", question}}));
  };
  if (options.prompts.empty()) {
    for (const char* question : kQuestions) add(question);
    return prompts;
  }
  std::ifstream file(options.prompts);
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) add(line);
  if (!file.eof()) throw Error("cannot read " + options.prompts);
  if (prompts.empty()) throw Error(options.prompts + " has no line, expected a prompt in each");
  return prompts;
}

class Server {
 public:
  Server(Session& session, const ServeOptions& options)
      : session_(session),
        options_(options),
        sampler_(options.sampler),
        pages_(checked(attend::KvPages::create({session.cache().pages(), options.session.cache.page_size, true}))) {}

  std::vector<Request> run(const std::vector<std::vector<int32_t>>& prompts) {
    std::vector<Request> requests;
    for (const auto& prompt : prompts) requests.push_back({prompt, static_cast<int64_t>(prompt.size()), 0, 0, 0});
    attend::cli::Progress progress("serve", static_cast<int64_t>(requests.size()), options_.quiet || options_.json);
    begin_ = Clock::now();
    std::vector<Request*> running;
    size_t next = 0;
    while (next < requests.size() || !running.empty()) {
      while (next < requests.size() && static_cast<int64_t>(running.size()) < options_.at_once &&
             join(requests[next], running.empty()))
        running.push_back(&requests[next++]);
      step(running);
      ++steps_;
      std::erase_if(running, [&](Request* request) {
        if (!finished(*request) && grow(*request)) return false;
        check(pages_.end(request->sequence));
        progress.advance();
        return true;
      });
    }
    seconds_ = std::chrono::duration<double>(Clock::now() - begin_).count();
    return requests;
  }

  double seconds() const { return seconds_; }
  int64_t steps() const { return steps_; }
  attend::KvPages::Statistics statistics() const { return pages_.statistics(); }

 private:
  /// Finds what the cache has of the prompt and makes room for the rest. False when there is no room while others run.
  bool join(Request& request, bool alone) {
    const std::span<const int32_t> all(request.tokens);
    const auto begun = checked(pages_.begin(all.first(all.size() - 1)));  // the last token's output is asked for
    request.sequence = begun.sequence;
    request.computed = begun.cached_tokens;
    if (append(request, all.subspan(static_cast<size_t>(request.computed)), alone)) return true;
    check(pages_.end(request.sequence));
    return false;
  }

  /// Room for the token that was just generated. A sequence for which there is none ends.
  bool grow(Request& request) { return append(request, {&request.tokens.back(), 1}, false); }

  bool append(Request& request, std::span<const int32_t> tokens, bool must) {
    const auto copy = pages_.append(request.sequence, tokens);
    if (!copy.ok() && copy.status().code() == attend::StatusCode::out_of_memory && !must) return false;
    if (const auto shared = checked(copy)) session_.cache().copy_page(shared->from, shared->to);
    return true;
  }

  bool finished(const Request& request) const {
    return static_cast<int64_t>(request.tokens.size()) - request.prompt >= options_.tokens ||
           session_.tokenizer().ends(request.tokens.back());
  }

  /// One step of all running sequences: whole prompts of those that have just come, one token of the others.
  void step(const std::vector<Request*>& running) {
    std::vector<StepPart> parts;
    for (const Request* request : running)
      parts.push_back({std::span(request->tokens).subspan(static_cast<size_t>(request->computed)), request->computed,
                       pages_.pages(request->sequence)});
    const Step step = session_.cache().step(parts);
    const std::span<const float> logits = session_.model().run(step, session_.cache(), session_.attention());
    const size_t vocabulary = logits.size() / running.size();
    for (size_t i = 0; i < running.size(); ++i) {
      Request& request = *running[i];
      request.computed = static_cast<int64_t>(request.tokens.size());
      if (request.computed == request.prompt)
        request.first_token_seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
      request.tokens.push_back(sampler_.choose(logits.subspan(i * vocabulary, vocabulary)));
    }
  }

  Session& session_;
  const ServeOptions& options_;
  Sampler sampler_;
  attend::KvPages pages_;
  Clock::time_point begin_;
  double seconds_ = 0;
  int64_t steps_ = 0;
};

int run(const ServeOptions& asked) {
  ServeOptions options = asked;
  if (options.session.cache.page_size == 0) options.session.cache.page_size = 16;
  Session session(options.session);
  const auto prompts = read_prompts(options, session.tokenizer());
  Server server(session, options);
  const std::vector<Request> requests = server.run(prompts);

  int64_t prompt_tokens = 0, generated = 0;
  std::vector<double> first;
  for (const Request& request : requests) {
    prompt_tokens += request.prompt;
    generated += static_cast<int64_t>(request.tokens.size()) - request.prompt;
    first.push_back(request.first_token_seconds);
  }
  std::sort(first.begin(), first.end());
  const double median = first[first.size() / 2], slowest = first.back();
  const attend::KvPages::Statistics pages = server.statistics();
  if (options.json) {
    fmt::print("{}\n",
               nlohmann::ordered_json{{"model", session.name()},
                                      {"requests", requests.size()},
                                      {"at_once", options.at_once},
                                      {"prompt_tokens", prompt_tokens},
                                      {"prompt_tokens_found", pages.found_tokens},
                                      {"generated_tokens", generated},
                                      {"steps", server.steps()},
                                      {"seconds", server.seconds()},
                                      {"generated_per_second", static_cast<double>(generated) / server.seconds()},
                                      {"first_token_median_s", median},
                                      {"first_token_slowest_s", slowest},
                                      {"pages", pages.pages},
                                      {"pages_cached", pages.cached},
                                      {"pages_evicted", pages.evicted},
                                      {"pages_copied", pages.copied}}
                   .dump());
    return attend::cli::kExitOk;
  }
  for (const Request& request : requests) {
    const std::vector<int32_t> answer(request.tokens.begin() + request.prompt, request.tokens.end());
    fmt::print("{:3} + {:3} tokens: {}\n", request.prompt, answer.size(), session.tokenizer().decode(answer));
  }
  fmt::print(
      "\n{} requests, {} at once: {:.1f} tokens/s generated, first token after {:.2f} s (median), {:.2f} s (last)\n",
      requests.size(), options.at_once, static_cast<double>(generated) / server.seconds(), median, slowest);
  fmt::print("{} of {} prompt tokens were found in the cache; pages: {} of {} hold something, {} evicted, {} copied\n",
             pages.found_tokens, prompt_tokens, pages.cached + pages.used, pages.pages, pages.evicted, pages.copied);
  return attend::cli::kExitOk;
}

}  // namespace

void add_serve_sim_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<ServeOptions>();
  options->session.context = 4096;
  CLI::App* command =
      attend::cli::new_command(app, "serve-sim", "Answer many prompts at once from a paged cache that they share",
                               {"attend-llm serve-sim --tokens 8",
                                "attend-llm serve-sim --at-once 4 --tokens 8 --kv-format int8 --page-size 32"});
  command->add_option("--prompts", options->prompts, "A file with a prompt in each line; without it 16 questions");
  command->add_option("--at-once", options->at_once, "Sequences that run together")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("--tokens", options->tokens, "Tokens to generate for each, at most")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--temperature", options->sampler.temperature, "0: always the most likely token")
      ->capture_default_str();
  command->add_option("--seed", options->sampler.seed, "Of the choice of tokens")->capture_default_str();
  add_session_options(*command, options->session);
  command->add_flag("--quiet", options->quiet, "No progress on stderr");
  command->add_flag("--json", options->json, "Print one JSON object instead of text");
  command->callback([options, &context] { context.exit_code = run(*options); });
}

}  // namespace llm
