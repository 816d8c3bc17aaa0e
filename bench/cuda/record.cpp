// SPDX-License-Identifier: Apache-2.0
#include "record.hpp"

#include <cmath>

#include "bench/statistics.hpp"

namespace attend::bench::cuda {
namespace {

using nlohmann::ordered_json;

ordered_json number(double value) {
  if (!std::isfinite(value) || value == 0) return nullptr;
  return value;
}

ordered_json range(const std::vector<Reading>& readings, double Reading::*member) {
  std::vector<double> values;
  for (const Reading& reading : readings)
    if (reading.*member > 0) values.push_back(reading.*member);
  if (values.empty()) return nullptr;
  const Summary summary = summarise(values);
  return {{"median", summary.median}, {"p10", summary.p10}, {"p90", summary.p90}};
}

}  // namespace

ordered_json DeviceRecord::json() const {
  ordered_json line = base.json();
  line["case"] = index;
  line["rank"] = rank;
  line["role"] = role;
  line["simulated"] = simulated;
  if (!stands_for.empty()) line["stands_for"] = stands_for;
  line["tflops"] = number(base.gflops * 1e-3);
  line["cublas_tflops"] = number(base.peak_gflops * 1e-3);
  line["host_s"] = number(host_s);
  line["ratios"] = ordered_json::object();
  for (const auto& [name, ratio] : ratios) line["ratios"][name] = number(ratio);
  line["absent"] = ordered_json::object();
  for (const auto& [name, reason] : absent) line["absent"][name] = reason;
  line["rms_error"] = number(rms_error);
  line["rms_value"] = number(rms_value);
  if (!rms_errors.empty())
    for (const auto& [name, error] : rms_errors) line["rms_errors"][name] = number(error);
  line["sm_mhz"] = range(readings, &Reading::sm_mhz);
  line["memory_mhz"] = range(readings, &Reading::memory_mhz);
  line["power_w"] = range(readings, &Reading::power_w);
  line["temperature_c"] = range(readings, &Reading::temperature_c);
  unsigned long long limits = 0;
  for (const Reading& reading : readings) limits |= reading.clock_limits;
  line["clock_limits"] = limits;
  if (!note.empty()) line["note"] = note;
  if (simulated && base.state == Record::State::timed) line["state"] = "simulated";
  return line;
}

}  // namespace attend::bench::cuda
