// SPDX-License-Identifier: Apache-2.0
// attend-llm generate and chat: text that goes on, token by token.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "sampler.hpp"
#include "session.hpp"

namespace llm {
namespace {

using Clock = std::chrono::steady_clock;

struct TalkOptions {
  SessionOptions session;
  SamplerOptions sampler;
  std::string prompt, system;
  int64_t tokens = 256;
  bool json = false;
};

volatile std::sig_atomic_t interrupted = 0;

/// While this lives, Ctrl-C ends a generation instead of the program.
class InterruptGuard {
 public:
  InterruptGuard() {
    interrupted = 0;
    old_ = std::signal(SIGINT, [](int) { interrupted = 1; });
  }
  ~InterruptGuard() { std::signal(SIGINT, old_); }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  void (*old_)(int);
};

/// What one generation did.
struct Generation {
  std::string text;
  std::vector<int32_t> tokens;
  int64_t prompt_tokens = 0;
  double prompt_seconds = 0, seconds = 0;  ///< of the prompt, and of what was generated
  const char* ended = "length";            ///< length, end, context or interrupt
};

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// Bytes at the end of the text that begin a character of UTF-8 whose rest is yet to come.
size_t unfinished_bytes(const std::string& text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0U) == 0x80U) continue;  // goes on
    const size_t length = byte >= 0xF0U ? 4 : byte >= 0xE0U ? 3 : byte >= 0xC0U ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

/// Runs the prompt and what follows; `show` gets whole characters as they come.
Generation generate(Session& session, const std::vector<int32_t>& prompt, int64_t most, Sampler& sampler,
                    const std::function<void(const std::string&)>& show) {
  const InterruptGuard guard;
  Generation done;
  done.prompt_tokens = static_cast<int64_t>(prompt.size());
  const int64_t room = session.context() - session.length();
  if (done.prompt_tokens > room)
    throw Error(fmt::format("the prompt has {} tokens, expected at most {}: the cache holds {}", prompt.size(), room,
                            session.context()));
  auto begin = Clock::now();
  std::span<const float> logits = session.next(prompt);
  done.prompt_seconds = seconds_since(begin);
  begin = Clock::now();
  size_t shown = 0;
  while (static_cast<int64_t>(done.tokens.size()) < most) {
    const int32_t token = sampler.choose(logits);
    if (session.tokenizer().ends(token)) {
      done.ended = "end";
      break;
    }
    done.tokens.push_back(token);
    done.text += session.tokenizer().decode(token);
    const size_t whole = done.text.size() - unfinished_bytes(done.text);
    if (whole > shown) show(done.text.substr(shown, whole - shown));
    shown = std::max(shown, whole);
    if (interrupted != 0) {
      done.ended = "interrupt";
      break;
    }
    if (static_cast<int64_t>(done.tokens.size()) == most) break;
    if (session.length() == session.context()) {
      done.ended = "context";
      break;
    }
    logits = session.next({&token, 1});
  }
  show(done.text.substr(shown));
  done.seconds = seconds_since(begin);
  return done;
}

double rate(size_t tokens, double seconds) { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }

void print_rates(const Generation& done) {
  fmt::print(stderr, "\n[{} tokens of prompt at {:.1f} tokens/s, {} more at {:.1f} tokens/s{}]\n", done.prompt_tokens,
             rate(static_cast<size_t>(done.prompt_tokens), done.prompt_seconds), done.tokens.size(),
             rate(done.tokens.size(), done.seconds),
             std::string_view(done.ended) == "context" ? "; the cache is full" : "");
}

void print_json(const Session& session, const Generation& done) {
  fmt::print("{}\n", nlohmann::ordered_json{{"model", session.name()},
                                            {"text", done.text},
                                            {"tokens", done.tokens},
                                            {"ended", done.ended},
                                            {"prompt_tokens", done.prompt_tokens},
                                            {"prompt_seconds", done.prompt_seconds},
                                            {"seconds", done.seconds}}
                         .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void show_text(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

int run_generate(const TalkOptions& options) {
  Session session(options.session);
  Sampler sampler(options.sampler);
  std::vector<int32_t> prompt = session.tokenizer().begin();
  const std::vector<int32_t> given = session.tokenizer().encode(options.prompt);
  prompt.insert(prompt.end(), given.begin(), given.end());
  if (prompt.empty()) prompt.push_back(session.tokenizer().end());  // from nothing
  if (!options.json) show_text(options.prompt);
  const Generation done = generate(session, prompt, options.tokens, sampler, [&](const std::string& text) {
    if (!options.json) show_text(text);
  });
  options.json ? print_json(session, done) : print_rates(done);
  return attend::cli::kExitOk;
}

/// One answer to the prompt, or a conversation with standard input, in which a turn that the vocabulary has no tokens
/// for is passed over.
int run_chat(const TalkOptions& options) {
  Session session(options.session);
  Sampler sampler(options.sampler);
  std::vector<Message> messages;
  if (!options.system.empty()) messages.push_back({"system", options.system});
  std::vector<int32_t> cached;  // tokens whose keys and values the cache holds
  const auto answer = [&](const std::string& question) {
    std::vector<Message> asked = messages;
    asked.push_back({"user", question});
    const std::vector<int32_t> all = session.tokenizer().chat(asked);
    messages = std::move(asked);
    // What the conversation has in common with the cache is not computed again; the last token is asked anew.
    const auto common = std::mismatch(cached.begin(), cached.end(), all.begin(), all.end() - 1).first - cached.begin();
    session.truncate(common);
    const Generation done =
        generate(session, {all.begin() + common, all.end()}, options.tokens, sampler, [&](const std::string& text) {
          if (!options.json) show_text(text);
        });
    messages.push_back({"assistant", done.text});
    cached = all;
    cached.insert(cached.end(), done.tokens.begin(), done.tokens.end());
    cached.resize(static_cast<size_t>(session.length()));
    options.json ? print_json(session, done) : print_rates(done);
  };
  if (!session.tokenizer().has_chat_template())
    fmt::print(stderr,
               "attend-llm chat: {} has no tokenizer.chat_template, so the model may never have learnt to answer; "
               "`generate` continues a text\n",
               session.name());
  if (!options.prompt.empty()) {
    answer(options.prompt);
    return attend::cli::kExitOk;
  }
  const bool terminal = isatty(STDIN_FILENO) == 1;
  if (terminal) fmt::print(stderr, "{}; an empty line ends the conversation, Ctrl-C an answer\n", session.name());
  std::string question;
  int64_t answered = 0, refused = 0;
  while (true) {
    if (terminal) fmt::print(stderr, "> ");
    if (!std::getline(std::cin, question) || question.empty()) break;
    try {
      answer(question);
      ++answered;
    } catch (const TextError& error) {
      fmt::print(stderr, "attend-llm chat: {}\n", error.what());
      ++refused;
    }
  }
  return answered == 0 && refused > 0 ? attend::cli::kExitFailure : attend::cli::kExitOk;
}

void add_talk_options(CLI::App& command, TalkOptions& options) {
  add_session_options(command, options.session);
  command.add_option("--tokens", options.tokens, "Tokens to generate at most")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  command.add_option("--temperature", options.sampler.temperature, "0: always the most likely token")
      ->capture_default_str();
  command.add_option("--top-k", options.sampler.top_k, "Only the k most likely tokens; 0: all")->capture_default_str();
  command.add_option("--top-p", options.sampler.top_p, "Only the fewest tokens that are p likely together")
      ->capture_default_str();
  command.add_option("--min-p", options.sampler.min_p, "Only tokens p times as likely as the most likely")
      ->capture_default_str();
  command.add_option("--seed", options.sampler.seed, "Of the choice of tokens")->capture_default_str();
  command.add_flag("--json", options.json, "Print one JSON object at the end instead of text as it comes");
}

}  // namespace

void add_generate_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<TalkOptions>();
  CLI::App* command = attend::cli::new_command(app, "generate", "Continue a text",
                                               {"attend-llm generate \"The capital of France is\" --tokens 20",
                                                "attend-llm generate \"Once upon a time\" --temperature 0.8 --top-p "
                                                "0.95 --seed 7 --kv-format int8 --page-size 16"});
  command->add_option("prompt", options->prompt, "The text to continue; empty: from nothing");
  add_talk_options(*command, *options);
  command->callback([options, &context] { context.exit_code = run_generate(*options); });
}

void add_chat_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<TalkOptions>();
  CLI::App* command = attend::cli::new_command(
      app, "chat", "Talk with the model, or have one question answered",
      {"attend-llm chat \"Why is the sky blue?\"", "attend-llm chat --temperature 0.7 --seed 1"});
  command->add_option("prompt", options->prompt, "The question; without it lines of standard input are turns");
  command->add_option("--system", options->system, "What the model is told about its role; without it its own default");
  add_talk_options(*command, *options);
  command->callback([options, &context] { context.exit_code = run_chat(*options); });
}

}  // namespace llm
