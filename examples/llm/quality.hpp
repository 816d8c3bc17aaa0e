// SPDX-License-Identifier: Apache-2.0
// What an approximation of attention costs a model: each row beside fp64 attention on the same weights.
#pragma once
#include <attend/attend.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "attention.hpp"
#include "kv_store.hpp"
#include "language_model.hpp"

namespace llm {

struct QualityRow {
  const char* name = "";
  CacheOptions cache = {};  ///< its window comes from `window_part`
  int64_t window_part = 0;  ///< the window is 1 / window_part of the context; 0: none
  attend::Guarantee guarantee = attend::Guarantee::deterministic;
  bool cascade = false;   ///< steps are of several sequences that share pages
  const char* what = "";  ///< what a reader is told
};

const std::vector<QualityRow>& quality_rows();

/// A row at work: a cache for one text and the attention over it.
class RowRunner {
 public:
  /// Room for `room` tokens, and for a page of each sequence of decode(); a window is a part of `context`. `attention`
  /// is make_attention()'s.
  RowRunner(LanguageModel& model, const QualityRow& row, int64_t context, int64_t room, const std::string& attention,
            int threads);

  /// Runs the text from its beginning; `take` gets the logits [tokens][vocabulary] of the tokens from `first` on, in
  /// one piece or in several.
  using Take = std::function<void(int64_t first, std::span<const float> logits)>;
  void prefill(std::span<const int32_t> tokens, const Take& take);
  /// The logits of tokens after `before` of them, all asked, [tokens][vocabulary].
  std::span<const float> follow(std::span<const int32_t> tokens, int64_t before);
  /// One token behind `before` others, and its logits: once, or in a cascade in each of kSequences sequences, which
  /// share whole pages of what is before and have the rest, less than a page, for themselves: those tokens must have
  /// come by decode(), too. Returns logits, [sequences()][vocabulary].
  std::span<const float> decode(int32_t token, int64_t before);

  static constexpr int64_t kSequences = 8;  ///< of a cascade
  int64_t cache_bytes() const { return cache_.bytes(); }
  int64_t sequences() const { return row_.cascade ? kSequences : 1; }

 private:
  LanguageModel& model_;
  QualityRow row_;
  int64_t room_;
  KvStore cache_;
  std::unique_ptr<Attention> attention_;
};

}  // namespace llm
