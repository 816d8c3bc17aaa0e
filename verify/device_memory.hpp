// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/device.hpp>
#include <cstddef>
#include <utility>

namespace attend::verify {

/// One allocation on a device, freed with its owner.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~DeviceMemory() {
    if (data_ != nullptr) (void)device_.free(data_);
  }

  /// Error: out_of_memory.
  Status allocate(const Device& device, size_t bytes) {
    const Result<void*> data = device.allocate(bytes);
    if (!data.ok()) return data.status();
    *this = DeviceMemory();
    device_ = device;
    data_ = *data;
    bytes_ = bytes;
    return {};
  }
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  Device device_;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace attend::verify
