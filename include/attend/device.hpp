// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/status.hpp>
#include <cstddef>
#include <memory>
#include <string>

namespace attend {

namespace cuda {
class Context;
}

/// Where plans run, and whose memory their pointers name. Copies are the same device; thread-safe.
class Device {
 public:
  /// The CPUs of this machine; memory is ordinary memory.
  Device() = default;
  /// The first CUDA device, through the driver that is found when this is called. Error: device, saying what is
  /// missing: the driver's library, a device, a function of a newer driver.
  static Result<Device> cuda();

  bool is_cpu() const { return context_ == nullptr; }
  std::string name() const;  ///< `cpu`, or what the driver calls it

  // Memory of the device, for programs that have no other library for it.
  /// 64-byte aligned at least, contents undefined. Error: out_of_memory.
  Result<void*> allocate(size_t bytes) const;
  Status free(void* memory) const;
  /// Both wait until the bytes have been copied. A stream is a cudaStream_t; null is the default stream.
  Status copy_to_device(void* to, const void* from, size_t bytes, void* stream = nullptr) const;
  Status copy_to_host(void* to, const void* from, size_t bytes, void* stream = nullptr) const;
  /// Waits for all work of the stream. Error: device, for what went wrong in it.
  Status synchronize(void* stream = nullptr) const;

  explicit Device(std::shared_ptr<cuda::Context> context) : context_(std::move(context)) {}
  const std::shared_ptr<cuda::Context>& context() const { return context_; }

 private:
  std::shared_ptr<cuda::Context> context_;
};

}  // namespace attend
