// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/status.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

namespace attend {

/// Which page of a cache holds which tokens of which sequence: reference counts, copy-on-write, prefixes shared by
/// their tokens, eviction of what was used least recently (vLLM, arXiv:2309.06180, section 4; RadixAttention, SGLang,
/// arXiv:2312.07104, section 3). Pages are numbers; their K and V are the caller's memory, for all layers alike.
///
/// Every call takes time in proportion to the pages that it touches. Not for several threads at once.
class KvPages {
 public:
  struct Options {
    int64_t pages = 0;           ///< 1 to 2^31 - 1
    int64_t page_size = 16;      ///< tokens of a page, at least 1
    bool share_prefixes = true;  ///< full pages are found again by their tokens and those before them
  };

  using Sequence = int64_t;  ///< never used again after end()

  /// A new sequence, which begins with tokens that are in the cache already: whole pages of them.
  struct Begun {
    Sequence sequence = 0;
    int64_t cached_tokens = 0;  ///< its length(); K and V of these are there
  };

  /// The caller copies K and V of the first `tokens` of page `from` to page `to` before it writes behind them.
  struct Copy {
    int32_t from = 0, to = 0;
    int64_t tokens = 0;
  };

  struct Statistics {
    int64_t pages = 0, free = 0;  ///< free: hold nothing
    int64_t used = 0;             ///< of sequences, each counted once
    int64_t cached = 0;           ///< of no sequence, kept until their room is needed; free + used + cached = pages
    int64_t sequences = 0;
    int64_t asked_tokens = 0, found_tokens = 0;  ///< of all begin(): given, and found in the cache
    int64_t evicted = 0, copied = 0;             ///< pages, since create()
  };

  /// Error: invalid_argument naming the option; out_of_memory.
  static Result<KvPages> create(const Options& options);
  KvPages(KvPages&&) noexcept = default;
  KvPages& operator=(KvPages&&) noexcept = default;

  /// Finds the longest cached prefix of `tokens` in whole pages. Who needs the output of the last token asks without
  /// it, since what is found is not computed again.
  Result<Begun> begin(std::span<const int32_t> tokens = {});
  /// Room for more tokens at the end; the copy to be made first, if the last page was shared. A full page can be found
  /// by begin() from now on: write its K and V before another sequence reads them. All or nothing. Errors:
  /// invalid_argument for a sequence that is not; out_of_memory with how many pages are needed, free and evictable.
  Result<std::optional<Copy>> append(Sequence sequence, std::span<const int32_t> tokens);
  /// Another sequence of the same tokens in the same pages. Error: as above.
  Result<Sequence> fork(Sequence sequence);
  /// Forgets the tokens from `length` on, 0 to length(). Errors: invalid_argument.
  Status truncate(Sequence sequence, int64_t length);
  /// Its full pages stay cached until their room is needed. Error: invalid_argument.
  Status end(Sequence sequence);

  /// Pages of the sequence's tokens in order, valid until the next call that changes the sequence; empty for one that
  /// is not.
  std::span<const int32_t> pages(Sequence sequence) const;
  /// Tokens; 0 for a sequence that is not.
  int64_t length(Sequence sequence) const;
  int64_t page_size() const;
  Statistics statistics() const;

 private:
  struct State;
  explicit KvPages(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;  // one owner; shared, so that State may stay unknown here
};

}  // namespace attend
