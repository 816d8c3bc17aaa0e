// SPDX-License-Identifier: Apache-2.0
// Suites of serving: one query against long caches at the speed of memory, and steps that mix what arrives.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "suites.hpp"

namespace attend::bench {
namespace {

/// A step of one sequence: 32 query heads, 8 key heads, d = 128.
struct Step {
  std::string dtype = "bf16", format = "";  ///< format: empty for plain
  std::string layout = "bhsd";         ///< head-major, or bshd: token-major
  int64_t keys = 16384, queries = 1, page = 0;

  std::string line() const {
    std::string text = fmt::format("attention_fwd b=1 hq=32 hk=8 sq={} sk={} d=128 dtype={}", queries, keys, dtype);
    if (layout != "bshd") text += " layout=" + layout;
    text += page == 0 ? fmt::format(" cache=contiguous:1:{}", keys)
                      : fmt::format(" cache=paged:{}:{} pages=shuffled:1", (keys + page - 1) / page, page);
    if (!format.empty()) text += " kv_format=" + format;
    if (queries > 1) text += " mask=causal";
    return text;
  }
  Subject cold(int threads) const { return {line(), threads, "", Contender::attend, true}; }
};

std::string threads_word(int threads) { return threads == 1 ? "1 thread" : fmt::format("{} threads", threads); }

Bar rate_over(double limit, const Subject& against, std::string what) {
  return {Bar::Kind::rate, limit, against, std::move(what)};
}

/// Share of the memory's speed. Columns: element type, threads, share.
struct BandwidthRow {
  const char* dtype;
  int threads;
  double share;
};
constexpr BandwidthRow kBandwidth[] = {{"bf16", 1, 0.80}, {"bf16", 2, 0.88}, {"f32", 1, 0.80},
                                       {"f32", 2, 0.88},  {"f16", 1, 0.62},  {"f16", 2, 0.88}};

void add_plain(std::vector<Case>& cases) {
  for (const BandwidthRow& row : kBandwidth)
    for (const int64_t keys : {4096, 16384, 65536}) {
      const Step step{.dtype = row.dtype, .keys = keys};
      cases.push_back({fmt::format("{} {}", row.dtype, threads_word(row.threads)),
                       step.cold(row.threads),
                       {{Bar::Kind::bandwidth, row.share, std::nullopt, "share of memory's speed"}}});
    }
}

void add_low_bit(std::vector<Case>& cases) {
  for (const int threads : {1, 2})
    for (const char* format : {"int8", "int4_32", "int4_64", "e4m3"})
      for (const int64_t keys : {4096, 65536}) {
        const Step step{.format = format, .keys = keys}, bf16{.keys = keys}, int8{.format = "int8", .keys = keys};
        Case line{fmt::format("{} {}", format, threads_word(threads)), step.cold(threads), {}};
        const bool is_int4 = std::string(format).starts_with("int4");
        if (std::string(format) == "int8")
          line.bars.push_back(rate_over(threads == 1 ? 1.5 : 1.7, bf16.cold(threads), "rate over bf16"));
        if (is_int4 && threads == 2) line.bars.push_back(rate_over(2, bf16.cold(threads), "rate over bf16"));
        if (is_int4 && threads == 1) line.bars.push_back(rate_over(1, int8.cold(threads), "rate over int8"));
        cases.push_back(std::move(line));
      }
}

void add_placements(std::vector<Case>& cases) {
  for (const int threads : {1, 2})
    for (const char* format : {"", "int8"}) {
      const Step plain{.format = format};
      Step token_major = plain, pages = plain, single = plain;
      token_major.layout = "bshd";
      pages.page = 16;
      single.page = 1;
      const std::string name = *format == 0 ? "bf16" : format;
      const auto add = [&](const char* what, const Step& step, double limit) {
        cases.push_back({fmt::format("{} {} {}", name, what, threads_word(threads)),
                         step.cold(threads),
                         {rate_over(limit, plain.cold(threads), "rate over head-major")}});
      };
      add("token-major", token_major, 0.90);
      add("pages of 16", pages, 0.92);
      add("pages of 1", single, 0.70);
    }
}

void add_short(std::vector<Case>& cases) {
  const Step step{.keys = 1024};
  cases.push_back({"bf16 1k", step.cold(2), {{Bar::Kind::seconds, 0.25e-3, std::nullopt, "seconds"}}});
  cases.push_back({"bf16 1k", step.cold(1), {}});
}

void add_rows(std::vector<Case>& cases) {
  for (const int threads : {1, 2})
    for (const int64_t queries : {2, 4, 8, 16}) {
      Step step, one;
      step.queries = queries;
      Case line{fmt::format("bf16 {} queries {}", queries, threads_word(threads)), step.cold(threads), {}};
      line.bars.push_back({Bar::Kind::elapsed, 1.3, one.cold(threads), "time over that of one query"});
      cases.push_back(std::move(line));
    }
}

/// Prompts that arrive in a cache of low precision, against bf16.
void add_prefill(std::vector<Case>& cases) {
  for (const char* format : {"int8", "int4_32", "e4m3"}) {
    Step step{.format = format, .keys = 4096, .queries = 1024}, bf16 = step;
    bf16.format.clear();
    const auto hot = [](const Step& each) { return Subject{each.line(), 1, "", Contender::attend, false}; };
    cases.push_back(
        {fmt::format("{} prefill", format), hot(step), {rate_over(0.90, hot(bf16), "rate over bf16 prefill")}});
  }
}

/// 32 sequences that share 8192 tokens and have 256 of their own.
void add_cascade(std::vector<Case>& cases) {
  for (const int64_t key_heads : {8, 32})
    for (const int threads : {1, 2}) {
      Subject cascade{fmt::format("attention_fwd b=32 hq=32 hk={} sq=1 sk=8448 d=128 dtype=bf16 mask=causal "
                                  "cache=paged:1100:16 pages=shared:8192:1",
                                  key_heads),
                      threads,
                      "",
                      Contender::attend,
                      false,
                      false};
      Subject flat = cascade;
      flat.flat = true;
      cases.push_back({fmt::format("cascade 32/{} {}", key_heads, threads_word(threads)),
                       cascade,
                       {{Bar::Kind::elapsed, 1.0 / 8, flat, "time over the flat time"}}});
    }
}

}  // namespace

std::vector<Case> cpu_decode_cases() {
  std::vector<Case> cases;
  add_plain(cases);
  add_low_bit(cases);
  add_placements(cases);
  add_short(cases);
  add_rows(cases);
  return cases;
}

std::vector<Case> cpu_serve_cases() {
  std::vector<Case> cases;
  add_prefill(cases);
  add_cascade(cases);
  const auto add = [&](const char* group, const char* rest, int threads) {
    cases.push_back({group,
                     {std::string("attention_fwd hq=32 hk=8 d=128 dtype=bf16 mask=causal ") + rest, threads, "",
                      Contender::attend, true},
                     {}});
  };
  for (const int threads : {1, 2}) {
    add("32 sequences decode", "b=32 sq=1 sk=2048 cache=paged:4096:16 pages=shuffled:1", threads);
    add("16 decode, 1 prefills",
        "b=17 sq=1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,512 "
        "sk=2048,2048,2048,2048,2048,2048,2048,2048,2048,2048,2048,2048,2048,2048,2048,2048,512 "
        "cache=paged:2200:16 pages=shuffled:1",
        threads);
    add("8 drafts of 4", "b=8 sq=4 sk=2048 cache=paged:1100:16 pages=shuffled:1", threads);
  }
  return cases;
}

}  // namespace attend::bench
