// SPDX-License-Identifier: Apache-2.0
#include "sim/tool/golden_run.hpp"

#include <cstring>

#include "sim/launch/simulator_backend.hpp"

namespace ptxsim::tool {
namespace {

using attend::cuda::DeviceBuffer;
using attend::cuda::KernelHandle;
using attend::cuda::LaunchBackend;
using attend::cuda::ModuleHandle;

attend::cuda::TiledDesc desc_of(const TiledDesc& from, uint64_t address) {
  attend::cuda::TiledDesc desc;
  desc.type = static_cast<attend::cuda::TensorType>(from.type);
  desc.rank = from.rank;
  desc.address = address;
  desc.dim = from.dim;
  desc.stride_bytes = from.stride_bytes;
  desc.box = from.box;
  desc.element_stride = from.element_stride;
  desc.swizzle = static_cast<attend::cuda::TensorSwizzle>(from.swizzle);
  desc.fill = static_cast<attend::cuda::TensorFill>(from.fill);
  return desc;
}

/// The kernel's two pointers, and its tensor map at the next multiple of 64.
struct Params {
  uint64_t out, in;
  alignas(64) std::array<std::byte, 128> map;
};

}  // namespace

Result<std::unique_ptr<LaunchBackend>> open_backend(const std::string& device, const Schedule& schedule) {
  if (device == "driver") return attend::cuda::make_driver_backend();
  return std::unique_ptr<LaunchBackend>(std::make_unique<SimulatorBackend>(schedule));
}

Result<std::vector<std::byte>> run_vector(LaunchBackend& backend, const golden::Vector& vector) {
  const Result<ModuleHandle> module = backend.load_module(vector.ptx, "vector.ptx");
  if (!module.ok()) return module.status();
  const Result<KernelHandle> kernel = backend.kernel(*module, "k");
  if (!kernel.ok()) return kernel.status();
  const Result<DeviceBuffer> out = DeviceBuffer::make(backend, vector.out.size(), "out");
  if (!out.ok()) return out.status();
  const Result<DeviceBuffer> in = DeviceBuffer::make(backend, vector.in.size(), "in");
  if (!in.ok()) return in.status();
  if (Status status = backend.copy_to_device(in->address(), vector.in); !status.ok()) return status;
  if (Status status = backend.fill(out->address(), 0, vector.out.size()); !status.ok()) return status;
  Params params{out->address(), in->address(), {}};
  size_t bytes = 2 * sizeof(uint64_t);
  if (vector.has_map) {
    const Result<attend::cuda::TensorMap> map = backend.encode_tiled(desc_of(vector.desc, in->address()));
    if (!map.ok()) return map.status();
    params.map = map->bytes;
    bytes = sizeof params;
  }
  attend::cuda::LaunchConfig config;
  config.block.x = vector.threads;
  const auto* begin = reinterpret_cast<const std::byte*>(&params);
  if (Status status = backend.launch(*kernel, config, {begin, bytes}); !status.ok()) return status;
  std::vector<std::byte> found(vector.out.size());
  if (Status status = backend.copy_to_host(found, out->address()); !status.ok()) return status;
  if (Status status = backend.unload_module(*module); !status.ok()) return status;
  return found;
}

}  // namespace ptxsim::tool
