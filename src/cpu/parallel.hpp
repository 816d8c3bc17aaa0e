// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <attend/executor.hpp>
#include <cstdint>
#include <type_traits>

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

/// Which index the caller will probably be handed next, for those who prepare it.
class Ahead {
 public:
  explicit Ahead(int64_t next) : next_(next) {}
  explicit Ahead(const std::atomic<int64_t>& counter) : counter_(&counter) {}
  int64_t likely() const { return counter_ != nullptr ? counter_->load(std::memory_order_relaxed) : next_; }

 private:
  int64_t next_ = 0;
  const std::atomic<int64_t>* counter_ = nullptr;
};

/// Calls `body(index, worker)` or `body(index, worker, ahead)` for each index in [0, count), handed out in order, one
/// at a time.
template <class Body>
void parallel_for(const Executor* executor, int workers, int64_t count, const Body& body) {
  if (workers > count) workers = static_cast<int>(count);
  const auto call = [&body](int64_t i, int worker, Ahead ahead) {
    if constexpr (std::is_invocable_v<const Body&, int64_t, int, Ahead>) {
      body(i, worker, ahead);
    } else {
      body(i, worker);
    }
  };
  if (workers <= 1) {
    for (int64_t i = 0; i < count; ++i) call(i, 0, Ahead(i + 1));
    return;
  }
  struct Shared {
    const decltype(call)& run;
    int64_t count;
    std::atomic<int64_t> next{0};
  } shared{call, count};
  run_workers(
      executor, workers,
      [](void* arg, int worker) {
        auto& s = *static_cast<Shared*>(arg);
        for (int64_t i = s.next.fetch_add(1, std::memory_order_relaxed); i < s.count;
             i = s.next.fetch_add(1, std::memory_order_relaxed))
          s.run(i, worker, Ahead(s.next));
      },
      &shared);
}

}  // namespace attend::cpu
