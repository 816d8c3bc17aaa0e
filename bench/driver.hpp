// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "case.hpp"
#include "contender.hpp"
#include "record.hpp"

namespace attend::bench {

struct DriverOptions {
  double min_time = 0.5;  ///< seconds that each contender computes, at least
  int min_rounds = 5;     ///< however long they take
  double max_time = 30;   ///< seconds of a whole case after which `few_rounds` suffice
  int few_rounds = 3;
  bool baseline = true;      ///< time OpenBLAS where a bar names it
  int64_t sample_rows = 24;  ///< output rows per contender that are compared with the fp64 reference
  uint64_t seed = 1;
  std::string suite;           ///< name that the records carry
  std::string kernel;          ///< overrides the kernel of every attend subject
  std::optional<int> threads;  ///< overrides the threads of every subject; bars between thread counts are dropped
};

/// The case with the driver's overrides and without the bars that these make senseless.
Case with_options(Case line, const DriverOptions& options);

/// Times cases, one at a time. Each contender's answer is checked first, and a wrong one is not timed. Then rounds: in
/// each, every contender runs for a while, the arithmetic peak in short bursts between the subject's runs; so a clock
/// that drifts, or a neighbour on the same host, meets all of them alike. Medians are taken over single runs, ratios
/// within rounds.
class Driver {
 public:
  explicit Driver(DriverOptions options);

  /// The subject's record first; then one for each OpenBLAS baseline that a bar named.
  std::vector<Record> measure(const Case& line);
  /// Rough guess of what measure() will take, for a progress bar.
  double expected_seconds(const Case& line) const;

  const DriverOptions& options() const { return options_; }
  const Provenance& provenance() const { return provenance_; }

 private:
  struct Timed;
  struct Roof;
  using Contenders = std::vector<std::unique_ptr<Timed>>;
  Result<Timed*> enter(const Subject& subject, Contenders& contenders);
  Status time_rounds(Contenders& contenders, Roof& roof);
  Record describe(const Case& line, const Subject& subject) const;
  void fill(Record& record, const Timed& timed, const Roof& roof);
  void judge(Record& record, const Bar& bar, const Timed& subject, const Timed* against) const;
  double bandwidth(int threads);

  DriverOptions options_;
  Provenance provenance_;
  std::map<int, double> bandwidth_;  ///< by threads: DRAM does not follow the core clock, once per process is enough
};

}  // namespace attend::bench
