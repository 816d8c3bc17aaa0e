// SPDX-License-Identifier: Apache-2.0
#include "cpu/isa.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "cpu/targets/target.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace attend::cpu {

namespace {

#if defined(__x86_64__)
struct Registers {
  unsigned a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(unsigned leaf, unsigned subleaf = 0) {
  Registers r;
  if (__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d) == 0) return {};
  return r;
}

/// Register state that the operating system saves: bits 1-2 for AVX, 5-7 for AVX-512.
uint64_t saved_state() {
  if ((cpuid(1).c >> 27 & 1) == 0) return 0;
  uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
}

struct Feature {
  std::string_view name;
  bool present;
};

std::array<Feature, 8> read_features() {
  const Registers l1 = cpuid(1), l7 = cpuid(7), l71 = cpuid(7, 1);
  const bool avx = (saved_state() & 0x06) == 0x06, avx512 = (saved_state() & 0xe6) == 0xe6;
  return {{
      {"fma", avx && (l1.c >> 12 & 1)},
      {"f16c", avx && (l1.c >> 29 & 1)},
      {"avx2", avx && (l7.b >> 5 & 1)},
      {"avx512f", avx512 && (l7.b >> 16 & 1)},
      {"avx512dq", avx512 && (l7.b >> 17 & 1)},
      {"avx512bw", avx512 && (l7.b >> 30 & 1)},
      {"avx512vl", avx512 && (l7.b >> 31 & 1)},
      {"avx512_bf16", avx512 && (l71.a >> 5 & 1)},
  }};
}

bool has_feature(std::string_view name) {
  // Once: virtual machines trap on CPUID, which took 1.4 ms of every plan.
  static const std::array<Feature, 8> features = read_features();
  for (const Feature& feature : features)
    if (feature.name == name) return feature.present;
  return false;
}
#else
bool has_feature(std::string_view) { return false; }
#endif

/// The first of the space-separated features that the CPU lacks.
std::string missing_feature(std::string_view needs) {
  while (!needs.empty()) {
    const size_t space = std::min(needs.find(' '), needs.size());
    if (!has_feature(needs.substr(0, space))) return std::string(needs.substr(0, space));
    needs.remove_prefix(std::min(space + 1, needs.size()));
  }
  return {};
}

}  // namespace

std::vector<Target> targets() {
  std::vector<Target> rows;
  const char* limit = std::getenv("ATTEND_MAX_ISA");
  bool above = false;
  const auto add = [&](const char* name, const char* needs, const PeakLoops& peaks) {
    Target target{name, {}, &peaks};
    const std::string missing = missing_feature(needs);
    if (!missing.empty()) {
      target.unavailable = "the CPU or the operating system lacks " + missing;
    } else if (above) {
      target.unavailable = std::string("ATTEND_MAX_ISA is ") + limit;
    }
    above = above || (limit != nullptr && std::strcmp(limit, name) == 0);
    rows.push_back(target);
  };
#define ATTEND_CPU_TARGET(target, needs) add(#target, needs, target::kPeakLoops);
#include "cpu/kernels.def"
  return rows;
}

#if defined(__x86_64__)
std::string cpu_vendor() {
  static const Registers r = cpuid(0);
  char text[13] = {};
  std::memcpy(text, &r.b, 4);
  std::memcpy(text + 4, &r.d, 4);
  std::memcpy(text + 8, &r.c, 4);
  return text;
}

std::string cpu_model() {
  char text[49] = {};
  for (unsigned i = 0; i < 3; ++i) {
    const Registers r = cpuid(0x80000002U + i);
    std::memcpy(text + 16 * i, &r, 16);
  }
  return text;
}

// vdpbf16ps does 64 flop where FMA does 32. Zen 4 and later issue as many of it as of FMA (measured 231 against 116
// GFLOP/s a core); an Intel core with two 512-bit FMA ports issues a quarter (measured 123 against 245), so widening
// wins there.
std::string slow_bf16_dot() {
  if (cpu_vendor() == "AuthenticAMD") return {};
  return "bf16 dot products are slower than f32 FMA on " + cpu_vendor() + " CPUs (docs/cpu-kernels.md)";
}
#else
std::string cpu_vendor() { return "unknown"; }
std::string cpu_model() { return "unknown"; }
std::string slow_bf16_dot() { return "this CPU has no bf16 dot products"; }
#endif

}  // namespace attend::cpu
