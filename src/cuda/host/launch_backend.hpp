// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/status.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

/// Everything that host code asks of a device. Written against it, dispatch runs unchanged on a device (driver) and in
/// the PTX simulator (sim/launch/).
namespace attend::cuda {

using DeviceAddress = uint64_t;

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t count() const { return uint64_t{x} * y * z; }
  friend bool operator==(const Dim3&, const Dim3&) = default;
};

/// Handles are small numbers or addresses that mean something to their backend alone; 0 is none.
struct ModuleHandle {
  uint64_t id = 0;
};
struct KernelHandle {
  uint64_t id = 0;
};
struct StreamHandle {
  uint64_t id = 0;  ///< 0: the default stream
};

struct DeviceFacts {
  std::string name;
  int major = 0, minor = 0;  ///< compute capability
  int multiprocessors = 0;
  size_t shared_bytes_per_block = 0;  ///< the most that a launch can ask for
  size_t l2_bytes = 0;                ///< of the cache that all multiprocessors share
};

struct LaunchConfig {
  Dim3 grid, block, cluster;
  uint32_t dynamic_shared_bytes = 0;
  /// Programmatic dependent launch: may start before the launch in front of it on the stream has ended, as early as
  /// that one allows (griddepcontrol).
  bool programmatic = false;
  StreamHandle stream;
};

/// The 128 opaque bytes of a CUtensorMap; never read or patched by whoever holds them.
struct alignas(64) TensorMap {
  std::array<std::byte, 128> bytes{};
};

// Numbers of the driver's CUtensorMapDataType, CUtensorMapSwizzle and CUtensorMapFloatOOBfill.
enum class TensorType : uint8_t { u8 = 0, u16, u32, s32, u64, s64, f16, f32, f64, bf16, f32_ftz, tf32, tf32_ftz };
enum class TensorSwizzle : uint8_t { none = 0, b32, b64, b128 };
enum class TensorFill : uint8_t { zeros = 0, nan };

/// A tensor in global memory as bulk copies see it; dimension 0 is the fastest.
struct TiledDesc {
  TensorType type = TensorType::f32;
  uint32_t rank = 1;                       ///< 1..5
  DeviceAddress address = 0;               ///< 16-byte aligned
  std::array<uint64_t, 5> dim{};           ///< elements
  std::array<uint64_t, 4> stride_bytes{};  ///< of dimensions 1..rank-1; multiples of 16, below 2^40
  std::array<uint32_t, 5> box{};           ///< 1..256 elements each
  std::array<uint32_t, 5> element_stride{1, 1, 1, 1, 1};
  TensorSwizzle swizzle = TensorSwizzle::none;
  TensorFill fill = TensorFill::zeros;
};

class TensorMapEncoder {
 public:
  virtual ~TensorMapEncoder() = default;
  /// Errors: invalid_argument for what the driver's rules forbid.
  virtual Result<TensorMap> encode_tiled(const TiledDesc& desc) = 0;
};

/// Not thread-safe. Launches and copies of one stream happen in their order; copies to the host wait for them.
class LaunchBackend : public TensorMapEncoder {
 public:
  virtual DeviceFacts facts() const = 0;
  /// Before calls from another thread than the one that made the backend: the driver knows a context for each thread.
  virtual void enter_thread() {}

  /// PTX text, or an image that the backend can load (a cubin on a device; the simulator takes PTX alone: unsupported).
  /// Errors: invalid_argument with what the compiler of the text says; unsupported.
  virtual Result<ModuleHandle> load_module(std::string_view image, const std::string& name = "module") = 0;
  virtual Status unload_module(ModuleHandle module) = 0;
  /// By its mangled name. Error: invalid_argument when the module has none.
  virtual Result<KernelHandle> kernel(ModuleHandle module, const std::string& mangled_name) = 0;
  /// Address of a .global or .const variable.
  virtual Result<DeviceAddress> symbol(ModuleHandle module, const std::string& name) = 0;

  /// 256-byte aligned, contents undefined. Error: out_of_memory.
  virtual Result<DeviceAddress> alloc(size_t bytes, const std::string& name = {}) = 0;
  virtual Status free(DeviceAddress address) = 0;
  /// Host memory may be reused on return.
  virtual Status copy_to_device(DeviceAddress to, std::span<const std::byte> from, StreamHandle stream = {}) = 0;
  /// Waits for the stream; what ran on it wrong is reported here or in synchronize().
  virtual Status copy_to_host(std::span<std::byte> to, DeviceAddress from, StreamHandle stream = {}) = 0;
  virtual Status fill(DeviceAddress to, uint8_t value, size_t bytes, StreamHandle stream = {}) = 0;

  virtual Result<StreamHandle> create_stream() = 0;
  virtual Status destroy_stream(StreamHandle stream) = 0;
  /// `params`: the kernel's block of parameters, laid out as its struct or its list is; copied before it returns.
  /// Errors: invalid_argument for what the device refuses; device for a failure of earlier work.
  virtual Status launch(KernelHandle kernel, const LaunchConfig& config, std::span<const std::byte> params) = 0;
  /// Error: device, with what went wrong (in the simulator: every hazard, and the schedule that replays it).
  virtual Status synchronize(StreamHandle stream = {}) = 0;
};

/// The CUDA driver, found with dlopen("libcuda.so.1"), and its first device. Error: device, saying what is missing:
/// the library, a device, a function (the driver is too old).
Result<std::unique_ptr<LaunchBackend>> make_driver_backend();

/// One allocation of a backend, freed with its owner.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  static Result<DeviceBuffer> make(LaunchBackend& backend, size_t bytes, const std::string& name = {});
  DeviceBuffer(DeviceBuffer&& other) noexcept;
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept;
  ~DeviceBuffer();
  DeviceAddress address() const { return address_; }
  size_t bytes() const { return bytes_; }

 private:
  LaunchBackend* backend_ = nullptr;
  DeviceAddress address_ = 0;
  size_t bytes_ = 0;
};

}  // namespace attend::cuda
