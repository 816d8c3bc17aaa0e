// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attend.hpp>
#include <attend/device.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace attend::bench::cuda {

/// Puts run number `index` into the stage's stream; it rises by one with each run, so that inputs can take turns.
using Enqueue = std::function<Status(int64_t index)>;

/// How long one of several runs in a row took: on the device, and for the host to put it there. Zeros in the simulator.
struct Lap {
  double seconds = 0, host_seconds = 0;
};

/// What is known of a device.
struct StageFacts {
  std::string name, driver, bus_id;  ///< driver: the newest CUDA that it knows, `13.0`
  int64_t l2_bytes = 0;
};

/// Where contenders run, and the clock that times them.
class Stage {
 public:
  virtual ~Stage() = default;
  virtual const Device& device() const = 0;
  virtual void* stream() const = 0;
  virtual bool simulated() const = 0;
  virtual const StageFacts& facts() const = 0;
  /// Overwrites a buffer that is several times the L2 cache, for `hide_seconds` at least so that the host gets ahead of
  /// the device, then times `runs` runs. `meanwhile` is called while the device works. Errors: those of `run`; device
  /// when they have not ended after half a minute.
  virtual Result<Lap> lap(const Enqueue& run, int runs, double hide_seconds,
                          const std::function<void()>& meanwhile = {}) = 0;
  /// A copy inside the device of `copy_bytes()`: what its memory moves.
  virtual Status copy() = 0;
  virtual int64_t copy_bytes() const = 0;
};

/// The first CUDA device, timed by its events. Errors: those of Device::cuda().
Result<std::unique_ptr<Stage>> make_cuda_stage();
/// A device in the PTX simulator: everything runs, nothing is timed. Error: unsupported, in a build without it.
Result<std::unique_ptr<Stage>> make_simulated_stage();

}  // namespace attend::bench::cuda
