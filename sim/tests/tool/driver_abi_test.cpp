// SPDX-License-Identifier: Apache-2.0
#include <cuda.h>
#include <gtest/gtest.h>

#include <cstddef>

#include "cuda/host/driver.hpp"
#include "cuda/host/launch_backend.hpp"

// The hand-made declarations against the toolkit's: sizes, places of fields, numbers of enumerators.
namespace {

namespace driver = attend::cuda::driver;

TEST(driver_abi, launch_config_has_the_layout_of_the_toolkit) {
  EXPECT_EQ(sizeof(driver::LaunchConfig), sizeof(CUlaunchConfig));
  EXPECT_EQ(offsetof(driver::LaunchConfig, block_x), offsetof(CUlaunchConfig, blockDimX));
  EXPECT_EQ(offsetof(driver::LaunchConfig, shared_bytes), offsetof(CUlaunchConfig, sharedMemBytes));
  EXPECT_EQ(offsetof(driver::LaunchConfig, stream), offsetof(CUlaunchConfig, hStream));
  EXPECT_EQ(offsetof(driver::LaunchConfig, attributes), offsetof(CUlaunchConfig, attrs));
  EXPECT_EQ(offsetof(driver::LaunchConfig, attribute_count), offsetof(CUlaunchConfig, numAttrs));
  EXPECT_EQ(sizeof(driver::LaunchAttribute), sizeof(CUlaunchAttribute));
  EXPECT_EQ(offsetof(driver::LaunchAttribute, value), offsetof(CUlaunchAttribute, value));
  EXPECT_EQ(sizeof(driver::LaunchAttribute::Value), sizeof(CUlaunchAttributeValue));
}

TEST(driver_abi, enumerators_have_the_numbers_of_the_toolkit) {
  EXPECT_EQ(driver::kAttributeCluster, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
  EXPECT_EQ(driver::kAttributeProgrammatic, CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
  EXPECT_EQ(driver::kJitErrorLog, CU_JIT_ERROR_LOG_BUFFER);
  EXPECT_EQ(driver::kJitErrorLogBytes, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
  EXPECT_EQ(driver::kFunctionMaxDynamicShared, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
  EXPECT_EQ(driver::kFunctionNonPortableCluster, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED);
  EXPECT_EQ(driver::kDeviceMultiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  EXPECT_EQ(driver::kDeviceMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  EXPECT_EQ(driver::kDeviceMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  EXPECT_EQ(driver::kDeviceSharedOptin, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  EXPECT_EQ(driver::kOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(driver::kNotReady, CUDA_ERROR_NOT_READY);
  EXPECT_EQ(driver::kDeviceL2Bytes, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
  EXPECT_EQ(driver::kStreamNonBlocking, static_cast<unsigned>(CU_STREAM_NON_BLOCKING));
  EXPECT_EQ(driver::kCaptureThreadLocal, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  EXPECT_EQ(driver::kParamPointer, CU_LAUNCH_PARAM_BUFFER_POINTER);
  EXPECT_EQ(driver::kParamBytes, CU_LAUNCH_PARAM_BUFFER_SIZE);
}

TEST(driver_abi, tensor_maps_have_the_numbers_of_the_toolkit) {
  using attend::cuda::TensorFill;
  using attend::cuda::TensorSwizzle;
  using attend::cuda::TensorType;
  EXPECT_EQ(sizeof(attend::cuda::TensorMap), sizeof(CUtensorMap));
  EXPECT_EQ(alignof(attend::cuda::TensorMap), 64U);
  const std::pair<TensorType, CUtensorMapDataType> types[] = {
      {TensorType::u8, CU_TENSOR_MAP_DATA_TYPE_UINT8},
      {TensorType::u16, CU_TENSOR_MAP_DATA_TYPE_UINT16},
      {TensorType::u32, CU_TENSOR_MAP_DATA_TYPE_UINT32},
      {TensorType::s32, CU_TENSOR_MAP_DATA_TYPE_INT32},
      {TensorType::u64, CU_TENSOR_MAP_DATA_TYPE_UINT64},
      {TensorType::s64, CU_TENSOR_MAP_DATA_TYPE_INT64},
      {TensorType::f16, CU_TENSOR_MAP_DATA_TYPE_FLOAT16},
      {TensorType::f32, CU_TENSOR_MAP_DATA_TYPE_FLOAT32},
      {TensorType::f64, CU_TENSOR_MAP_DATA_TYPE_FLOAT64},
      {TensorType::bf16, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16},
      {TensorType::tf32, CU_TENSOR_MAP_DATA_TYPE_TFLOAT32},
      {TensorType::tf32_ftz, CU_TENSOR_MAP_DATA_TYPE_TFLOAT32_FTZ}};
  for (const auto& [ours, theirs] : types) EXPECT_EQ(static_cast<int>(ours), static_cast<int>(theirs));
  EXPECT_EQ(static_cast<int>(TensorSwizzle::b128), CU_TENSOR_MAP_SWIZZLE_128B);
  EXPECT_EQ(static_cast<int>(TensorSwizzle::b32), CU_TENSOR_MAP_SWIZZLE_32B);
  EXPECT_EQ(static_cast<int>(TensorFill::nan), CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA);
  EXPECT_EQ(CU_TENSOR_MAP_INTERLEAVE_NONE, 0);
  EXPECT_EQ(CU_TENSOR_MAP_L2_PROMOTION_NONE, 0);
}

/// The declared type of a function, its handles and enumerations as the pointers and integers that they are.
template <class T>
using Plain = std::conditional_t<std::is_enum_v<T>, int, std::conditional_t<std::is_pointer_v<T>, void*, T>>;
template <class R, class... A>
auto plain(R (*)(A...)) -> Plain<R> (*)(Plain<A>...);
template <class Ours, class Theirs>
constexpr bool kSame = std::is_same_v<decltype(plain(std::declval<Ours>())), decltype(plain(std::declval<Theirs>()))>;

TEST(driver_abi, functions_take_what_the_toolkit_says) {
  const driver::Api api;
  // cuda.h renames functions to their newest version, which is the one that is looked up.
  EXPECT_TRUE((kSame<decltype(api.module_load), decltype(&cuModuleLoadDataEx)>));
  EXPECT_TRUE((kSame<decltype(api.module_function), decltype(&cuModuleGetFunction)>));
  EXPECT_TRUE((kSame<decltype(api.module_global), decltype(&cuModuleGetGlobal)>));
  EXPECT_TRUE((kSame<decltype(api.function_set), decltype(&cuFuncSetAttribute)>));
  EXPECT_TRUE((kSame<decltype(api.launch), decltype(&cuLaunchKernelEx)>));
  EXPECT_TRUE((kSame<decltype(api.mem_alloc), decltype(&cuMemAlloc)>));
  EXPECT_TRUE((kSame<decltype(api.copy_in), decltype(&cuMemcpyHtoDAsync)>));
  EXPECT_TRUE((kSame<decltype(api.copy_out), decltype(&cuMemcpyDtoHAsync)>));
  EXPECT_TRUE((kSame<decltype(api.fill), decltype(&cuMemsetD8Async)>));
  EXPECT_TRUE((kSame<decltype(api.stream_create), decltype(&cuStreamCreate)>));
  EXPECT_TRUE((kSame<decltype(api.encode_tiled), decltype(&cuTensorMapEncodeTiled)>));
  EXPECT_TRUE((kSame<decltype(api.device_attribute), decltype(&cuDeviceGetAttribute)>));
  EXPECT_TRUE((kSame<decltype(api.driver_version), decltype(&cuDriverGetVersion)>));
  EXPECT_TRUE((kSame<decltype(api.device_bus_id), decltype(&cuDeviceGetPCIBusId)>));
  EXPECT_TRUE((kSame<decltype(api.copy_inside), decltype(&cuMemcpyDtoDAsync)>));
  EXPECT_TRUE((kSame<decltype(api.event_create), decltype(&cuEventCreate)>));
  EXPECT_TRUE((kSame<decltype(api.event_record), decltype(&cuEventRecord)>));
  EXPECT_TRUE((kSame<decltype(api.event_query), decltype(&cuEventQuery)>));
  EXPECT_TRUE((kSame<decltype(api.event_elapsed), decltype(&cuEventElapsedTime)>));
  EXPECT_TRUE((kSame<decltype(api.event_destroy), decltype(&cuEventDestroy)>));
  EXPECT_TRUE((kSame<decltype(api.capture_begin), decltype(&cuStreamBeginCapture)>));
  EXPECT_TRUE((kSame<decltype(api.graph_launch), decltype(&cuGraphLaunch)>));
  EXPECT_TRUE((kSame<decltype(api.graph_instantiate), decltype(&cuGraphInstantiateWithFlags)>));
}

}  // namespace
