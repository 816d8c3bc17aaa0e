// SPDX-License-Identifier: Apache-2.0
// What does it cost to start and join two threads, and to hand small tasks out to them: OpenMP against oneTBB?
// Evidence for the choice of the library's default threads; the figures are in bench/README.md.
//
// Three questions, each answered by the median over many repetitions
//   empty     a parallel region without work
//   small     100 tasks of about a microsecond, taken one by one, as attention hands out its row blocks
//   large     100 tasks of about 50 microseconds
// in three situations: back to back; after the caller slept for 20 ms; after the caller computed alone for 20 ms. The
// last two are longer than either runtime lets an idle thread spin, and are how most programs call a library.
#include <omp.h>
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

/// Arithmetic that the compiler cannot drop: one dependent chain of `steps` multiply-adds.
void work(int steps, uint64_t seed) {
  uint64_t x = seed;
  for (int i = 0; i < steps; ++i) x = x * 6364136223846793005ULL + 1442695040888963407ULL;
  asm volatile("" : : "r"(x));
}

enum class Before { nothing, sleep, compute };
constexpr auto kPause = std::chrono::milliseconds(20);

void prepare(Before before) {
  if (before == Before::sleep) std::this_thread::sleep_for(kPause);
  if (before == Before::compute)
    for (const auto begin = Clock::now(); Clock::now() - begin < kPause;) work(800, 1);
}

template <class F>
double median_us(F&& f, int repeats, Before before) {
  std::vector<double> us;
  for (int i = 0; i < repeats + 5; ++i) {
    prepare(before);
    const auto begin = Clock::now();
    f();
    if (i >= 5) us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  std::nth_element(us.begin(), us.begin() + static_cast<int64_t>(us.size()) / 2, us.end());
  return us[us.size() / 2];
}

void openmp_empty(int threads) {
#pragma omp parallel num_threads(threads)
  work(1, 1);
}

void openmp_dynamic(int threads, int tasks, int steps) {
  std::atomic<int> next{0};
#pragma omp parallel num_threads(threads)
  for (int i = next.fetch_add(1, std::memory_order_relaxed); i < tasks;
       i = next.fetch_add(1, std::memory_order_relaxed))
    work(steps, static_cast<uint64_t>(i));
}

/// One task per worker, as the library would run: no splitting of ranges, each worker takes from a counter.
void tbb_empty(tbb::task_arena& arena, int threads) {
  arena.execute([&] {
    tbb::parallel_for(
        0, threads, [](int) { work(1, 1); }, tbb::static_partitioner());
  });
}

void tbb_dynamic(tbb::task_arena& arena, int threads, int tasks, int steps) {
  std::atomic<int> next{0};
  arena.execute([&] {
    tbb::parallel_for(
        0, threads,
        [&](int) {
          for (int i = next.fetch_add(1, std::memory_order_relaxed); i < tasks;
               i = next.fetch_add(1, std::memory_order_relaxed))
            work(steps, static_cast<uint64_t>(i));
        },
        tbb::static_partitioner());
  });
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  if (threads < 1) {
    std::fprintf(stderr, "fork_join: threads is '%s', expected a positive number\n", argv[1]);
    return 2;
  }
  constexpr int kTasks = 100;
  constexpr int kSmall = 800;  // about a microsecond: 4 cycles a step
  constexpr int kLarge = 50 * kSmall;
  tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(threads));
  tbb::task_arena arena(threads);
  const auto serial = [&](int steps) {
    return median_us(
        [&] {
          for (int i = 0; i < kTasks; ++i) work(steps, static_cast<uint64_t>(i));
        },
        50, Before::nothing);
  };
  std::printf(
      "fork-join, %d threads, medians in microseconds; on one thread %d small tasks take %.1f, %d large ones %.0f\n",
      threads, kTasks, serial(kSmall), kTasks, serial(kLarge));
  std::printf("%-44s %10s %10s\n", "", "OpenMP", "oneTBB");
  struct Situation {
    Before before;
    const char* name;
    int repeats;
  };
  const Situation situations[] = {{Before::nothing, "back to back", 1000},
                                  {Before::sleep, "after 20 ms of sleep", 50},
                                  {Before::compute, "after 20 ms of work alone", 50}};
  for (const auto& [before, name, repeats] : situations) {
    const double omp_e = median_us([&] { openmp_empty(threads); }, repeats, before);
    const double tbb_e = median_us([&] { tbb_empty(arena, threads); }, repeats, before);
    std::printf("empty region, %-30s %10.2f %10.2f\n", name, omp_e, tbb_e);
    for (const int steps : {kSmall, kLarge}) {
      const int n = steps == kLarge ? 50 : repeats;
      const double omp_d = median_us([&] { openmp_dynamic(threads, kTasks, steps); }, n, before);
      const double tbb_d = median_us([&] { tbb_dynamic(arena, threads, kTasks, steps); }, n, before);
      std::printf("%d %s tasks, %-26s %10.1f %10.1f\n", kTasks, steps == kLarge ? "large" : "small", name, omp_d,
                  tbb_d);
    }
  }
  return 0;
}
