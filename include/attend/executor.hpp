// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace attend {

/// Threads that the caller brings. The library owns none: by default it uses the OpenMP runtime of the process.
struct Executor {
  /// Calls `task(arg, worker)` once for each worker in [0, workers), in any order, concurrently or one after the other,
  /// and returns when all have returned. `self` is passed through.
  void (*parallel)(void* self, int workers, void (*task)(void* arg, int worker), void* arg) = nullptr;
  void* self = nullptr;
  /// How many workers may run at the same time, at least 1.
  int workers = 1;
};

}  // namespace attend
