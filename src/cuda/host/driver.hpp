// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/status.hpp>

#include <cstddef>
#include <cstdint>

/// The part of the CUDA driver's interface that the library uses, declared by hand: building needs no toolkit, and the
/// program starts where there is no driver. sim/tests/tool/driver_abi_test.cpp compares it with the toolkit's cuda.h.
namespace attend::cuda::driver {

using Code = int;  ///< CUresult
inline constexpr Code kSuccess = 0, kOutOfMemory = 2, kNotReady = 600;
using Device = int;
using Address = unsigned long long;
struct ContextTag;
struct ModuleTag;
struct FunctionTag;
struct StreamTag;
struct EventTag;
struct GraphTag;
struct GraphExecTag;
using Context = ContextTag*;
using Module = ModuleTag*;
using Function = FunctionTag*;
using Stream = StreamTag*;
using Event = EventTag*;
using Graph = GraphTag*;
using GraphExec = GraphExecTag*;

struct LaunchAttribute {
  int id;
  char pad[4];
  union Value {
    char bytes[64];
    struct Cluster {
      unsigned x, y, z;
    } cluster;
    int programmatic_allowed;
  } value;
};
struct LaunchConfig {
  unsigned grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes;
  Stream stream;
  LaunchAttribute* attributes;
  unsigned attribute_count;
};
inline constexpr int kAttributeCluster = 4, kAttributeProgrammatic = 6;  // CUlaunchAttributeID
inline constexpr int kJitErrorLog = 5, kJitErrorLogBytes = 6;            // CUjit_option
inline constexpr int kFunctionMaxDynamicShared = 8, kFunctionNonPortableCluster = 14;
inline constexpr int kDeviceMultiprocessors = 16, kDeviceL2Bytes = 38, kDeviceMajor = 75, kDeviceMinor = 76,
                     kDeviceSharedOptin = 97;
inline constexpr unsigned kStreamNonBlocking = 1;  // CUstream_flags
inline constexpr int kCaptureThreadLocal = 1;      // CUstreamCaptureMode
// In cuLaunchKernelEx's `extra`: a block of parameters in place of a list.
inline void* const kParamPointer = reinterpret_cast<void*>(1);
inline void* const kParamBytes = reinterpret_cast<void*>(2);

/// DRIVER(member, exported name, parameters). The last block is for who measures or records what runs (bench/cuda/,
/// tests).
#define ATTEND_DRIVER_FUNCTIONS(DRIVER)                                                                               \
  DRIVER(init, "cuInit", (unsigned flags))                                                                            \
  DRIVER(error_name, "cuGetErrorName", (Code error, const char** name))                                               \
  DRIVER(error_string, "cuGetErrorString", (Code error, const char** text))                                           \
  DRIVER(device_count, "cuDeviceGetCount", (int* count))                                                              \
  DRIVER(device_get, "cuDeviceGet", (Device * device, int ordinal))                                                   \
  DRIVER(device_name, "cuDeviceGetName", (char* name, int bytes, Device device))                                      \
  DRIVER(device_attribute, "cuDeviceGetAttribute", (int* value, int attribute, Device device))                        \
  DRIVER(context_retain, "cuDevicePrimaryCtxRetain", (Context * context, Device device))                              \
  DRIVER(context_release, "cuDevicePrimaryCtxRelease_v2", (Device device))                                            \
  DRIVER(context_set, "cuCtxSetCurrent", (Context context))                                                           \
  DRIVER(module_load, "cuModuleLoadDataEx",                                                                           \
         (Module * module, const void* image, unsigned options, int* keys, void** values))                            \
  DRIVER(module_unload, "cuModuleUnload", (Module module))                                                            \
  DRIVER(module_function, "cuModuleGetFunction", (Function * function, Module module, const char* name))              \
  DRIVER(module_global, "cuModuleGetGlobal_v2", (Address * address, size_t * bytes, Module module, const char* name)) \
  DRIVER(function_set, "cuFuncSetAttribute", (Function function, int attribute, int value))                           \
  DRIVER(launch, "cuLaunchKernelEx", (const LaunchConfig* config, Function function, void** params, void** extra))    \
  DRIVER(mem_alloc, "cuMemAlloc_v2", (Address * address, size_t bytes))                                               \
  DRIVER(mem_free, "cuMemFree_v2", (Address address))                                                                 \
  DRIVER(copy_in, "cuMemcpyHtoDAsync_v2", (Address to, const void* from, size_t bytes, Stream stream))                \
  DRIVER(copy_out, "cuMemcpyDtoHAsync_v2", (void* to, Address from, size_t bytes, Stream stream))                     \
  DRIVER(fill, "cuMemsetD8Async", (Address to, unsigned char value, size_t bytes, Stream stream))                     \
  DRIVER(stream_create, "cuStreamCreate", (Stream * stream, unsigned flags))                                          \
  DRIVER(stream_destroy, "cuStreamDestroy_v2", (Stream stream))                                                       \
  DRIVER(stream_wait, "cuStreamSynchronize", (Stream stream))                                                         \
  DRIVER(encode_tiled, "cuTensorMapEncodeTiled",                                                                      \
         (void* map, int type, uint32_t rank, void* address, const uint64_t* dim, const uint64_t* stride,             \
          const uint32_t* box, const uint32_t* element_stride, int interleave, int swizzle, int l2, int fill))        \
  DRIVER(driver_version, "cuDriverGetVersion", (int* version))                                                        \
  DRIVER(device_bus_id, "cuDeviceGetPCIBusId", (char* text, int bytes, Device device))                                \
  DRIVER(copy_inside, "cuMemcpyDtoDAsync_v2", (Address to, Address from, size_t bytes, Stream stream))                \
  DRIVER(event_create, "cuEventCreate", (Event * event, unsigned flags))                                              \
  DRIVER(event_destroy, "cuEventDestroy_v2", (Event event))                                                           \
  DRIVER(event_record, "cuEventRecord", (Event event, Stream stream))                                                 \
  DRIVER(event_query, "cuEventQuery", (Event event))                                                                  \
  DRIVER(event_elapsed, "cuEventElapsedTime", (float* milliseconds, Event begin, Event end))                          \
  DRIVER(capture_begin, "cuStreamBeginCapture_v2", (Stream stream, int mode))                                         \
  DRIVER(capture_end, "cuStreamEndCapture", (Stream stream, Graph * graph))                                           \
  DRIVER(graph_instantiate, "cuGraphInstantiateWithFlags",                                                            \
         (GraphExec * executable, Graph graph, unsigned long long flags))                                             \
  DRIVER(graph_launch, "cuGraphLaunch", (GraphExec executable, Stream stream))                                        \
  DRIVER(graph_exec_destroy, "cuGraphExecDestroy", (GraphExec executable))                                            \
  DRIVER(graph_destroy, "cuGraphDestroy", (Graph graph))

/// The loaded functions; null where nothing is loaded.
struct Api {
#define ATTEND_DRIVER_MEMBER(member, name, parameters) Code(*member) parameters = nullptr;
  ATTEND_DRIVER_FUNCTIONS(ATTEND_DRIVER_MEMBER)
#undef ATTEND_DRIVER_MEMBER
};

/// Loads a library once per process. Error: device, naming the library and the loader's reason, or the first function
/// that it lacks.
Result<const Api*> load(const char* library = "libcuda.so.1");

/// ok, or device (out_of_memory) as "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (2): out of memory".
Status check(const Api& api, Code code, const char* call);

}  // namespace attend::cuda::driver
