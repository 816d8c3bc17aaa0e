// SPDX-License-Identifier: Apache-2.0
// The part of the CUDA driver's interface that the library uses (src/cuda/host/driver.hpp), on the simulator: what runs
// against it has taken the path of a device. Its times are those of a simulator, and mean nothing. With
// PTXSIM_DRIVER_BREAK=<n> in the environment the n-th launch of a process fails, and all calls after it; with
// PTXSIM_DRIVER_HANG=<n> no event is reached after it.
#include "cuda/host/driver.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "sim/launch/simulator_backend.hpp"

namespace driver = attend::cuda::driver;
using attend::Status;
using attend::StatusCode;
using driver::Address;
using driver::Code;

namespace {

// CUresult.
constexpr Code kInvalid = 1, kNoBinary = 209, kInvalidHandle = 400, kLaunchFailed = 719, kNotPermitted = 800;
constexpr int kMultiprocessors = 4;
/// Larger blocks, which nothing but copies and fills looks at, have no memory behind them.
constexpr size_t kHollow = size_t{256} << 20;
constexpr Address kHollowBegin = Address{1} << 46;

using Step = std::function<Code()>;

struct Event {
  std::chrono::steady_clock::time_point when;
};
struct Graph {
  std::vector<Step> steps;
};

struct State {
  std::mutex mutex;
  ptxsim::SimulatorBackend backend{{}, {}, kMultiprocessors};
  Code broken = driver::kSuccess;  ///< as on a device, what comes behind a failure fails as well
  std::unique_ptr<Graph> recording;
  driver::Stream recorded_stream = nullptr;
  Address next_hollow = kHollowBegin;
  long launches = 0;
  const long breaks_at = number("PTXSIM_DRIVER_BREAK"), hangs_at = number("PTXSIM_DRIVER_HANG");

  static long number(const char* variable) {
    const char* const text = std::getenv(variable);
    return text == nullptr ? 0 : std::atol(text);
  }
  bool hangs() const { return hangs_at > 0 && launches >= hangs_at; }

  Code code_of(const Status& status) {
    if (status.ok()) return driver::kSuccess;
    if (status.code() == StatusCode::out_of_memory) return driver::kOutOfMemory;
    std::fprintf(stderr, "ptxsim driver: %s\n", status.message().c_str());
    if (status.code() != StatusCode::device) return kInvalid;
    return broken = kLaunchFailed;
  }
};

State& state() {
  static State* const kept = new State;  // never destroyed: programs end without asking
  return *kept;
}

/// f(state), alone; nothing once the device is broken.
template <class F>
Code with(F&& f) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return s.broken != driver::kSuccess ? s.broken : f(s);
}

/// Into the stream, or into the graph that is being recorded from it.
Code put(State& s, driver::Stream stream, Step step) {
  if (s.recording == nullptr || stream != s.recorded_stream) return step();
  s.recording->steps.push_back(std::move(step));
  return driver::kSuccess;
}

bool hollow(Address address) { return address >= kHollowBegin; }

attend::cuda::StreamHandle stream_of(driver::Stream stream) { return {reinterpret_cast<uint64_t>(stream)}; }

}  // namespace

#define ATTEND_EXPORT extern "C" __attribute__((visibility("default"))) Code

ATTEND_EXPORT cuInit(unsigned) { return driver::kSuccess; }
ATTEND_EXPORT cuDriverGetVersion(int* version) { return *version = 13000, driver::kSuccess; }

ATTEND_EXPORT cuGetErrorName(Code error, const char** name) {
  static const std::map<Code, const char*> kNames = {
      {kInvalid, "CUDA_ERROR_INVALID_VALUE"},      {driver::kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"},
      {kNoBinary, "CUDA_ERROR_NO_BINARY_FOR_GPU"}, {kInvalidHandle, "CUDA_ERROR_INVALID_HANDLE"},
      {kLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED"}, {kNotPermitted, "CUDA_ERROR_NOT_PERMITTED"}};
  const auto known = kNames.find(error);
  *name = known == kNames.end() ? nullptr : known->second;
  return known == kNames.end() ? kInvalid : driver::kSuccess;
}
ATTEND_EXPORT cuGetErrorString(Code error, const char** text) { return cuGetErrorName(error, text); }

ATTEND_EXPORT cuDeviceGetCount(int* count) { return *count = 1, driver::kSuccess; }
ATTEND_EXPORT cuDeviceGet(driver::Device* device, int ordinal) {
  *device = 0;
  return ordinal == 0 ? driver::kSuccess : kInvalid;
}
ATTEND_EXPORT cuDeviceGetName(char* name, int bytes, driver::Device) {
  std::snprintf(name, static_cast<size_t>(bytes), "ptxsim driver");
  return driver::kSuccess;
}
ATTEND_EXPORT cuDeviceGetPCIBusId(char* text, int bytes, driver::Device) {
  std::snprintf(text, static_cast<size_t>(bytes), "0000:00:00.0");
  return driver::kSuccess;
}
ATTEND_EXPORT cuDeviceGetAttribute(int* value, int attribute, driver::Device) {
  return with([&](State& s) {
    const attend::cuda::DeviceFacts facts = s.backend.facts();
    switch (attribute) {
      case driver::kDeviceMajor: *value = facts.major; return driver::kSuccess;
      case driver::kDeviceMinor: *value = facts.minor; return driver::kSuccess;
      case driver::kDeviceMultiprocessors: *value = facts.multiprocessors; return driver::kSuccess;
      case driver::kDeviceSharedOptin: *value = static_cast<int>(facts.shared_bytes_per_block); return driver::kSuccess;
      case driver::kDeviceL2Bytes: *value = static_cast<int>(facts.l2_bytes); return driver::kSuccess;
      default: return kInvalid;
    }
  });
}

ATTEND_EXPORT cuDevicePrimaryCtxRetain(driver::Context* context, driver::Device) {
  *context = reinterpret_cast<driver::Context>(&state());
  return driver::kSuccess;
}
ATTEND_EXPORT cuDevicePrimaryCtxRelease_v2(driver::Device) { return driver::kSuccess; }
ATTEND_EXPORT cuCtxSetCurrent(driver::Context) { return driver::kSuccess; }

ATTEND_EXPORT cuModuleLoadDataEx(driver::Module* module, const void* image, unsigned, int*, void**) {
  const auto* text = static_cast<const char*>(image);
  if (std::strncmp(text,
                   "\x7f"
                   "ELF",
                   4) == 0)
    return kNoBinary;  // machine code is for a device; the library has the text as well
  return with([&](State& s) {
    const auto loaded = s.backend.load_module(text, "module");
    if (loaded.ok()) *module = reinterpret_cast<driver::Module>(loaded->id);
    return s.code_of(loaded.status());
  });
}
ATTEND_EXPORT cuModuleUnload(driver::Module module) {
  return with([&](State& s) { return s.code_of(s.backend.unload_module({reinterpret_cast<uint64_t>(module)})); });
}
ATTEND_EXPORT cuModuleGetFunction(driver::Function* function, driver::Module module, const char* name) {
  return with([&](State& s) {
    const auto kernel = s.backend.kernel({reinterpret_cast<uint64_t>(module)}, name);
    if (kernel.ok()) *function = reinterpret_cast<driver::Function>(kernel->id);
    return s.code_of(kernel.status());
  });
}
ATTEND_EXPORT cuModuleGetGlobal_v2(Address* address, size_t*, driver::Module module, const char* name) {
  return with([&](State& s) {
    const auto found = s.backend.symbol({reinterpret_cast<uint64_t>(module)}, name);
    if (found.ok()) *address = *found;
    return s.code_of(found.status());
  });
}
ATTEND_EXPORT cuFuncSetAttribute(driver::Function, int, int) { return driver::kSuccess; }

ATTEND_EXPORT cuLaunchKernelEx(const driver::LaunchConfig* from, driver::Function function, void**, void** extra) {
  attend::cuda::LaunchConfig config;
  config.grid = {from->grid_x, from->grid_y, from->grid_z};
  config.block = {from->block_x, from->block_y, from->block_z};
  config.dynamic_shared_bytes = from->shared_bytes;
  config.stream = stream_of(from->stream);
  for (unsigned i = 0; i < from->attribute_count; ++i) {
    const driver::LaunchAttribute& attribute = from->attributes[i];
    if (attribute.id == driver::kAttributeCluster)
      config.cluster = {attribute.value.cluster.x, attribute.value.cluster.y, attribute.value.cluster.z};
    if (attribute.id == driver::kAttributeProgrammatic) config.programmatic = attribute.value.programmatic_allowed != 0;
  }
  const std::byte* params = nullptr;
  size_t bytes = 0;
  for (void** word = extra; word != nullptr && *word != nullptr; word += 2) {
    if (word[0] == driver::kParamPointer) params = static_cast<const std::byte*>(word[1]);
    if (word[0] == driver::kParamBytes) bytes = *static_cast<const size_t*>(word[1]);
  }
  if (params == nullptr) return kInvalid;
  const std::vector<std::byte> kept(params, params + bytes);
  return with([&](State& s) {
    if (++s.launches == s.breaks_at) return s.broken = kLaunchFailed;
    return put(s, from->stream, [&s, config, function, kept] {
      return s.code_of(s.backend.launch({reinterpret_cast<uint64_t>(function)}, config, kept));
    });
  });
}

ATTEND_EXPORT cuMemAlloc_v2(Address* address, size_t bytes) {
  return with([&](State& s) {
    if (bytes >= kHollow) {
      *address = s.next_hollow;
      s.next_hollow += 2 * bytes;
      return driver::kSuccess;
    }
    const auto memory = s.backend.alloc(bytes, {});
    if (memory.ok()) *address = *memory;
    return s.code_of(memory.status());
  });
}
ATTEND_EXPORT cuMemFree_v2(Address address) {
  return with([&](State& s) { return hollow(address) ? driver::kSuccess : s.code_of(s.backend.free(address)); });
}
ATTEND_EXPORT cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, driver::Stream stream) {
  return with([&](State& s) {
    if (hollow(to)) return driver::kSuccess;
    const auto* first = static_cast<const std::byte*>(from);
    return s.code_of(s.backend.copy_to_device(to, {first, bytes}, stream_of(stream)));
  });
}
ATTEND_EXPORT cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, driver::Stream stream) {
  return with([&](State& s) {
    if (hollow(from)) return kInvalid;
    return s.code_of(s.backend.copy_to_host({static_cast<std::byte*>(to), bytes}, from, stream_of(stream)));
  });
}
ATTEND_EXPORT cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, driver::Stream stream) {
  return with([&](State& s) {
    return put(s, stream, [&s, to, from, bytes, stream] {
      if (hollow(to) && hollow(from)) return driver::kSuccess;
      if (hollow(to) || hollow(from)) return kInvalid;
      std::vector<std::byte> between(bytes);
      const Code code = s.code_of(s.backend.copy_to_host(between, from, stream_of(stream)));
      return code != driver::kSuccess ? code : s.code_of(s.backend.copy_to_device(to, between, stream_of(stream)));
    });
  });
}
ATTEND_EXPORT cuMemsetD8Async(Address to, unsigned char value, size_t bytes, driver::Stream stream) {
  return with([&](State& s) {
    return put(s, stream, [&s, to, value, bytes, stream] {
      return hollow(to) ? driver::kSuccess : s.code_of(s.backend.fill(to, value, bytes, stream_of(stream)));
    });
  });
}

ATTEND_EXPORT cuStreamCreate(driver::Stream* stream, unsigned) {
  return with([&](State& s) {
    const auto made = s.backend.create_stream();
    if (made.ok()) *stream = reinterpret_cast<driver::Stream>(made->id);
    return s.code_of(made.status());
  });
}
ATTEND_EXPORT cuStreamDestroy_v2(driver::Stream stream) {
  return with([&](State& s) { return s.code_of(s.backend.destroy_stream(stream_of(stream))); });
}
ATTEND_EXPORT cuStreamSynchronize(driver::Stream stream) {
  return with([&](State& s) {
    if (s.recording != nullptr && stream == s.recorded_stream) return kNotPermitted;
    return s.code_of(s.backend.synchronize(stream_of(stream)));
  });
}

ATTEND_EXPORT cuTensorMapEncodeTiled(void* map, int type, uint32_t rank, void* address, const uint64_t* dim,
                                     const uint64_t* stride, const uint32_t* box, const uint32_t* element_stride, int,
                                     int swizzle, int, int fill) {
  attend::cuda::TiledDesc desc;
  desc.type = static_cast<attend::cuda::TensorType>(type);
  desc.rank = rank;
  desc.address = reinterpret_cast<Address>(address);
  for (uint32_t i = 0; i < rank && i < desc.dim.size(); ++i) {
    desc.dim[i] = dim[i];
    desc.box[i] = box[i];
    desc.element_stride[i] = element_stride[i];
    if (i + 1 < rank) desc.stride_bytes[i] = stride[i];
  }
  desc.swizzle = static_cast<attend::cuda::TensorSwizzle>(swizzle);
  desc.fill = static_cast<attend::cuda::TensorFill>(fill);
  return with([&](State& s) {
    const auto encoded = s.backend.encode_tiled(desc);
    if (encoded.ok()) std::memcpy(map, encoded->bytes.data(), encoded->bytes.size());
    return s.code_of(encoded.status());
  });
}

ATTEND_EXPORT cuEventCreate(driver::Event* event, unsigned) {
  return *event = reinterpret_cast<driver::Event>(new Event), driver::kSuccess;
}
ATTEND_EXPORT cuEventDestroy_v2(driver::Event event) {
  delete reinterpret_cast<Event*>(event);
  return driver::kSuccess;
}
/// What is in the stream runs now.
ATTEND_EXPORT cuEventRecord(driver::Event event, driver::Stream stream) {
  return with([&](State& s) {
    const Code code = s.code_of(s.backend.synchronize(stream_of(stream)));
    reinterpret_cast<Event*>(event)->when = std::chrono::steady_clock::now();
    return code;
  });
}
ATTEND_EXPORT cuEventQuery(driver::Event) {
  return with([](State& s) { return s.hangs() ? driver::kNotReady : driver::kSuccess; });
}
ATTEND_EXPORT cuEventElapsedTime(float* milliseconds, driver::Event begin, driver::Event end) {
  const std::chrono::duration<float, std::milli> passed =
      reinterpret_cast<Event*>(end)->when - reinterpret_cast<Event*>(begin)->when;
  return *milliseconds = passed.count(), driver::kSuccess;
}

ATTEND_EXPORT cuStreamBeginCapture_v2(driver::Stream stream, int) {
  return with([&](State& s) {
    if (s.recording != nullptr || stream == nullptr) return kNotPermitted;
    s.recording = std::make_unique<Graph>();
    s.recorded_stream = stream;
    return driver::kSuccess;
  });
}
ATTEND_EXPORT cuStreamEndCapture(driver::Stream stream, driver::Graph* graph) {
  return with([&](State& s) {
    if (s.recording == nullptr || stream != s.recorded_stream) return kNotPermitted;
    *graph = reinterpret_cast<driver::Graph>(s.recording.release());
    return driver::kSuccess;
  });
}
ATTEND_EXPORT cuGraphInstantiateWithFlags(driver::GraphExec* executable, driver::Graph graph, unsigned long long) {
  *executable = reinterpret_cast<driver::GraphExec>(new Graph(*reinterpret_cast<Graph*>(graph)));
  return driver::kSuccess;
}
ATTEND_EXPORT cuGraphLaunch(driver::GraphExec executable, driver::Stream) {
  return with([&](State&) {
    for (const Step& step : reinterpret_cast<Graph*>(executable)->steps)
      if (const Code code = step(); code != driver::kSuccess) return code;
    return driver::kSuccess;
  });
}
ATTEND_EXPORT cuGraphExecDestroy(driver::GraphExec executable) {
  delete reinterpret_cast<Graph*>(executable);
  return driver::kSuccess;
}
ATTEND_EXPORT cuGraphDestroy(driver::Graph graph) {
  delete reinterpret_cast<Graph*>(graph);
  return driver::kSuccess;
}
