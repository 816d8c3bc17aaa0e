// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/status.hpp>
#include <memory>
#include <string>

namespace attend::bench::cuda {

/// What a device says of itself at one moment.
struct Reading {
  double sm_mhz = 0, memory_mhz = 0, power_w = 0, temperature_c = 0;
  unsigned long long clock_limits = 0;  ///< NVML's reasons for a lower clock, one bit each; 4: power
};

/// Clocks, power and temperature through NVML, found with dlopen when it is asked for. Reads only.
class Sensors {
 public:
  /// `bus_id`: as the CUDA driver names the device. Error: device, saying what is missing.
  static Result<Sensors> open(const std::string& bus_id);
  Reading read() const;
  const std::string& driver_version() const { return driver_version_; }
  double power_limit_w() const { return power_limit_w_; }
  double max_sm_mhz() const { return max_sm_mhz_; }

 private:
  struct Api;
  std::shared_ptr<const Api> api_;
  void* device_ = nullptr;
  std::string driver_version_;
  double power_limit_w_ = 0, max_sm_mhz_ = 0;
};

}  // namespace attend::bench::cuda
