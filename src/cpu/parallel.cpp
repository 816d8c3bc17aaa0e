// SPDX-License-Identifier: Apache-2.0
#include "cpu/parallel.hpp"

#include <cstdlib>

#if defined(ATTEND_OPENMP)
#include <omp.h>
#endif

namespace attend::cpu {

int default_threads() {
  if (const char* text = std::getenv("ATTEND_NUM_THREADS")) {
    const int64_t n = std::strtoll(text, nullptr, 10);
    if (n >= 1 && n <= 4096) return static_cast<int>(n);
  }
#if defined(ATTEND_OPENMP)
  return omp_get_max_threads();
#else
  return 1;
#endif
}

void wait_for(std::atomic<int64_t>& count, int64_t goal) {
  constexpr int kSpins = 1000;  // about 40 us with x86's pause: the length of a short work item, and of waking up
  int64_t seen = 0;
  for (int i = 0; (seen = count.load(std::memory_order_acquire)) < goal; ++i) {
    if (i >= kSpins) {
      count.wait(seen, std::memory_order_acquire);
      continue;
    }
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
}

void count_up(std::atomic<int64_t>& count) {
  count.fetch_add(1, std::memory_order_release);
  count.notify_all();
}

void run_workers(const Executor* executor, int workers, void (*task)(void* arg, int worker), void* arg) {
  if (executor != nullptr) return executor->parallel(executor->self, workers, task, arg);
#if defined(ATTEND_OPENMP)
  // Workers are counted here because OpenMP's own join spins.
  std::atomic<int64_t> finished{0};
#pragma omp parallel num_threads(workers)
  {
    task(arg, omp_get_thread_num());
    count_up(finished);
    if (omp_get_thread_num() == 0) wait_for(finished, omp_get_num_threads());
  }
#else
  task(arg, 0);
#endif
}

}  // namespace attend::cpu
