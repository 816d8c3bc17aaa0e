// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <attend/kv_pages.hpp>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kv/page_pool.hpp"

namespace attend {
namespace {

struct Tokens {
  std::vector<int32_t> pages;
  int64_t length = 0;
  int64_t in_tree = 0;  ///< of its pages, the first ones
};

Status no_sequence(const char* call, KvPages::Sequence sequence) {
  return invalid_argument(std::string("kv_pages: ") + call + ": sequence is " + std::to_string(sequence) +
                          ", expected one that begin or fork returned and that has not ended");
}

}  // namespace

struct KvPages::State {
  explicit State(const Options& options)
      : pool(options.pages, options.page_size), page_size(options.page_size), share(options.share_prefixes) {}

  kv::PagePool pool;
  int64_t page_size;
  bool share;
  std::unordered_map<Sequence, Tokens> sequences;
  Sequence next = 1;
  int64_t asked = 0, found = 0, copied = 0;

  Tokens* find(Sequence sequence) {
    const auto at = sequences.find(sequence);
    return at == sequences.end() ? nullptr : &at->second;
  }
  /// Whether the page may be written: nobody else reads it, and nobody can find it.
  bool own(int32_t page) { return pool.references(page) == 1 && !pool.tree().contains(page); }

  /// The last of its pages is full now. Where the tree has another page with the same tokens, this one stays outside,
  /// and so do those behind it: a sequence uses all pages before one of the tree.
  void publish(Tokens& of) {
    const auto last = static_cast<int64_t>(of.pages.size()) - 1;
    if (!share || of.in_tree != last) return;
    const int32_t parent = last == 0 ? kv::kNoPage : of.pages[last - 1], page = of.pages[last];
    if (pool.tree().find(parent, std::as_const(pool.tree()).tokens(page)) != kv::kNoPage) return;
    pool.tree().insert(parent, page);
    ++of.in_tree;
  }
};

Result<KvPages> KvPages::create(const Options& options) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  if (options.pages < 1 || options.pages > kMost)
    return invalid_argument("kv_pages: options.pages is " + std::to_string(options.pages) +
                            ", expected 1 to 2147483647");
  if (options.page_size < 1 || options.page_size > kMost)
    return invalid_argument("kv_pages: options.page_size is " + std::to_string(options.page_size) +
                            ", expected 1 to 2147483647");
  try {
    return KvPages(std::make_shared<State>(options));
  } catch (const std::bad_alloc&) {
  } catch (const std::length_error&) {
  }
  return Status(StatusCode::out_of_memory, "kv_pages: no memory for the lists of " + std::to_string(options.pages) +
                                               " pages of " + std::to_string(options.page_size) + " tokens");
}

Result<KvPages::Begun> KvPages::begin(std::span<const int32_t> tokens) {
  State& s = *state_;
  Tokens made;
  const auto size = static_cast<size_t>(s.page_size);
  int32_t parent = kv::kNoPage;
  for (size_t at = 0; s.share && tokens.size() - at >= size; at += size) {
    const int32_t page = s.pool.tree().find(parent, tokens.subspan(at, size));
    if (page == kv::kNoPage) break;
    made.pages.push_back(page);
    parent = page;
  }
  for (const int32_t page : made.pages) s.pool.use(page);
  made.in_tree = static_cast<int64_t>(made.pages.size());
  made.length = made.in_tree * s.page_size;
  s.asked += static_cast<int64_t>(tokens.size());
  s.found += made.length;
  const Begun begun{s.next++, made.length};
  s.sequences.emplace(begun.sequence, std::move(made));
  return begun;
}

Result<std::optional<KvPages::Copy>> KvPages::append(Sequence sequence, std::span<const int32_t> tokens) {
  State& s = *state_;
  Tokens* of = s.find(sequence);
  if (of == nullptr) return no_sequence("append", sequence);
  std::optional<Copy> copy;
  if (tokens.empty()) return copy;
  const auto count = static_cast<int64_t>(tokens.size());
  const int64_t inside = of->length % s.page_size;  // of the last page
  const bool copies = inside > 0 && !s.own(of->pages.back());
  const int64_t whole = (of->length + count + s.page_size - 1) / s.page_size;
  const int64_t needed = whole - static_cast<int64_t>(of->pages.size()) + (copies ? 1 : 0);
  if (needed > s.pool.free() + s.pool.cached())
    return Status(StatusCode::out_of_memory, "kv_pages: append: " + std::to_string(needed) + " pages needed, " +
                                                 std::to_string(s.pool.free()) + " free and " +
                                                 std::to_string(s.pool.cached()) + " evictable of " +
                                                 std::to_string(s.pool.pages()));
  of->pages.reserve(static_cast<size_t>(whole));
  if (copies) {
    const int32_t from = of->pages.back(), to = s.pool.take();
    const auto known = std::as_const(s.pool.tree()).tokens(from).first(static_cast<size_t>(inside));
    std::copy(known.begin(), known.end(), s.pool.tree().tokens(to).begin());
    of->pages.back() = to;
    s.pool.let_go(from);
    copy = Copy{from, to, inside};
    ++s.copied;
  }
  for (int64_t done = 0; done < count;) {
    const int64_t slot = of->length % s.page_size;
    if (slot == 0) of->pages.push_back(s.pool.take());
    const int64_t n = std::min(count - done, s.page_size - slot);
    std::copy_n(tokens.begin() + done, n, s.pool.tree().tokens(of->pages.back()).begin() + slot);
    of->length += n;
    done += n;
    if (of->length % s.page_size == 0) s.publish(*of);
  }
  return copy;
}

Result<KvPages::Sequence> KvPages::fork(Sequence sequence) {
  State& s = *state_;
  const Tokens* of = s.find(sequence);
  if (of == nullptr) return no_sequence("fork", sequence);
  Tokens copy = *of;
  for (const int32_t page : copy.pages) s.pool.use(page);
  s.sequences.emplace(s.next, std::move(copy));
  return s.next++;
}

Status KvPages::truncate(Sequence sequence, int64_t length) {
  State& s = *state_;
  Tokens* of = s.find(sequence);
  if (of == nullptr) return no_sequence("truncate", sequence);
  if (length < 0 || length > of->length)
    return invalid_argument("kv_pages: truncate: length is " + std::to_string(length) + ", expected 0 to " +
                            std::to_string(of->length));
  const auto kept = static_cast<size_t>((length + s.page_size - 1) / s.page_size);
  while (of->pages.size() > kept) {
    s.pool.let_go(of->pages.back());
    of->pages.pop_back();
  }
  of->length = length;
  // The last page may be in the tree, for all of its tokens: appending makes a copy of it then.
  of->in_tree = std::min(of->in_tree, length / s.page_size);
  return {};
}

Status KvPages::end(Sequence sequence) {
  State& s = *state_;
  Tokens* of = s.find(sequence);
  if (of == nullptr) return no_sequence("end", sequence);
  for (size_t i = of->pages.size(); i-- > 0;) s.pool.let_go(of->pages[i]);
  s.sequences.erase(sequence);
  return {};
}

std::span<const int32_t> KvPages::pages(Sequence sequence) const {
  const Tokens* of = state_->find(sequence);
  return of == nullptr ? std::span<const int32_t>() : std::span<const int32_t>(of->pages);
}

int64_t KvPages::length(Sequence sequence) const {
  const Tokens* of = state_->find(sequence);
  return of == nullptr ? 0 : of->length;
}

int64_t KvPages::page_size() const { return state_->page_size; }

KvPages::Statistics KvPages::statistics() const {
  const State& s = *state_;
  Statistics out;
  out.pages = s.pool.pages();
  out.free = s.pool.free();
  out.cached = s.pool.cached();
  out.used = out.pages - out.free - out.cached;
  out.sequences = static_cast<int64_t>(s.sequences.size());
  out.asked_tokens = s.asked;
  out.found_tokens = s.found;
  out.evicted = s.pool.evicted();
  out.copied = s.copied;
  return out;
}

}  // namespace attend
