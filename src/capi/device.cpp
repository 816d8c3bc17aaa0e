// SPDX-License-Identifier: Apache-2.0
#include <attend/device.hpp>
#include <memory>
#include <string>
#include <utility>

#include "capi/handles.hpp"
#include "capi/structs.hpp"

using attend::Device;
using attend::Result;
using attend::Status;
using attend::capi::guarded;
using attend::capi::refuse_null;

namespace {

Status need_device(const char* operation, const attend_device* device) {
  return device != nullptr ? Status() : refuse_null(operation, "device", "a device");
}

Status need_copy(const char* operation, const attend_device* device, const void* to, const void* from, size_t bytes) {
  ATTEND_CAPI_TRY(need_device(operation, device));
  if (bytes == 0) return {};
  for (const auto& [name, pointer] : {std::pair{"to", to}, std::pair{"from", from}})
    if (pointer == nullptr) return refuse_null(operation, name, std::to_string(bytes) + " bytes (= bytes)");
  return {};
}

}  // namespace

attend_status attend_device_create_cuda(attend_device** device) {
  constexpr const char* kOperation = "device_create_cuda";
  if (device != nullptr) *device = nullptr;
  return guarded(kOperation, [&]() -> Status {
    if (device == nullptr) return refuse_null(kOperation, "device", "where to put the handle");
    const Result<Device> found = Device::cuda();
    if (!found.ok()) return {found.status().code(), std::string(kOperation) + ": " + found.status().message()};
    *device = std::make_unique<attend_device>(attend_device{*found}).release();
    return {};
  });
}

void attend_device_destroy(attend_device* device) { delete device; }

attend_status attend_device_name(const attend_device* device, char* buffer, size_t size, size_t* length) {
  constexpr const char* kOperation = "device_name";
  return guarded(kOperation, [&]() -> Status {
    ATTEND_CAPI_TRY(need_device(kOperation, device));
    return attend::capi::copy_text(kOperation, device->device.name(), buffer, size, length);
  });
}

attend_status attend_device_allocate(const attend_device* device, size_t bytes, void** memory) {
  constexpr const char* kOperation = "device_allocate";
  if (memory != nullptr) *memory = nullptr;
  return guarded(kOperation, [&]() -> Status {
    ATTEND_CAPI_TRY(need_device(kOperation, device));
    if (memory == nullptr) return refuse_null(kOperation, "memory", "where to put the address");
    const Result<void*> found = device->device.allocate(bytes);
    if (!found.ok()) return found.status();
    *memory = *found;
    return {};
  });
}

attend_status attend_device_free(const attend_device* device, void* memory) {
  constexpr const char* kOperation = "device_free";
  return guarded(kOperation, [&]() -> Status {
    ATTEND_CAPI_TRY(need_device(kOperation, device));
    return device->device.free(memory);
  });
}

attend_status attend_device_copy_to_device(const attend_device* device, void* to, const void* from, size_t bytes,
                                           void* stream) {
  constexpr const char* kOperation = "device_copy_to_device";
  return guarded(kOperation, [&]() -> Status {
    ATTEND_CAPI_TRY(need_copy(kOperation, device, to, from, bytes));
    return device->device.copy_to_device(to, from, bytes, stream);
  });
}

attend_status attend_device_copy_to_host(const attend_device* device, void* to, const void* from, size_t bytes,
                                         void* stream) {
  constexpr const char* kOperation = "device_copy_to_host";
  return guarded(kOperation, [&]() -> Status {
    ATTEND_CAPI_TRY(need_copy(kOperation, device, to, from, bytes));
    return device->device.copy_to_host(to, from, bytes, stream);
  });
}

attend_status attend_device_synchronize(const attend_device* device, void* stream) {
  constexpr const char* kOperation = "device_synchronize";
  return guarded(kOperation, [&]() -> Status {
    ATTEND_CAPI_TRY(need_device(kOperation, device));
    return device->device.synchronize(stream);
  });
}
