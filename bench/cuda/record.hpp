// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <vector>

#include "bench/record.hpp"
#include "sensors.hpp"

namespace attend::bench::cuda {

/// One line of JSON: bench::Record, whose peaks are the cuBLAS product and the copy of the same rounds, and what a
/// device adds to it. README.md of bench/ says what each field means.
struct DeviceRecord {
  Record base;
  int64_t index = 0;                          ///< of the case
  int rank = 1;                               ///< of the case
  std::string role;                           ///< `attend`; `comparison`: a row that is asked for by name; `peer`
  std::string stands_for;                     ///< the Problem of which this one is a short version
  bool simulated = false;                     ///< proves that it runs; no times
  double host_s = 0;                          ///< median time to put a run into the stream
  std::map<std::string, double> ratios;       ///< of rates, over each other contender: median over rounds
  std::map<std::string, std::string> absent;  ///< contender, why it is not here
  double rms_error = 0, rms_value = 0;        ///< distance from fp64 on the rows that were compared
  std::map<std::string, double> rms_errors;   ///< the same of others, on inputs of the same distribution
  std::vector<Reading> readings;              ///< one for each round
  std::string note;

  nlohmann::ordered_json json() const;
};

}  // namespace attend::bench::cuda
