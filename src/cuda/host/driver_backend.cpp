// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "cuda/host/driver.hpp"
#include "cuda/host/launch_backend.hpp"

namespace attend::cuda {
namespace {

using driver::Api;

template <class T>
uint64_t id_of(T* handle) {
  return reinterpret_cast<uint64_t>(handle);
}
template <class T>
T handle_of(uint64_t id) {
  return reinterpret_cast<T>(id);
}

class DriverBackend : public LaunchBackend {
 public:
  DriverBackend(const Api& api, driver::Device device, driver::Context context, DeviceFacts facts)
      : api_(api), device_(device), context_(context), facts_(std::move(facts)) {}
  ~DriverBackend() override { (void)api_.context_release(device_); }

  DeviceFacts facts() const override { return facts_; }
  /// A failure is that of the call which follows: it finds no context.
  void enter_thread() override { (void)api_.context_set(context_); }

  Result<ModuleHandle> load_module(std::string_view image, const std::string& name) override {
    const std::string text(image);  // PTX must end with a zero
    std::vector<char> log(16384);
    int keys[] = {driver::kJitErrorLog, driver::kJitErrorLogBytes};
    void* values[] = {log.data(), reinterpret_cast<void*>(log.size())};
    driver::Module module = nullptr;
    const driver::Code code = api_.module_load(&module, text.c_str(), 2, keys, values);
    if (code == driver::kSuccess) return ModuleHandle{id_of(module)};
    const Status status = driver::check(api_, code, "cuModuleLoadDataEx");
    log.back() = '\0';
    return Status(status.code() == StatusCode::out_of_memory ? status.code() : StatusCode::invalid_argument,
                  name + ": " + status.message() + (log[0] != '\0' ? std::string("\n") + log.data() : ""));
  }
  Status unload_module(ModuleHandle module) override {
    return driver::check(api_, api_.module_unload(handle_of<driver::Module>(module.id)), "cuModuleUnload");
  }

  Result<KernelHandle> kernel(ModuleHandle module, const std::string& mangled_name) override {
    driver::Function function = nullptr;
    const driver::Code code =
        api_.module_function(&function, handle_of<driver::Module>(module.id), mangled_name.c_str());
    if (code == driver::kSuccess) return KernelHandle{id_of(function)};
    return invalid_argument("kernel " + mangled_name + ": " +
                            driver::check(api_, code, "cuModuleGetFunction").message());
  }

  Result<DeviceAddress> symbol(ModuleHandle module, const std::string& name) override {
    driver::Address address = 0;
    const driver::Code code = api_.module_global(&address, nullptr, handle_of<driver::Module>(module.id), name.c_str());
    if (code == driver::kSuccess) return DeviceAddress{address};
    return invalid_argument("symbol " + name + ": " + driver::check(api_, code, "cuModuleGetGlobal").message());
  }

  Result<DeviceAddress> alloc(size_t bytes, const std::string&) override {
    driver::Address address = 0;
    const Status status = driver::check(api_, api_.mem_alloc(&address, std::max<size_t>(bytes, 1)), "cuMemAlloc");
    if (!status.ok()) return status;
    return DeviceAddress{address};
  }
  Status free(DeviceAddress address) override { return driver::check(api_, api_.mem_free(address), "cuMemFree"); }

  Status copy_to_device(DeviceAddress to, std::span<const std::byte> from, StreamHandle stream) override {
    if (from.empty()) return {};
    const Status status =
        driver::check(api_, api_.copy_in(to, from.data(), from.size(), stream_of(stream)), "cuMemcpyHtoDAsync");
    // From pageable memory the driver has taken the bytes on return; from pinned memory it may not have.
    return status.ok() ? synchronize(stream) : status;
  }
  Status copy_to_host(std::span<std::byte> to, DeviceAddress from, StreamHandle stream) override {
    if (to.empty()) return {};
    const Status status =
        driver::check(api_, api_.copy_out(to.data(), from, to.size(), stream_of(stream)), "cuMemcpyDtoHAsync");
    return status.ok() ? synchronize(stream) : status;
  }
  Status fill(DeviceAddress to, uint8_t value, size_t bytes, StreamHandle stream) override {
    if (bytes == 0) return {};
    return driver::check(api_, api_.fill(to, value, bytes, stream_of(stream)), "cuMemsetD8Async");
  }

  Result<StreamHandle> create_stream() override {
    driver::Stream stream = nullptr;
    const Status status = driver::check(api_, api_.stream_create(&stream, 0), "cuStreamCreate");
    if (!status.ok()) return status;
    return StreamHandle{id_of(stream)};
  }
  Status destroy_stream(StreamHandle stream) override {
    return driver::check(api_, api_.stream_destroy(stream_of(stream)), "cuStreamDestroy");
  }

  Status launch(KernelHandle kernel, const LaunchConfig& config, std::span<const std::byte> params) override {
    const auto function = handle_of<driver::Function>(kernel.id);
    if (Status status = prepare(function, config); !status.ok()) return status;
    driver::LaunchAttribute attributes[2]{};
    driver::LaunchConfig launch{};
    launch.grid_x = config.grid.x, launch.grid_y = config.grid.y, launch.grid_z = config.grid.z;
    launch.block_x = config.block.x, launch.block_y = config.block.y, launch.block_z = config.block.z;
    launch.shared_bytes = config.dynamic_shared_bytes;
    launch.stream = stream_of(config.stream);
    launch.attributes = attributes;
    if (config.cluster.count() > 1) {
      driver::LaunchAttribute& attribute = attributes[launch.attribute_count++];
      attribute.id = driver::kAttributeCluster;
      attribute.value.cluster = {config.cluster.x, config.cluster.y, config.cluster.z};
    }
    if (config.programmatic) {
      driver::LaunchAttribute& attribute = attributes[launch.attribute_count++];
      attribute.id = driver::kAttributeProgrammatic;
      attribute.value.programmatic_allowed = 1;
    }
    size_t bytes = params.size();
    void* extra[] = {driver::kParamPointer, const_cast<std::byte*>(params.data()), driver::kParamBytes, &bytes,
                     nullptr};
    return driver::check(api_, api_.launch(&launch, function, nullptr, extra), "cuLaunchKernelEx");
  }

  Status synchronize(StreamHandle stream) override {
    return driver::check(api_, api_.stream_wait(stream_of(stream)), "cuStreamSynchronize");
  }

  Result<TensorMap> encode_tiled(const TiledDesc& desc) override {
    TensorMap map;
    const driver::Code code = api_.encode_tiled(
        map.bytes.data(), static_cast<int>(desc.type), desc.rank, reinterpret_cast<void*>(desc.address),
        desc.dim.data(), desc.stride_bytes.data(), desc.box.data(), desc.element_stride.data(), 0 /* no interleave */,
        static_cast<int>(desc.swizzle), 0 /* no promotion */, static_cast<int>(desc.fill));
    if (code == driver::kSuccess) return map;
    return invalid_argument(driver::check(api_, code, "cuTensorMapEncodeTiled").message());
  }

 private:
  static driver::Stream stream_of(StreamHandle stream) { return handle_of<driver::Stream>(stream.id); }

  /// Beyond 48 KiB of shared memory, or 8 CTAs in a cluster, a kernel must be told so before.
  Status prepare(driver::Function function, const LaunchConfig& config) {
    constexpr uint32_t kAlwaysAllowed = 48 << 10, kPortableCluster = 8;
    if (config.dynamic_shared_bytes > kAlwaysAllowed) {
      const driver::Code code =
          api_.function_set(function, driver::kFunctionMaxDynamicShared, static_cast<int>(config.dynamic_shared_bytes));
      const Status status = driver::check(api_, code, "cuFuncSetAttribute(max dynamic shared memory)");
      if (!status.ok()) return status;
    }
    if (config.cluster.count() > kPortableCluster)
      return driver::check(api_, api_.function_set(function, driver::kFunctionNonPortableCluster, 1),
                           "cuFuncSetAttribute(non-portable cluster)");
    return {};
  }

  const Api& api_;
  driver::Device device_;
  driver::Context context_;
  DeviceFacts facts_;
};

Result<DeviceFacts> facts_of(const Api& api, driver::Device device) {
  DeviceFacts facts;
  char name[256] = "";
  int shared = 0, l2 = 0;
  Status status = driver::check(api, api.device_name(name, sizeof name, device), "cuDeviceGetName");
  const auto ask = [&](int& value, int attribute) {
    if (!status.ok()) return;
    status = driver::check(api, api.device_attribute(&value, attribute, device), "cuDeviceGetAttribute");
  };
  ask(facts.major, driver::kDeviceMajor);
  ask(facts.minor, driver::kDeviceMinor);
  ask(facts.multiprocessors, driver::kDeviceMultiprocessors);
  ask(shared, driver::kDeviceSharedOptin);
  ask(l2, driver::kDeviceL2Bytes);
  if (!status.ok()) return status;
  facts.name = name;
  facts.shared_bytes_per_block = static_cast<size_t>(shared);
  facts.l2_bytes = static_cast<size_t>(l2);
  return facts;
}

}  // namespace

Result<std::unique_ptr<LaunchBackend>> make_driver_backend() {
  const Result<const Api*> loaded = driver::load();
  if (!loaded.ok()) return loaded.status();
  const Api& api = **loaded;
  if (Status status = driver::check(api, api.init(0), "cuInit"); !status.ok()) return status;
  int count = 0;
  if (Status status = driver::check(api, api.device_count(&count), "cuDeviceGetCount"); !status.ok()) return status;
  if (count == 0) return Status(StatusCode::device, "the CUDA driver sees no device");
  driver::Device device = 0;
  if (Status status = driver::check(api, api.device_get(&device, 0), "cuDeviceGet"); !status.ok()) return status;
  const Result<DeviceFacts> facts = facts_of(api, device);
  if (!facts.ok()) return facts.status();
  driver::Context context = nullptr;
  if (Status status = driver::check(api, api.context_retain(&context, device), "cuDevicePrimaryCtxRetain");
      !status.ok())
    return status;
  auto backend = std::make_unique<DriverBackend>(api, device, context, *facts);
  if (Status status = driver::check(api, api.context_set(context), "cuCtxSetCurrent"); !status.ok()) return status;
  return std::unique_ptr<LaunchBackend>(std::move(backend));
}

}  // namespace attend::cuda
