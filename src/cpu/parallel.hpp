// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <attend/executor.hpp>
#include <cstdint>

namespace attend::cpu {

/// Threads that a plan without an executor uses when it is asked for none in particular: ATTEND_NUM_THREADS, else what
/// the OpenMP runtime says, else 1.
int default_threads();

/// Runs `task(arg, worker)` on up to `workers` threads of the executor, or of OpenMP when it is null. At least one
/// worker runs; fewer than asked may, so tasks must share their work dynamically.
void run_workers(const Executor* executor, int workers, void (*task)(void* arg, int worker), void* arg);

/// Waits until `count` reaches `goal`: tens of microseconds on the processor, then asleep. Whoever raises the count
/// calls count_up(). Sleeping matters: when the system has put two of our threads on one core, a spinning one keeps the
/// other from running, and only a thread that wakes up is moved to an idle core at once.
void wait_for(std::atomic<int64_t>& count, int64_t goal);
void count_up(std::atomic<int64_t>& count);

/// Calls `body(index, worker)` for each index in [0, count), handed out in order, one at a time.
template <class Body>
void parallel_for(const Executor* executor, int workers, int64_t count, const Body& body) {
  if (workers > count) workers = static_cast<int>(count);
  if (workers <= 1) {
    for (int64_t i = 0; i < count; ++i) body(i, 0);
    return;
  }
  struct Shared {
    const Body& body;
    int64_t count;
    std::atomic<int64_t> next{0};
  } shared{body, count};
  run_workers(
      executor, workers,
      [](void* arg, int worker) {
        auto& s = *static_cast<Shared*>(arg);
        for (int64_t i = s.next.fetch_add(1, std::memory_order_relaxed); i < s.count;
             i = s.next.fetch_add(1, std::memory_order_relaxed))
          s.body(i, worker);
      },
      &shared);
}

}  // namespace attend::cpu
