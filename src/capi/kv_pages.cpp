// SPDX-License-Identifier: Apache-2.0
#include <attend/kv_pages.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "capi/structs.hpp"

struct attend_kv_pages {
  attend::KvPages pages;
};

using attend::KvPages;
using attend::Result;
using attend::Status;
using attend::capi::guarded;
using attend::capi::refuse;
using attend::capi::refuse_null;

namespace {

constexpr const char* kPages = "pages of attend_kv_pages_create";

Status read_tokens(const char* operation, const int32_t* tokens, int64_t count, std::span<const int32_t>* to) {
  if (count < 0) return refuse(operation, "count", std::to_string(count), "0 or more");
  if (count > 0 && tokens == nullptr) return refuse_null(operation, "tokens", std::to_string(count) + " tokens");
  *to = {tokens, static_cast<size_t>(count)};
  return {};
}

}  // namespace

attend_status attend_kv_pages_create(int64_t pages, int64_t page_size, int32_t share_prefixes, attend_kv_pages** made) {
  constexpr const char* kOperation = "kv_pages_create";
  if (made != nullptr) *made = nullptr;
  return guarded(kOperation, [&]() -> Status {
    if (made == nullptr) return refuse_null(kOperation, "made", "where to put the handle");
    KvPages::Options options{pages, page_size, true};
    ATTEND_CAPI_TRY(attend::capi::read_flag(kOperation, "share_prefixes", share_prefixes, &options.share_prefixes));
    Result<KvPages> created = KvPages::create(options);
    if (!created.ok()) return created.status();
    *made = std::make_unique<attend_kv_pages>(attend_kv_pages{std::move(created).value()}).release();
    return {};
  });
}

void attend_kv_pages_destroy(attend_kv_pages* pages) { delete pages; }

attend_status attend_kv_pages_begin(attend_kv_pages* pages, const int32_t* tokens, int64_t count, int64_t* sequence,
                                    int64_t* cached) {
  constexpr const char* kOperation = "kv_pages_begin";
  return guarded(kOperation, [&]() -> Status {
    if (pages == nullptr) return refuse_null(kOperation, "pages", kPages);
    if (sequence == nullptr) return refuse_null(kOperation, "sequence", "where to put the sequence");
    if (cached == nullptr) return refuse_null(kOperation, "cached", "where to put the number of cached tokens");
    std::span<const int32_t> list;
    ATTEND_CAPI_TRY(read_tokens(kOperation, tokens, count, &list));
    const Result<KvPages::Begun> begun = pages->pages.begin(list);
    if (!begun.ok()) return begun.status();
    *sequence = begun->sequence;
    *cached = begun->cached_tokens;
    return {};
  });
}

attend_status attend_kv_pages_append(attend_kv_pages* pages, int64_t sequence, const int32_t* tokens, int64_t count,
                                     attend_kv_copy* copy) {
  constexpr const char* kOperation = "kv_pages_append";
  return guarded(kOperation, [&]() -> Status {
    if (pages == nullptr) return refuse_null(kOperation, "pages", kPages);
    std::span<const int32_t> list;
    ATTEND_CAPI_TRY(read_tokens(kOperation, tokens, count, &list));
    // Before anything changes: an append whose copy nobody hears of would lose tokens.
    attend_kv_copy known = attend_kv_copy_init();
    ATTEND_CAPI_TRY(attend::capi::write_struct(kOperation, "copy", known, copy));
    const Result<std::optional<KvPages::Copy>> appended = pages->pages.append(sequence, list);
    if (!appended.ok()) return appended.status();
    if (!appended->has_value()) return {};
    known.from = (*appended)->from;
    known.to = (*appended)->to;
    known.tokens = (*appended)->tokens;
    return attend::capi::write_struct(kOperation, "copy", known, copy);
  });
}

attend_status attend_kv_pages_fork(attend_kv_pages* pages, int64_t sequence, int64_t* forked) {
  constexpr const char* kOperation = "kv_pages_fork";
  return guarded(kOperation, [&]() -> Status {
    if (pages == nullptr) return refuse_null(kOperation, "pages", kPages);
    if (forked == nullptr) return refuse_null(kOperation, "forked", "where to put the sequence");
    const Result<KvPages::Sequence> made = pages->pages.fork(sequence);
    if (!made.ok()) return made.status();
    *forked = *made;
    return {};
  });
}

attend_status attend_kv_pages_truncate(attend_kv_pages* pages, int64_t sequence, int64_t length) {
  constexpr const char* kOperation = "kv_pages_truncate";
  return guarded(kOperation, [&]() -> Status {
    if (pages == nullptr) return refuse_null(kOperation, "pages", kPages);
    return pages->pages.truncate(sequence, length);
  });
}

attend_status attend_kv_pages_end(attend_kv_pages* pages, int64_t sequence) {
  constexpr const char* kOperation = "kv_pages_end";
  return guarded(kOperation, [&]() -> Status {
    if (pages == nullptr) return refuse_null(kOperation, "pages", kPages);
    return pages->pages.end(sequence);
  });
}

attend_status attend_kv_pages_lookup(const attend_kv_pages* pages, int64_t sequence, const int32_t** list,
                                     int64_t* count, int64_t* length) {
  constexpr const char* kOperation = "kv_pages_lookup";
  return guarded(kOperation, [&]() -> Status {
    if (pages == nullptr) return refuse_null(kOperation, "pages", kPages);
    const std::span<const int32_t> found = pages->pages.pages(sequence);
    if (list != nullptr) *list = found.data();
    if (count != nullptr) *count = static_cast<int64_t>(found.size());
    if (length != nullptr) *length = pages->pages.length(sequence);
    return {};
  });
}

attend_status attend_kv_pages_query(const attend_kv_pages* pages, attend_kv_pages_info* info) {
  constexpr const char* kOperation = "kv_pages_query";
  return guarded(kOperation, [&]() -> Status {
    if (pages == nullptr) return refuse_null(kOperation, "pages", kPages);
    const KvPages::Statistics now = pages->pages.statistics();
    attend_kv_pages_info known = attend_kv_pages_info_init();
    known.pages = now.pages;
    known.page_size = pages->pages.page_size();
    known.free = now.free;
    known.used = now.used;
    known.cached = now.cached;
    known.sequences = now.sequences;
    known.asked_tokens = now.asked_tokens;
    known.found_tokens = now.found_tokens;
    known.evicted = now.evicted;
    known.copied = now.copied;
    return attend::capi::write_struct(kOperation, "info", known, info);
  });
}
