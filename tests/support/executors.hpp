// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/executor.hpp>
#include <thread>
#include <vector>

namespace attend::test {

/// A new thread for each worker.
inline Executor thread_executor(int workers) {
  Executor executor;
  executor.workers = workers;
  executor.parallel = [](void*, int count, void (*task)(void*, int), void* arg) {
    std::vector<std::jthread> threads;
    for (int worker = 0; worker < count; ++worker) threads.emplace_back(task, arg, worker);
  };
  return executor;
}

/// All workers one after the other on the calling thread, the last one first.
inline Executor sequential_executor(int workers) {
  Executor executor;
  executor.workers = workers;
  executor.parallel = [](void*, int count, void (*task)(void*, int), void* arg) {
    for (int worker = count - 1; worker >= 0; --worker) task(arg, worker);
  };
  return executor;
}

}  // namespace attend::test
