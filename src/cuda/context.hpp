// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/device.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cuda/host/launch_backend.hpp"
#include "cuda/images.hpp"

namespace attend::cuda {

/// A device with the kernels that this process has loaded to it. Thread-safe: one caller at a time reaches the backend.
class Context {
 public:
  explicit Context(std::unique_ptr<LaunchBackend> backend) : backend_(std::move(backend)), facts_(backend_->facts()) {}

  const DeviceFacts& facts() const { return facts_; }
  /// Loads the image when it is asked for first. Errors: those of load_module() and kernel().
  Result<KernelHandle> kernel(const KernelImage& image);
  /// f(backend), alone.
  template <class F>
  auto with(F&& f) {
    const std::lock_guard lock(mutex_);
    backend_->enter_thread();
    return f(*backend_);
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<LaunchBackend> backend_;
  DeviceFacts facts_;
  std::map<std::string, KernelHandle, std::less<>> kernels_;
};

/// A device behind any backend: the driver's, or a simulated one.
Device make_device(std::unique_ptr<LaunchBackend> backend);

}  // namespace attend::cuda
