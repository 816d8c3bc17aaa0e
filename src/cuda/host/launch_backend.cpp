// SPDX-License-Identifier: Apache-2.0
#include "cuda/host/launch_backend.hpp"

#include <utility>

namespace attend::cuda {

Result<DeviceBuffer> DeviceBuffer::make(LaunchBackend& backend, size_t bytes, const std::string& name) {
  const Result<DeviceAddress> address = backend.alloc(bytes, name);
  if (!address.ok()) return address.status();
  DeviceBuffer buffer;
  buffer.backend_ = &backend;
  buffer.address_ = *address;
  buffer.bytes_ = bytes;
  return buffer;
}

DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept { *this = std::move(other); }

DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  std::swap(backend_, other.backend_);
  std::swap(address_, other.address_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

DeviceBuffer::~DeviceBuffer() {
  if (backend_ != nullptr && address_ != 0) (void)backend_->free(address_);
}

}  // namespace attend::cuda
