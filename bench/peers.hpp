// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/status.hpp>
#include <memory>
#include <string>
#include <vector>

#include "record.hpp"

namespace attend::bench {

/// Other libraries that compute attention on CPUs, asked through bench/peers.py in a process of its own. Each is timed
/// right after the case that it answers, with the same shape and threads.
class Peers {
 public:
  /// Starts the script that lies beside the binary's checkout or installation.
  /// Errors: unsupported when there is no script, no python3 or no peer that can be imported; the text says how to
  /// install one.
  static Result<Peers> start();
  Peers(Peers&&) noexcept;
  Peers& operator=(Peers&&) noexcept;
  ~Peers();

  /// Names and versions of those that answered: `onnxruntime 1.20.1`.
  const std::vector<std::string>& names() const;
  /// One record for each peer that takes the problem of `subject`, which supplies operations, bytes and peaks.
  /// Error: device when the process ended or did not answer.
  Result<std::vector<Record>> measure(const Record& subject, double min_time);

 private:
  struct State;
  explicit Peers(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace attend::bench
