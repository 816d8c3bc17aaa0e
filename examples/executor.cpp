// SPDX-License-Identifier: Apache-2.0
// attend on the caller's own threads: the library starts none. Checks that the bits do not depend on how many there
// are.
#include <attend/attend.hpp>
#include <cmath>
#include <cstdio>
#include <thread>
#include <vector>

namespace {

/// An engine would hand the workers to its thread pool; here each call starts its threads.
struct Threads {
  int tasks_run = 0;

  static void parallel(void* self, int workers, void (*task)(void* arg, int worker), void* arg) {
    static_cast<Threads*>(self)->tasks_run += workers;
    std::vector<std::thread> others;
    for (int worker = 1; worker < workers; ++worker) others.emplace_back(task, arg, worker);
    task(arg, 0);  // the caller is a worker too
    for (std::thread& other : others) other.join();
  }
};

}  // namespace

int main() {
  using namespace attend;
  AttentionFwd problem = AttentionFwd::dense(Layout::bshd, DType::f32, 2, 6, 2, 500, 500, 80);
  problem.mask = Mask::causal();
  std::vector<float> q(2 * 500 * 6 * 80), k(2 * 500 * 2 * 80), v(k.size()), first(q.size()), o(q.size());
  for (size_t i = 0; i < q.size(); ++i) q[i] = std::sin(static_cast<float>(i));
  for (size_t i = 0; i < k.size(); ++i) k[i] = std::cos(3 * static_cast<float>(i));
  for (size_t i = 0; i < v.size(); ++i) v[i] = std::sin(2 * static_cast<float>(i));

  for (int workers = 1; workers <= 4; ++workers) {
    Threads threads;
    const Executor executor{.parallel = Threads::parallel, .self = &threads, .workers = workers};
    Result<AttentionFwdPlan> planned = plan(problem, {.executor = &executor});
    if (!planned.ok()) {
      std::fprintf(stderr, "%s\n", planned.status().message().c_str());
      return 1;
    }
    std::vector<std::byte> workspace(planned->workspace_bytes());  // kept and used again by an engine
    const Status status = planned->run({.q = q.data(), .k = k.data(), .v = v.data(), .o = o.data()}, workspace);
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.message().c_str());
      return 1;
    }
    if (workers == 1) first = o;
    std::printf("%d workers, %d tasks: %s\n", workers, threads.tasks_run, o == first ? "same bits" : "other bits");
    if (o != first) return 1;
  }
  return 0;
}
