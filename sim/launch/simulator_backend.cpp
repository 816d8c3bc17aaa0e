// SPDX-License-Identifier: Apache-2.0
#include "sim/launch/simulator_backend.hpp"

#include <algorithm>
#include <new>

#include "sim/isa/program.hpp"

namespace ptxsim {

using attend::invalid_argument;
using attend::StatusCode;
using attend::cuda::DeviceAddress;
using attend::cuda::DeviceFacts;
using attend::cuda::KernelHandle;
using attend::cuda::LaunchConfig;
using attend::cuda::ModuleHandle;
using attend::cuda::StreamHandle;

namespace {

Dim3 dim_of(const attend::cuda::Dim3& dim) { return {dim.x, dim.y, dim.z}; }

TiledDesc desc_of(const attend::cuda::TiledDesc& from) {
  TiledDesc desc;
  desc.type = static_cast<TensorType>(from.type);
  desc.rank = from.rank;
  desc.address = from.address;
  desc.dim = from.dim;
  desc.stride_bytes = from.stride_bytes;
  desc.box = from.box;
  desc.element_stride = from.element_stride;
  desc.swizzle = static_cast<TensorSwizzle>(from.swizzle);
  desc.fill = static_cast<TensorFill>(from.fill);
  return desc;
}

}  // namespace

SimulatorBackend::SimulatorBackend(const Schedule& schedule, Checks checks, int multiprocessors)
    : device_(schedule, std::move(checks)), multiprocessors_(multiprocessors) {}

DeviceFacts SimulatorBackend::facts() const {
  constexpr size_t kL2Bytes = 50 << 20;  // an H200's; no kernel sees it
  return {"ptxsim", 9, 0, multiprocessors_, kMaxSharedBytes, kL2Bytes};
}

Result<ModuleHandle> SimulatorBackend::load_module(std::string_view image, const std::string& name) {
  if (image.starts_with("\x7f"
                        "ELF"))
    return attend::unsupported(name + " is a cubin: the simulator runs PTX text alone");
  // Text for the driver may end with a zero.
  while (image.ends_with('\0')) image.remove_suffix(1);
  Result<Module> module = Module::parse(image, name);
  if (!module.ok()) return module.status();
  return add(std::move(module).value());
}

ModuleHandle SimulatorBackend::add(Module module) {
  const uint64_t id = next_id_++;
  modules_.emplace(id, std::move(module));
  return {id};
}

Result<const Module*> SimulatorBackend::find(ModuleHandle module) const {
  const auto found = modules_.find(module.id);
  if (found == modules_.end()) return invalid_argument("module " + std::to_string(module.id) + " is not loaded");
  return &found->second;
}

Status SimulatorBackend::unload_module(ModuleHandle module) {
  if (Status status = run_waiting(); !status.ok()) return status;
  if (modules_.erase(module.id) == 0) return invalid_argument("module " + std::to_string(module.id) + " is not loaded");
  std::erase_if(kernels_, [&](const auto& each) { return each.second.module == module.id; });
  return {};
}

Result<KernelHandle> SimulatorBackend::kernel(ModuleHandle module, const std::string& mangled_name) {
  const Result<const Module*> found = find(module);
  if (!found.ok()) return found.status();
  const std::vector<EntryInfo>& entries = (*found)->entries();
  const auto entry =
      std::find_if(entries.begin(), entries.end(), [&](const EntryInfo& each) { return each.name == mangled_name; });
  // A part of a name is no name here: the driver wants all of it.
  if (entry == entries.end()) return invalid_argument("kernel " + mangled_name + " is not in the module");
  const uint64_t id = next_id_++;
  kernels_[id] = Kernel{module.id, *entry};
  return KernelHandle{id};
}

Result<DeviceAddress> SimulatorBackend::symbol(ModuleHandle module, const std::string& name) {
  const Result<const Module*> found = find(module);
  if (!found.ok()) return found.status();
  return device_.symbol(**found, name);
}

Result<DeviceAddress> SimulatorBackend::alloc(size_t bytes, const std::string& name) {
  try {
    const uint64_t address = device_.alloc(std::max<size_t>(bytes, 1), name);
    blocks_[address] = bytes;
    return DeviceAddress{address};
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::out_of_memory, "alloc: " + std::to_string(bytes) + " bytes");
  }
}

Status SimulatorBackend::free(DeviceAddress address) {
  const Status status = run_waiting();
  if (blocks_.erase(address) == 0)
    return invalid_argument("free: " + std::to_string(address) + " is not the start of an allocation");
  device_.free(address);
  return status;
}

Status SimulatorBackend::copy_to_device(DeviceAddress to, std::span<const std::byte> from, StreamHandle) {
  if (Status status = run_waiting(); !status.ok()) return status;
  return device_.upload(to, from);
}

Status SimulatorBackend::copy_to_host(std::span<std::byte> to, DeviceAddress from, StreamHandle) {
  if (Status status = run_waiting(); !status.ok()) return status;
  return device_.download(to, from);
}

Status SimulatorBackend::fill(DeviceAddress to, uint8_t value, size_t bytes, StreamHandle) {
  if (Status status = run_waiting(); !status.ok()) return status;
  return device_.fill(to, value, bytes);
}

Result<StreamHandle> SimulatorBackend::create_stream() { return StreamHandle{next_id_++}; }
Status SimulatorBackend::destroy_stream(StreamHandle stream) {
  return stream.id == 0 ? invalid_argument("destroy_stream: the default stream stays") : Status();
}

Status SimulatorBackend::launch(KernelHandle kernel, const LaunchConfig& config, std::span<const std::byte> params) {
  const auto found = kernels_.find(kernel.id);
  if (found == kernels_.end()) return invalid_argument("launch: kernel " + std::to_string(kernel.id) + " is not known");
  Waiting waiting;
  waiting.stream = config.stream.id;
  waiting.request.module = &modules_.at(found->second.module);
  waiting.request.entry = found->second.entry.name;
  waiting.request.options.grid = dim_of(config.grid);
  waiting.request.options.block = dim_of(config.block);
  waiting.request.options.cluster = dim_of(config.cluster);
  waiting.request.options.dynamic_shared_bytes = config.dynamic_shared_bytes;
  waiting.request.options.programmatic = config.programmatic;
  if (instruction_budget_ != 0) waiting.request.options.instruction_budget = instruction_budget_;
  waiting.request.args.add_bytes(params, 1);
  waiting_.push_back(std::move(waiting));
  return {};
}

Status SimulatorBackend::synchronize(StreamHandle) { return run_waiting(); }

Status SimulatorBackend::run_waiting() {
  const std::vector<Waiting> all = std::exchange(waiting_, {});
  for (size_t begin = 0; begin < all.size();) {
    std::vector<LaunchRequest> chain;
    size_t end = begin;
    do chain.push_back(all[end++].request);
    while (end < all.size() && all[end].stream == all[begin].stream && all[end].request.options.programmatic);
    begin = end;
    Result<RunReport> report = device_.launch_chain(chain);
    if (!report.ok()) return report.status();
    reports_.push_back(std::move(report).value());
    if (on_launch_) on_launch_({chain[0].entry, *chain[0].module, chain[0].options, reports_.back()});
    if (!reports_.back().clean()) return Status(StatusCode::device, reports_.back().text());
  }
  return {};
}

Result<attend::cuda::TensorMap> SimulatorBackend::encode_tiled(const attend::cuda::TiledDesc& desc) {
  const Result<TensorMap> map = device_.encode_tiled(desc_of(desc));
  if (!map.ok()) return map.status();
  attend::cuda::TensorMap out;
  out.bytes = map->bytes;
  return out;
}

}  // namespace ptxsim
