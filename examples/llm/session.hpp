// SPDX-License-Identifier: Apache-2.0
// A model that is ready to run, as the options of a command ask for it.
#pragma once
#include <memory>
#include <string>

#include "cli/command.hpp"
#include "language_model.hpp"
#include "tokenizer.hpp"

namespace llm {

struct SessionOptions {
  std::string model;  ///< as find_model() takes it
  std::string attention = "attend", guarantee = "deterministic", kernel;
  CacheOptions cache;
  int64_t context = 0;  ///< tokens that the cache holds; 0: as many as the model was trained for
  int threads = 0;
};

void add_session_options(CLI::App& command, SessionOptions& options);

class Session {
 public:
  /// Reads the model. Throws Error with what is missing and how to get it.
  explicit Session(const SessionOptions& options);

  const Tokenizer& tokenizer() const { return tokenizer_; }
  LanguageModel& model() { return model_; }
  KvStore& cache() { return cache_; }
  Attention& attention() { return *attention_; }
  int64_t context() const { return cache_.capacity(); }  ///< tokens that the cache holds
  const std::string& name() const { return name_; }

  /// The next tokens of the session's sequence; the logits of the last one, [vocabulary], valid until the next call.
  /// Throws Error for a full cache.
  std::span<const float> next(std::span<const int32_t> tokens);
  int64_t length() const { return length_; }  ///< tokens of the sequence so far
  /// Forgets the tokens from `length` on.
  void truncate(int64_t length) { length_ = length; }

 private:
  Session(const SessionOptions& options, const Gguf& file);

  std::string name_;
  Tokenizer tokenizer_;
  LanguageModel model_;
  KvStore cache_;
  std::unique_ptr<Attention> attention_;
  int64_t length_ = 0;
};

/// Path of a model: of one that scripts/get-model fetches by its name there, smollm2 without one; else `asked` is a
/// path itself. Throws Error for one that was not fetched, with the command that does it.
std::string find_model(const std::string& asked);

}  // namespace llm
