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

void run_workers(const Executor* executor, int workers, void (*task)(void* arg, int worker), void* arg) {
  if (executor != nullptr) return executor->parallel(executor->self, workers, task, arg);
#if defined(ATTEND_OPENMP)
#pragma omp parallel num_threads(workers)
  task(arg, omp_get_thread_num());
#else
  task(arg, 0);
#endif
}

}  // namespace attend::cpu
