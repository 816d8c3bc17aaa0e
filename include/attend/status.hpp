// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace attend {

/// Why a call did not do what was asked. The numbers are those of the C ABI (attend.h).
enum class StatusCode : int32_t {
  ok = 0,
  invalid_argument = 1,  ///< the request contradicts itself; the text names argument, found and expected
  unsupported = 2,       ///< a sound request that no kernel of this build takes; the text lists row and reason
  out_of_memory = 3,
  device = 4,
  internal = 5,
};

/// `invalid_argument`, `unsupported`, ...; never null.
const char* status_code_name(StatusCode code);

/// Success, or a code with one sentence: operation, argument, found, expected.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == StatusCode::ok; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  StatusCode code_ = StatusCode::ok;
  std::string message_;
};

inline Status invalid_argument(std::string message) { return {StatusCode::invalid_argument, std::move(message)}; }
inline Status unsupported(std::string message) { return {StatusCode::unsupported, std::move(message)}; }

/// A value, or the Status that says why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}           // NOLINT: implicit by intent, as in `return value;`
  Result(Status failure) : state_(std::move(failure)) {}  // NOLINT: implicit by intent, as in `return status;`

  bool ok() const { return std::holds_alternative<T>(state_); }
  /// Only when ok().
  T& value() & { return std::get<T>(state_); }
  const T& value() const& { return std::get<T>(state_); }
  T&& value() && { return std::get<T>(std::move(state_)); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  Status status() const { return ok() ? Status() : std::get<Status>(state_); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace attend
