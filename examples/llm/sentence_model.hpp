// SPDX-License-Identifier: Apache-2.0
// A model of sentences from its folder: the encoder, its vocabulary, and how long a text may be.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "encoder.hpp"
#include "wordpiece.hpp"

namespace llm {

class SentenceModel {
 public:
  /// Opens a folder as the package sentence-transformers keeps it: config.json, sentence_bert_config.json,
  /// tokenizer_config.json, 1_Pooling/config.json, vocab.txt and model.safetensors. `attention` is a name that
  /// make_attention() takes; 0 threads: one for each core. Throws Error naming file, field, found and expected: for
  /// files that are missing, broken or do not fit together, and for models other than uncased BERT with the mean of
  /// tokens.
  SentenceModel(const std::string& folder, const std::string& attention, int threads);

  int64_t limit() const { return limit_; }  ///< tokens of a text that the model was trained for
  const WordPiece& tokenizer() const { return tokenizer_; }
  const Encoder& encoder() const { return encoder_; }

  /// Embeddings [texts][width] of length 1; a text's bits do not depend on the others.
  std::vector<float> embed(std::span<const std::vector<int32_t>> texts) { return encoder_.run(texts, *attention_); }

 private:
  WordPiece tokenizer_;
  Encoder encoder_;
  std::unique_ptr<Attention> attention_;
  int64_t limit_ = 0;
};

}  // namespace llm
