// SPDX-License-Identifier: Apache-2.0
#include "cuda/context.hpp"

#include <cstdlib>
#include <cstring>
#include <span>

namespace attend {
namespace cuda {

Result<KernelHandle> Context::kernel(const KernelImage& image) {
  return with([&](LaunchBackend& backend) -> Result<KernelHandle> {
    if (const auto known = kernels_.find(image.name); known != kernels_.end()) return known->second;
    // Machine code is for one generation of devices; PTX for that one and all later ones, and for the simulator.
    const bool fits = facts_.major == image.major && !image.cubin.empty();
    Result<ModuleHandle> module = unsupported("");
    if (fits) module = backend.load_module(image.cubin, image.name);
    if (!module.ok()) module = backend.load_module(image.ptx, image.name);
    if (!module.ok()) return module.status();
    const Result<KernelHandle> kernel = backend.kernel(*module, image.name);
    if (kernel.ok()) kernels_.emplace(image.name, *kernel);
    return kernel;
  });
}

Device make_device(std::unique_ptr<LaunchBackend> backend) {
  return Device(std::make_shared<Context>(std::move(backend)));
}

namespace {

DeviceAddress address_of(const void* memory) { return reinterpret_cast<DeviceAddress>(memory); }
StreamHandle stream_of(void* stream) { return {reinterpret_cast<uint64_t>(stream)}; }

}  // namespace
}  // namespace cuda

Result<Device> Device::cuda() {
  Result<std::unique_ptr<cuda::LaunchBackend>> backend = cuda::make_driver_backend();
  if (!backend.ok()) return backend.status();
  return cuda::make_device(std::move(backend).value());
}

std::string Device::name() const { return is_cpu() ? "cpu" : context_->facts().name; }

Result<void*> Device::allocate(size_t bytes) const {
  if (is_cpu()) {
    constexpr size_t kAlignment = 64;
    void* memory = std::aligned_alloc(kAlignment, (bytes + kAlignment) / kAlignment * kAlignment);
    if (memory == nullptr) return Status(StatusCode::out_of_memory, std::to_string(bytes) + " bytes of memory");
    return memory;
  }
  const Result<cuda::DeviceAddress> address =
      context_->with([&](cuda::LaunchBackend& backend) { return backend.alloc(bytes); });
  if (!address.ok()) return address.status();
  return reinterpret_cast<void*>(*address);
}

Status Device::free(void* memory) const {
  if (memory == nullptr) return {};
  if (!is_cpu())
    return context_->with([&](cuda::LaunchBackend& backend) { return backend.free(cuda::address_of(memory)); });
  std::free(memory);
  return {};
}

Status Device::copy_to_device(void* to, const void* from, size_t bytes, void* stream) const {
  if (bytes == 0) return {};
  if (is_cpu()) {
    std::memcpy(to, from, bytes);
    return {};
  }
  return context_->with([&](cuda::LaunchBackend& backend) {
    return backend.copy_to_device(cuda::address_of(to), {static_cast<const std::byte*>(from), bytes},
                                  cuda::stream_of(stream));
  });
}

Status Device::copy_to_host(void* to, const void* from, size_t bytes, void* stream) const {
  if (bytes == 0) return {};
  if (is_cpu()) {
    std::memcpy(to, from, bytes);
    return {};
  }
  return context_->with([&](cuda::LaunchBackend& backend) {
    return backend.copy_to_host({static_cast<std::byte*>(to), bytes}, cuda::address_of(from), cuda::stream_of(stream));
  });
}

Status Device::synchronize(void* stream) const {
  if (is_cpu()) return {};
  return context_->with([&](cuda::LaunchBackend& backend) { return backend.synchronize(cuda::stream_of(stream)); });
}

}  // namespace attend
