// SPDX-License-Identifier: Apache-2.0
#include "sensors.hpp"

#include <dlfcn.h>

#include <type_traits>

namespace attend::bench::cuda {
namespace {

constexpr int kSmClock = 1, kMemoryClock = 2, kGpuTemperature = 0;  // nvmlClockType_t, nvmlTemperatureSensors_t

}  // namespace

/// The part of nvml.h that is used; null where this NVML has no such function.
struct Sensors::Api {
  int (*init)() = nullptr;
  int (*driver)(char* text, unsigned bytes) = nullptr;
  int (*by_bus_id)(const char* bus_id, void** device) = nullptr;
  int (*by_index)(unsigned index, void** device) = nullptr;
  int (*clock)(void* device, int type, unsigned* mhz) = nullptr;
  int (*max_clock)(void* device, int type, unsigned* mhz) = nullptr;
  int (*power)(void* device, unsigned* milliwatts) = nullptr;
  int (*power_limit)(void* device, unsigned* milliwatts) = nullptr;
  int (*temperature)(void* device, int sensor, unsigned* celsius) = nullptr;
  int (*clock_limits)(void* device, unsigned long long* reasons) = nullptr;
};

Result<Sensors> Sensors::open(const std::string& bus_id) {
  void* const library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const reason = dlerror();
    return Status(StatusCode::device, std::string("no NVML: ") + (reason != nullptr ? reason : "unknown reason"));
  }
  auto api = std::make_shared<Api>();
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
  };
  find(api->init, "nvmlInit_v2");
  find(api->driver, "nvmlSystemGetDriverVersion");
  find(api->by_bus_id, "nvmlDeviceGetHandleByPciBusId_v2");
  find(api->by_index, "nvmlDeviceGetHandleByIndex_v2");
  find(api->clock, "nvmlDeviceGetClockInfo");
  find(api->max_clock, "nvmlDeviceGetMaxClockInfo");
  find(api->power, "nvmlDeviceGetPowerUsage");
  find(api->power_limit, "nvmlDeviceGetEnforcedPowerLimit");
  find(api->temperature, "nvmlDeviceGetTemperature");
  find(api->clock_limits, "nvmlDeviceGetCurrentClocksThrottleReasons");
  if (api->init == nullptr || api->init() != 0) return Status(StatusCode::device, "NVML does not start");

  Sensors sensors;
  const bool found = (api->by_bus_id != nullptr && api->by_bus_id(bus_id.c_str(), &sensors.device_) == 0) ||
                     (api->by_index != nullptr && api->by_index(0, &sensors.device_) == 0);
  if (!found) return Status(StatusCode::device, "NVML knows no device " + bus_id);
  char text[96] = "";
  if (api->driver != nullptr && api->driver(text, sizeof text) == 0) sensors.driver_version_ = text;
  unsigned value = 0;
  if (api->power_limit != nullptr && api->power_limit(sensors.device_, &value) == 0)
    sensors.power_limit_w_ = 1e-3 * value;
  if (api->max_clock != nullptr && api->max_clock(sensors.device_, kSmClock, &value) == 0) sensors.max_sm_mhz_ = value;
  sensors.api_ = std::move(api);
  return sensors;
}

Reading Sensors::read() const {
  Reading reading;
  unsigned value = 0;
  if (api_->clock != nullptr && api_->clock(device_, kSmClock, &value) == 0) reading.sm_mhz = value;
  if (api_->clock != nullptr && api_->clock(device_, kMemoryClock, &value) == 0) reading.memory_mhz = value;
  if (api_->power != nullptr && api_->power(device_, &value) == 0) reading.power_w = 1e-3 * value;
  if (api_->temperature != nullptr && api_->temperature(device_, kGpuTemperature, &value) == 0)
    reading.temperature_c = value;
  if (api_->clock_limits != nullptr && api_->clock_limits(device_, &reading.clock_limits) != 0)
    reading.clock_limits = 0;
  return reading;
}

}  // namespace attend::bench::cuda
