// SPDX-License-Identifier: Apache-2.0
// How fast the decoding kernels stream a cold cache, beside how fast the same threads read memory. Kernels are called
// through their contract (src/cpu/decode_kernel.hpp), without plans and schedules around them.
//
//   attend_decode_stream [--kernel avx512.f32] [--threads 2] [--keys 16384] [--mib 1024] [--huge] [--filter text]
#include <algorithm>
#include <attend/attend.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/mman.h>

#include "base/float16.hpp"
#include "base/rng.hpp"
#include "bench/statistics.hpp"
#include "cpu/isa.hpp"
#include "cpu/targets/target.hpp"

namespace attend::bench {
namespace {

using cpu::DecodeFormat;

constexpr int64_t kHeads = 8, kColumns = 128;

struct Options {
  std::string kernel = "avx512.f32", filter;
  int threads = 1;
  int64_t keys = 16384, mib = 1024;
  bool huge = false;
  int rounds = 5;
};

/// Anonymous memory, on 2-MiB pages if asked.
class Memory {
 public:
  Memory(int64_t bytes, bool huge) : bytes_(static_cast<size_t>(bytes + kHuge) / kHuge * kHuge) {
    raw_ = mmap(nullptr, bytes_ + kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw_ == MAP_FAILED) std::abort();
    data_ = static_cast<char*>(raw_) + (-reinterpret_cast<uintptr_t>(raw_) & (kHuge - 1));
    madvise(data_, bytes_, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { munmap(raw_, bytes_ + kHuge); }
  char* data() const { return data_; }
  size_t size() const { return bytes_; }

 private:
  static constexpr size_t kHuge = size_t{2} << 20;
  size_t bytes_;
  void* raw_;
  char* data_;
};

struct Format {
  const char* name;
  DecodeFormat format;
  int64_t row_bytes, scale_bytes;
};
constexpr Format kFormats[] = {
    {"f32", DecodeFormat::f32, kColumns * 4, 0},   {"f16", DecodeFormat::f16, kColumns * 2, 0},
    {"bf16", DecodeFormat::bf16, kColumns * 2, 0}, {"int8", DecodeFormat::int8, kColumns, 4},
    {"e4m3", DecodeFormat::e4m3, kColumns, 4},     {"int4_32", DecodeFormat::int4_32, kColumns / 2, 8},
};

/// Where the row of token t and head h of a layer lies.
struct Layout {
  const char* name;
  bool by_head;       ///< the order of calls: all tokens of a head first
  bool tokens_first;  ///< a page is [tokens][heads], else [heads][tokens]
  int64_t page;       ///< tokens; 0: all
  bool shuffled;
};
constexpr Layout kLayouts[] = {
    {"head-major", true, false, 0, false}, {"token-major", false, true, 0, false},
    {"pages16", false, true, 16, true},    {"pages16-head-major", false, false, 16, true},
    {"pages1", false, true, 1, true},
};

struct Cache {
  Cache(const Format& format, const Layout& layout, const Options& options)
      : keys(options.keys), page(layout.page == 0 ? options.keys : layout.page) {
    side_bytes = keys * kHeads * format.row_bytes;
    scale_bytes = keys * kHeads * format.scale_bytes;
    layers = std::max<int64_t>(1, (options.mib << 20) / (2 * (side_bytes + scale_bytes)));
    memory = std::make_unique<Memory>(layers * 2 * (side_bytes + scale_bytes), options.huge);
    fill(format.format);
    for (int64_t p = 0; p < keys / page; ++p) pages.push_back(static_cast<int32_t>(p));
    Rng rng(1);
    for (size_t i = pages.size(); layout.shuffled && i > 1; --i)
      std::swap(pages[i - 1], pages[static_cast<size_t>(rng.below(static_cast<int64_t>(i)))]);
  }

  void fill(DecodeFormat format) {
    std::vector<char> pattern(1 << 20);
    Rng rng(3);
    for (size_t i = 0; i < pattern.size(); i += 4) {
      const float x = static_cast<float>(rng.normal());
      if (format == DecodeFormat::f32)
        std::memcpy(&pattern[i], &x, 4);
      else if (format == DecodeFormat::f16 || format == DecodeFormat::bf16) {
        for (size_t j = 0; j < 4; j += 2) {
          const float y = static_cast<float>(rng.normal());
          const uint16_t bits = format == DecodeFormat::f16 ? f32_to_f16(y) : f32_to_bf16(y);
          std::memcpy(&pattern[i + j], &bits, 2);
        }
      } else {
        const uint32_t bits = static_cast<uint32_t>(rng.next()) & 0xf7f7f7f7U;
        std::memcpy(&pattern[i], &bits, 4);
      }
    }
    const int64_t rows = layers * 2 * side_bytes;
    for (int64_t at = 0; at < rows; at += 1 << 20)
      std::memcpy(memory->data() + at, pattern.data(), static_cast<size_t>(std::min<int64_t>(1 << 20, rows - at)));
    // Scales: f32 0.01 or two bf16 of about that.
    const uint32_t scale = 0x3c233c23U;
    for (int64_t at = 0; at < layers * 2 * scale_bytes; at += 4) std::memcpy(memory->data() + rows + at, &scale, 4);
  }
  const char* side(int64_t layer, bool v) const { return memory->data() + (layer * 2 + v) * side_bytes; }
  const char* scales(int64_t layer, bool v) const {
    return memory->data() + layers * 2 * side_bytes + (layer * 2 + v) * scale_bytes;
  }
  int64_t bytes() const { return layers * 2 * (side_bytes + scale_bytes); }

  int64_t keys, page, side_bytes = 0, scale_bytes = 0, layers = 0;
  std::unique_ptr<Memory> memory;
  std::vector<int32_t> pages;
};

/// Addresses of 64 tokens of K, V or scales; head h is `head` bytes on.
struct Addresses {
  const void* row[cpu::kDecodeKeys];
  int64_t head = 0;
  void set(const Cache& cache, const Layout& layout, const char* base, int64_t row_bytes, int64_t token) {
    const int64_t step = layout.tokens_first ? kHeads * row_bytes : row_bytes;
    head = layout.tokens_first ? row_bytes : cache.page * row_bytes;
    int64_t page = token / cache.page, in_page = token % cache.page;
    for (int i = 0; i < cpu::kDecodeKeys; ++i) {
      row[i] = base + cache.pages[static_cast<size_t>(page)] * cache.page * kHeads * row_bytes + in_page * step;
      if (++in_page < cache.page) continue;
      in_page = 0;
      ++page;
    }
  }
};

struct TokenBlock {
  Addresses k, v, k_scales, v_scales;
  void set(const Cache& cache, const Format& format, const Layout& layout, int64_t layer, int64_t token) {
    k.set(cache, layout, cache.side(layer, false), format.row_bytes, token);
    v.set(cache, layout, cache.side(layer, true), format.row_bytes, token);
    if (format.scale_bytes == 0) return;
    k_scales.set(cache, layout, cache.scales(layer, false), format.scale_bytes, token);
    v_scales.set(cache, layout, cache.scales(layer, true), format.scale_bytes, token);
  }
};

/// One thread's share of every layer: a range of tokens, all heads.
class Worker {
 public:
  Worker(const cpu::DecodeKernel& kernel, const Format& format, int rows)
      : kernel_(kernel), format_(format), rows_(rows), shape_{kColumns, kColumns, format.format, format.format} {
    stride_ = kernel.out_stride(shape_);
    q_bytes_ = (kernel.q_bytes(shape_, rows) + 63) / 64 * 64;
    memory_ = std::make_unique<Memory>(kHeads * (q_bytes_ + rows * (stride_ + cpu::kMaxLanes + 1) * 4 + 4096), true);
    q_ = memory_->data();
    sum_ = reinterpret_cast<float*>(q_ + kHeads * q_bytes_);
    out_ = sum_ + kHeads * rows * cpu::kMaxLanes;
    max_ = out_ + kHeads * rows * stride_;
    std::vector<float> q(static_cast<size_t>(rows * kColumns));
    Rng rng(7);
    for (float& x : q) x = static_cast<float>(rng.normal());
    std::vector<const void*> at;
    for (int i = 0; i < rows; ++i) at.push_back(q.data() + i * kColumns);
    for (int64_t h = 0; h < kHeads; ++h)
      kernel.pack_q(shape_, q_ + h * q_bytes_, at.data(), cpu::Element::f32, rows, 0.1F, nullptr, nullptr);
  }

  void run(const Cache& cache, const Layout& layout, int64_t begin, int64_t end) {
    for (int64_t layer = 0; layer < cache.layers; ++layer) {
      std::fill_n(sum_, kHeads * rows_ * cpu::kMaxLanes, 0.0F);
      std::fill_n(out_, kHeads * rows_ * stride_, 0.0F);
      std::fill_n(max_, kHeads * rows_, -INFINITY);
      TokenBlock blocks[2];
      const int64_t next_layer = std::min(layer + 1, cache.layers - 1);
      if (layout.by_head) {
        for (int64_t h = 0; h < kHeads; ++h)
          for (int64_t t = begin; t < end; t += cpu::kDecodeKeys) {
            TokenBlock &now = blocks[t / 64 % 2], &next = blocks[t / 64 % 2 ^ 1];
            if (t == begin) now.set(cache, format_, layout, layer, t);
            const bool last = t + cpu::kDecodeKeys >= end;
            next.set(cache, format_, layout, last && h + 1 == kHeads ? next_layer : layer,
                     last ? begin : t + cpu::kDecodeKeys);
            const int64_t next_head = last ? (h + 1) % kHeads : h;
            fetches_ = 0;
            fetch(next, next_head, 0, cpu::kDecodeKeys, 1);
            call(now, h);
          }
        continue;
      }
      for (int64_t t = begin; t < end; t += cpu::kDecodeKeys) {
        TokenBlock &now = blocks[t / 64 % 2], &next = blocks[t / 64 % 2 ^ 1];
        if (t == begin) now.set(cache, format_, layout, layer, t);
        const bool last = t + cpu::kDecodeKeys >= end;
        next.set(cache, format_, layout, last ? next_layer : layer, last ? begin : t + cpu::kDecodeKeys);
        for (int64_t h = 0; h < kHeads; ++h) {
          fetches_ = 0;
          if (layout.tokens_first) {
            fetch(next, 0, static_cast<int>(h) * 8, 8, kHeads);
          } else {
            fetch(h + 1 < kHeads ? now : next, (h + 1) % kHeads, 0, cpu::kDecodeKeys, 1);
          }
          call(now, h);
        }
      }
    }
  }

 private:
  void fetch(const TokenBlock& from, int64_t head, int first, int count, int64_t heads) {
    const auto one = [&](const Addresses& at, int64_t bytes) {
      for (int i = first; bytes > 0 && i < first + count; ++i) {
        const char* begin = static_cast<const char*>(at.row[i]) + head * at.head;
        cpu::DecodeFetch& before = fetch_[std::max(fetches_ - 1, 0)];
        if (i > first && static_cast<const char*>(before.from) + before.bytes == begin)
          before.bytes += heads * bytes;
        else
          fetch_[fetches_++] = {begin, heads * bytes};
      }
    };
    one(from.k, format_.row_bytes);
    one(from.k_scales, format_.scale_bytes);
    one(from.v, format_.row_bytes);
    one(from.v_scales, format_.scale_bytes);
  }
  void call(const TokenBlock& at, int64_t h) {
    cpu::DecodeBlock block;
    block.shape = shape_;
    block.rows = rows_;
    block.keys = cpu::kDecodeKeys;
    block.q = q_ + h * q_bytes_;
    block.k = {at.k.row, h * at.k.head, format_.scale_bytes > 0 ? at.k_scales.row : nullptr, h * at.k_scales.head};
    block.v = {at.v.row, h * at.v.head, format_.scale_bytes > 0 ? at.v_scales.row : nullptr, h * at.v_scales.head};
    block.fetch = fetch_;
    block.fetches = fetches_;
    block.max = max_ + h * rows_;
    block.sum = sum_ + h * rows_ * cpu::kMaxLanes;
    block.out = out_ + h * rows_ * stride_;
    block.out_stride = stride_;
    kernel_.run_block(block);
  }

  const cpu::DecodeKernel& kernel_;
  const Format& format_;
  int rows_;
  cpu::DecodeShape shape_;
  int64_t stride_ = 0, q_bytes_ = 0;
  std::unique_ptr<Memory> memory_;
  char* q_ = nullptr;
  float *sum_ = nullptr, *out_ = nullptr, *max_ = nullptr;
  cpu::DecodeFetch fetch_[4 * cpu::kDecodeKeys];
  int fetches_ = 0;
};

/// Seconds that the slowest thread ran: what it waited for a core does not count, so that other processes cost less.
double seconds_of(int threads, const std::function<void(int)>& body) {
  std::vector<double> seconds(static_cast<size_t>(threads));
  const auto timed = [&](int i) {
    const auto now = [] {
      timespec t;
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
      return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
    };
    const double begin = now();
    body(i);
    seconds[static_cast<size_t>(i)] = now() - begin;
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(timed, i);
  timed(0);
  for (std::thread& each : others) each.join();
  return *std::max_element(seconds.begin(), seconds.end());
}

const cpu::DecodeKernel* find(const std::string& name) {
#define ATTEND_CPU_DECODE(target, arithmetic, why) \
  if (name == #target "." #arithmetic) return &cpu::target::kDecode_##arithmetic;
#include "cpu/kernels.def"
  return nullptr;
}

void measure(const Options& o, const Format& format, const Layout& layout, int rows) {
  const std::string name = std::string(format.name) + " " + layout.name + " rows " + std::to_string(rows);
  if (name.find(o.filter) == std::string::npos) return;
  const Cache cache(format, layout, o);
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < o.threads; ++i) workers.push_back(std::make_unique<Worker>(*find(o.kernel), format, rows));
  const std::vector<cpu::Target> targets = cpu::targets();
  const cpu::PeakLoops* peaks = nullptr;
  for (const cpu::Target& each : targets)
    if (each.unavailable.empty()) peaks = each.peaks;
  std::vector<double> stream, read, ratio;
  float keep = 0;
  for (int round = 0; round < o.rounds; ++round) {
    const int64_t floats = cache.bytes() / 4 / o.threads / 128 * 128;
    const double r = seconds_of(o.threads, [&](int i) {
      const float x = peaks->read(reinterpret_cast<const float*>(cache.memory->data()) + i * floats, floats);
      if (i == 0) keep += x;
    });
    const double s = seconds_of(o.threads, [&](int i) {
      const int64_t share = cache.keys / o.threads / 64 * 64;
      workers[static_cast<size_t>(i)]->run(cache, layout, i * share, i + 1 == o.threads ? cache.keys : (i + 1) * share);
    });
    if (round == 0) continue;  // first touch of code and tables
    stream.push_back(static_cast<double>(cache.bytes()) / s * 1e-9);
    read.push_back(static_cast<double>(floats * 4 * o.threads) / r * 1e-9);
    ratio.push_back(stream.back() / read.back());
  }
  const double tokens = median(stream) * 1e9 / static_cast<double>(cache.bytes()) *
                        static_cast<double>(cache.layers * cache.keys * kHeads);
  std::printf("%-32s %6.2f GB/s  read %6.2f GB/s  share %3.0f %%  %7.2f M keys/s%s\n", name.c_str(), median(stream),
              median(read), 100 * median(ratio), tokens * 1e-6, std::isnan(keep) ? " " : "");
  std::fflush(stdout);
}

}  // namespace
}  // namespace attend::bench

int main(int argc, char** argv) {
  using namespace attend::bench;
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&] { return i + 1 < argc ? argv[++i] : ""; };
    if (word == "--kernel")
      o.kernel = value();
    else if (word == "--threads")
      o.threads = std::atoi(value());
    else if (word == "--keys")
      o.keys = std::atoll(value());
    else if (word == "--mib")
      o.mib = std::atoll(value());
    else if (word == "--rounds")
      o.rounds = std::atoi(value());
    else if (word == "--filter")
      o.filter = value();
    else if (word == "--huge")
      o.huge = true;
    else {
      std::fprintf(stderr, "unknown option %s\n", argv[i]);
      return 2;
    }
  }
  if (find(o.kernel) == nullptr || o.threads < 1 || o.keys < 64 * o.threads || o.rounds < 2) {
    std::fprintf(stderr, "no kernel %s, or a size too small\n", o.kernel.c_str());
    return 2;
  }
  std::printf("%s, %d threads, %lld keys, %lld MiB, %s pages\n", o.kernel.c_str(), o.threads,
              static_cast<long long>(o.keys), static_cast<long long>(o.mib), o.huge ? "2-MiB" : "4-KiB");
  for (const Format& format : kFormats)
    for (const auto& layout : kLayouts)
      for (const int rows : {1, 4, 8, 16}) measure(o, format, layout, rows);
  return 0;
}
