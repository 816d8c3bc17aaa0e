// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/status.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace attend::bench {

/// A Python script of this folder in a process of its own, which answers a line of JSON with a line of JSON. It ends
/// when its input does.
class Script {
 public:
  /// Starts `bench/<name> --serve` from the binary's checkout or installation and reads its first line. Errors:
  /// unsupported when there is no such script; device when it does not start.
  static Result<Script> start(const std::string& name);
  Script(Script&&) noexcept;
  Script& operator=(Script&&) noexcept;
  ~Script();

  /// What it said first.
  const nlohmann::json& hello() const;
  /// Error: device when the process ended or did not answer within five minutes.
  Result<nlohmann::json> ask(const nlohmann::json& question);

 private:
  struct State;
  explicit Script(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace attend::bench
