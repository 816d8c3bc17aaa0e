// SPDX-License-Identifier: Apache-2.0
#include "session.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "checked.hpp"

namespace llm {

namespace {

/// What scripts/get-model (tools/models.py) keeps where; the first is used where none is asked for.
struct KnownModel {
  const char *name, *file;
};
constexpr KnownModel kKnownModels[] = {{"smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"},
                                       {"gemma3", "gemma-3-270m-q4_k_m.gguf"},
                                       {"minilm", "all-MiniLM-L6-v2"}};

attend::PlanOptions plan_options(const SessionOptions& options) {
  attend::PlanOptions with;
  with.threads = options.threads;
  with.kernel = options.kernel;
  with.guarantee = checked(attend::parse_guarantee(options.guarantee));
  return with;
}

}  // namespace

std::string find_model(const std::string& asked) {
  const std::string name = asked.empty() ? kKnownModels[0].name : asked;
  const KnownModel* known = std::find_if(std::begin(kKnownModels), std::end(kKnownModels),
                                         [&](const KnownModel& each) { return name == each.name; });
  if (known == std::end(kKnownModels)) return asked;
  const char* home = std::getenv("HOME");
  const auto path = std::filesystem::path(home != nullptr ? home : ".") / ".cache" / "attend" / known->file;
  if (!std::filesystem::exists(path))
    throw Error(path.string() + " is not there: `scripts/get-model " + name +
                "` fetches it, or --model names another (smollm2, gemma3, minilm or a path)");
  return path.string();
}

void add_session_options(CLI::App& command, SessionOptions& options) {
  command.add_option("--model", options.model,
                     "smollm2 (the default) or gemma3, as scripts/get-model fetches them, or a GGUF file of the "
                     "architecture llama or gemma3");
  command
      .add_option("--attention", options.attention, "attend; naive (unfused BLAS) or reference (fp64) to compare with")
      ->check(CLI::IsMember({"attend", "naive", "reference"}))
      ->capture_default_str();
  command.add_option("--kv-format", options.cache.format, "Elements of cached keys and values")
      ->check(CLI::IsMember({"f32", "f16", "bf16", "int8", "int4_32", "int4_64", "e4m3"}))
      ->capture_default_str();
  command.add_option("--page-size", options.cache.page_size, "Tokens of a page of the cache; 0: one piece")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command.add_flag("--smooth-keys", options.cache.smooth_keys,
                   "Take the mean of the first keys from all before they are stored (SageAttention2)");
  command.add_option("--window", options.cache.window, "Keys that a token sees, itself included; 0: all before it")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  command
      .add_option("--first", options.cache.first,
                  "Keys at the beginning that stay visible beside a window (StreamingLLM's sinks)")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  command.add_option("--context", options.context, "Tokens that the cache holds; 0: what the model was trained for")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  command.add_option("--guarantee", options.guarantee, "What the bits may depend on (docs/determinism.md)")
      ->check(CLI::IsMember({"deterministic", "fast", "batch_invariant"}))
      ->capture_default_str();
  command.add_option("--kernel", options.kernel, "Kernel of attend by its id (`attend list kernels`)");
  command.add_option("--threads", options.threads, "Threads; 0: one for each core")->check(CLI::Range(0, 4096));
}

Session::Session(const SessionOptions& options) : Session(options, Gguf::open(find_model(options.model))) {}

Session::Session(const SessionOptions& options, const Gguf& file)
    : name_(file.text("general.name", "model")),
      tokenizer_(file),
      model_(file),
      cache_(model_.shape().attention(), options.cache, options.context > 0 ? options.context : model_.shape().context),
      attention_(make_attention(options.attention, plan_options(options))) {
  model_.set_threads(options.threads);
}

std::span<const float> Session::next(std::span<const int32_t> tokens) {
  const std::span<const float> logits = model_.run(cache_.step(tokens, length_), cache_, *attention_);
  length_ += static_cast<int64_t>(tokens.size());
  return logits;
}

}  // namespace llm
