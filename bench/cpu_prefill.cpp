// SPDX-License-Identifier: Apache-2.0
// The suite whose bars are the library's promise for long inputs on a CPU with AVX-512 and BF16 dot products.
#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "suites.hpp"

namespace attend::bench {
namespace {

constexpr int64_t kHeads = 8;
constexpr std::array<int64_t, 4> kLengths = {512, 1024, 2048, 4096};
constexpr std::array<int64_t, 2> kColumns = {64, 128};
constexpr std::array<const char*, 2> kMasks = {"none", "causal"};

/// Parts of a problem line; batch 1.
struct Shape {
  std::string dtype = "f32", mask = "none";
  int64_t n = 0, d = 64, dv = 0;
  int64_t hq = kHeads, hk = kHeads;

  std::string line() const {
    std::string text = fmt::format("attention_fwd b=1 hq={} hk={} sq={} sk={} d={}", hq, hk, n, n, d);
    if (dv > 0 && dv != d) text += fmt::format(" dv={}", dv);
    text += " dtype=" + dtype;
    if (mask != "none") text += " mask=" + mask;
    return text;
  }
  Subject subject(int threads = 1) const { return {line(), threads, "", Contender::attend}; }
  std::string mask_word() const { return mask == "none" ? "full" : mask; }
};

// Shares of the measured peak. Columns: element type, mask, d, from N, to N, share.
struct ShareRow {
  const char *dtype, *mask;
  int64_t d, from, to;
  double share;
};
constexpr ShareRow kShares[] = {
    {"f32", "none", 64, 1024, 1 << 20, 0.87},  {"f32", "none", 128, 1024, 1 << 20, 0.89},
    {"f32", "causal", 64, 4096, 4096, 0.86},   {"f32", "causal", 128, 4096, 4096, 0.86},
    {"f32", "causal", 64, 512, 512, 0.72},     {"f32", "causal", 128, 512, 512, 0.72},
    {"bf16", "none", 64, 1024, 1 << 20, 0.82}, {"bf16", "none", 128, 1024, 1 << 20, 0.86},
    {"bf16", "causal", 64, 4096, 4096, 0.80},  {"bf16", "causal", 128, 4096, 4096, 0.80},
    {"bf16", "causal", 64, 512, 512, 0.65},    {"bf16", "causal", 128, 512, 512, 0.65},
};

std::optional<Bar> share_bar(const Shape& shape) {
  for (const ShareRow& row : kShares)
    if (shape.dtype == row.dtype && shape.mask == row.mask && shape.d == row.d && shape.n >= row.from &&
        shape.n <= row.to)
      return Bar{Bar::Kind::share, row.share, std::nullopt, "share of peak"};
  return std::nullopt;
}

Bar rate_bar(double limit, const Subject& against, std::string what) {
  return {Bar::Kind::rate, limit, against, std::move(what)};
}

Bar openblas_bar(const Shape& shape, int threads = 1) {
  return rate_bar(1.0, {shape.line(), threads, "", Contender::openblas}, "rate over unfused OpenBLAS");
}

Bar workspace_bar() { return {Bar::Kind::workspace, 1.0, std::nullopt, "workspace over packed K, V + 4 MiB"}; }

class Table {
 public:
  Case& add(const std::string& group, const Subject& subject) {
    rows_.push_back({group, subject, {workspace_bar()}});
    return rows_.back();
  }
  std::vector<Case> take() { return std::move(rows_); }

 private:
  std::vector<Case> rows_;
};

/// Types x columns x lengths x full and causal on one thread.
void add_grid(Table& table) {
  for (const char* dtype : {"f32", "bf16", "f16"})
    for (const char* mask : kMasks)
      for (const int64_t d : kColumns)
        for (const int64_t n : kLengths) {
          Shape shape{.dtype = dtype, .mask = mask, .n = n, .d = d};
          Case& line = table.add(std::string(dtype) + " " + shape.mask_word(), shape.subject());
          if (const auto bar = share_bar(shape)) line.bars.push_back(*bar);
          if (shape.dtype == "f32") line.bars.push_back(openblas_bar(shape));
          if (shape.dtype == "f16") {
            Shape f32 = shape;
            f32.dtype = "f32";
            line.bars.push_back(rate_bar(0.97, f32.subject(), "rate over f32"));
          }
        }
}

/// Lengths and columns that no vector divides, against the nearest size that they do.
void add_ragged(Table& table) {
  struct Pair {
    int64_t n, aligned_n, d, dv, aligned_d;
  };
  // For d between two powers of two the one that pads less, and 64 rather than 32 for 40: its rate is the higher one.
  constexpr Pair kPairs[] = {
      {777, 768, 64, 64, 64},    {777, 768, 128, 128, 128}, {1000, 1024, 64, 64, 64},  {1000, 1024, 128, 128, 128},
      {2048, 2048, 40, 40, 64},  {2048, 2048, 80, 80, 64},  {2048, 2048, 96, 96, 128}, {2048, 2048, 192, 128, 128},
      {2048, 2048, 64, 128, 64}, {2048, 2048, 128, 64, 64},
  };
  for (const char* dtype : {"f32", "bf16"})
    for (const char* mask : kMasks)
      for (const Pair& pair : kPairs) {
        const bool ragged = pair.n != pair.aligned_n;
        if (!ragged && mask != kMasks[0]) continue;
        const Shape shape{.dtype = dtype, .mask = mask, .n = pair.n, .d = pair.d, .dv = pair.dv};
        const Shape aligned{.dtype = dtype, .mask = mask, .n = pair.aligned_n, .d = pair.aligned_d};
        const std::string what =
            ragged ? fmt::format("rate over N={}", pair.aligned_n) : fmt::format("rate over d={}", pair.aligned_d);
        table.add(std::string(dtype) + (ragged ? " ragged N" : " odd d, dv"), shape.subject())
            .bars.push_back(rate_bar(0.85, aligned.subject(), what));
      }
}

/// Masks that leave most pairs out, against the rate of full attention. That is taken at N = 2048, where it has reached
/// its plateau: the same work at N = 8192 would take sixteen times as long.
void add_sparse(Table& table) {
  const auto add = [&](const char* dtype, int64_t d, int64_t n, const std::string& group, const std::string& mask) {
    const Shape shape{.dtype = dtype, .mask = mask, .n = n, .d = d};
    const Shape full{.dtype = dtype, .mask = "none", .n = 2048, .d = d};
    table.add(std::string(dtype) + " " + group, shape.subject())
        .bars.push_back({Bar::Kind::time, 1.2, full.subject(), "time over visible pairs / full rate"});
  };
  // Fifteen documents of 37 to 1800 tokens, no length of which a tile divides.
  const std::string documents = "documents:0,37,300,1111,1500,2600,2731,3500,3999,4100,5900,6023,7001,7400,7777,8192";
  for (const char* dtype : {"f32", "bf16"})
    for (const int64_t d : kColumns) {
      add(dtype, d, 8192, "window 512", "window:512:0");
      add(dtype, d, 8192, "documents", documents);
      add(dtype, d, 8192, "documents", "causal&" + documents);
      for (const int64_t n : {4096, 8192}) {
        add(dtype, d, n, "block-sparse 75 %", "block_sparse:64x64:random:0.25:7");
        add(dtype, d, n, "block-sparse 90 %", "block_sparse:64x64:random:0.10:7");
      }
    }
}

/// The kernel for machines without AVX-512, against their peak.
void add_avx2(Table& table) {
  for (const char* mask : kMasks)
    for (const int64_t d : kColumns) {
      const Shape shape{.dtype = "f32", .mask = mask, .n = 2048, .d = d};
      Subject subject = shape.subject();
      subject.kernel = "attention_fwd.avx2.f32";
      Case& line = table.add("f32 AVX2", subject);
      if (shape.mask == "none") line.bars.push_back({Bar::Kind::share, 0.85, std::nullopt, "share of AVX2 peak"});
    }
}

/// The BF16 dot product kernel by name: where its instruction is slower than f32 FMA (Intel's so far), the library
/// prefers another row for bf16 problems, and these lines show what this one makes of its own peak.
void add_bf16_dot(Table& table) {
  for (const char* mask : kMasks)
    for (const int64_t d : kColumns)
      for (const int64_t n : {512, 1024, 4096}) {
        const Shape shape{.dtype = "bf16", .mask = mask, .n = n, .d = d};
        const auto bar = share_bar(shape);
        if (!bar) continue;
        Subject subject = shape.subject();
        subject.kernel = "attention_fwd.avx512_bf16.bf16_dot";
        table.add("bf16 dot kernel", subject).bars.push_back(*bar);
      }
}

/// Where packing and start-up could cost more than they bring.
void add_small(Table& table) {
  for (const int threads : {1, 2})
    for (const char* mask : kMasks)
      for (const int64_t d : kColumns)
        for (const int64_t n : {32, 64, 128, 256}) {
          const Shape shape{.dtype = "f32", .mask = mask, .n = n, .d = d};
          table.add("f32 small N", shape.subject(threads)).bars.push_back(openblas_bar(shape, threads));
        }
}

void add_threads(Table& table) {
  for (const char* dtype : {"f32", "bf16"})
    for (const char* mask : kMasks)
      for (const int64_t d : kColumns)
        for (const int64_t n : kLengths) {
          const Shape shape{.dtype = dtype, .mask = mask, .n = n, .d = d};
          Case& line = table.add(std::string(dtype) + " 2 threads", shape.subject(2));
          line.bars.push_back(rate_bar(1.9, shape.subject(1), "rate over 1 thread"));
        }
}

/// Query heads that share key heads, the shape of today's language models. No bar of its own.
void add_grouped(Table& table) {
  for (const char* dtype : {"f32", "bf16"})
    for (const int64_t n : {1024, 4096}) {
      const Shape shape{.dtype = dtype, .mask = "causal", .n = n, .d = 128, .hq = 32, .hk = 8};
      table.add(std::string(dtype) + " grouped 32/8", shape.subject());
    }
}

}  // namespace

std::vector<Case> cpu_prefill_cases() {
  Table table;
  add_grid(table);
  add_ragged(table);
  add_sparse(table);
  add_avx2(table);
  add_bf16_dot(table);
  add_small(table);
  add_threads(table);
  add_grouped(table);
  return table.take();
}

}  // namespace attend::bench
