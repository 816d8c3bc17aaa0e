// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/script.hpp"
#include "stage.hpp"

namespace attend::bench::cuda {

/// Other libraries on the same device, asked through bench/cuda/peers.py in a process of its own. Only one of the two
/// processes uses the device at a time, in turns of milliseconds.
class Peers {
 public:
  /// What came of asking each one for a Problem.
  struct Opened {
    std::vector<std::string> names;              ///< `cudnn`
    std::map<std::string, std::string> refused;  ///< name, why
    std::map<std::string, std::string> notes;    ///< name, what it was given instead
  };

  /// Never fails: where there is no peer, absent() says why.
  static Peers start();
  /// None: for runs that want none.
  static Peers none(std::string reason);

  const std::map<std::string, std::string>& texts() const { return texts_; }  ///< name, `torch 2.7.0, cuDNN 90501`
  const std::string& absent() const { return absent_; }
  const std::vector<std::string>& libraries() const { return libraries_; }  ///< paths of cuBLAS that they brought

  Opened open(const std::string& problem, int64_t sets);
  Result<Lap> lap(const std::string& name, int runs, double hide_seconds);
  /// RMS distance from fp64 on inputs with outliers, by name; `standard` is unfused attention in the input's type.
  std::map<std::string, double> errors(const std::string& problem);
  void close();

 private:
  Result<nlohmann::json> ask(const nlohmann::json& question);

  std::optional<Script> script_;
  std::map<std::string, std::string> texts_;
  std::vector<std::string> libraries_;
  std::string absent_;
};

}  // namespace attend::bench::cuda
