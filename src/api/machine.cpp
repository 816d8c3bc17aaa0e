// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>
#include <attend/machine.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "cpu/isa.hpp"
#include "cpu/parallel.hpp"

namespace attend {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Keeps results that nobody reads from being optimised away.
std::atomic<float> result_sink;

const cpu::PeakLoops* loops_of(const std::string& isa) {
  for (const cpu::Target& target : cpu::targets())
    if (target.name == isa && target.unavailable.empty()) return target.peaks;
  return nullptr;
}

/// Median rate of passes that all threads make at the same time; `pass` returns the work of one thread. The median, not
/// the best: a boost that lasts a millisecond is no rate that a kernel could hold. Passes that took more than twice the
/// fastest one's time do not count: there a thread was not running yet, which can last milliseconds.
template <class Pass>
double median_rate(int threads, double seconds, const Pass& pass) {
  constexpr size_t kFewest = 3;
  constexpr double kPatience = 0.2;  // seconds
  std::vector<double> rates;
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    const auto begin = std::chrono::steady_clock::now();
    std::atomic<double> work{0};
    cpu::parallel_for(nullptr, threads, threads, [&](int64_t i, int) { work.fetch_add(pass(i)); });
    rates.push_back(work.load() / seconds_since(begin));
    const double elapsed = seconds_since(start);
    if (elapsed < seconds) continue;
    std::sort(rates.begin(), rates.end(), std::greater<>());
    const auto slow = std::find_if(rates.begin(), rates.end(), [&](double rate) { return rate < rates.front() / 2; });
    const auto counted = static_cast<size_t>(slow - rates.begin());
    if (counted >= kFewest || elapsed > kPatience) return rates[counted / 2];
  }
}

}  // namespace

MachineInfo machine_info() {
  MachineInfo info;
  info.cpu = cpu::cpu_model();
  info.vendor = cpu::cpu_vendor();
  info.cores = cpu::default_threads();
  info.l1d_bytes = std::max(sysconf(_SC_LEVEL1_DCACHE_SIZE), 0L);
  info.l2_bytes = std::max(sysconf(_SC_LEVEL2_CACHE_SIZE), 0L);
  info.l3_bytes = std::max(sysconf(_SC_LEVEL3_CACHE_SIZE), 0L);
  for (const cpu::Target& target : cpu::targets())
    info.isas.push_back({target.name, target.unavailable.empty(), target.unavailable});
  return info;
}

double measure_peak(const std::string& isa, PeakKind kind, int threads, double seconds) {
  const cpu::PeakLoops* loops = loops_of(isa);
  if (loops == nullptr || threads < 1) return 0;
  const auto loop = kind == PeakKind::fma_f32 ? loops->fma_f32 : loops->dot_bf16;
  if (loop == nullptr) return 0;
  constexpr int64_t kIterations =
      100000;  // a few tenths of a millisecond: long against fork and join, short against a lost time slice
  return 1e-9 * median_rate(threads, seconds, [&](int64_t) {
           double flops = 0;
           result_sink.store(loop(kIterations, &flops), std::memory_order_relaxed);
           return flops;
         });
}

double measure_read_bandwidth(int threads, double seconds) {
  if (threads < 1) return 0;
  const std::vector<cpu::Target> targets = cpu::targets();
  const auto fastest =
      std::find_if(targets.rbegin(), targets.rend(), [](const auto& t) { return t.unavailable.empty(); });
  constexpr int64_t kFloats = int64_t{64} << 20;  // 256 MiB a thread
  const std::unique_ptr<float[]> data(new (std::nothrow) float[static_cast<size_t>(kFloats * threads)]());
  if (data == nullptr) return 0;
  return 1e-9 * median_rate(threads, seconds, [&](int64_t i) {
           result_sink.store(fastest->peaks->read(data.get() + i * kFloats, kFloats), std::memory_order_relaxed);
           return static_cast<double>(kFloats) * 4;
         });
}

}  // namespace attend
