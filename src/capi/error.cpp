// SPDX-License-Identifier: Apache-2.0
#include "capi/error.hpp"

#include <cstdio>
#include <cstring>

namespace attend::capi {
namespace {

// A plain buffer rather than a string: keeping the text of an out-of-memory failure must not need memory, and a thread
// that is ending may still fail.
constexpr size_t kMessageBytes = 4096;
thread_local char last_message[kMessageBytes] = "";

void keep(const char* message) noexcept {
  const size_t length = std::strlen(message);
  const size_t kept = length < kMessageBytes ? length : kMessageBytes - 1;
  std::memmove(last_message, message, kept);
  last_message[kept] = '\0';
  if (kept < length) std::memcpy(last_message + kept - 3, "...", 3);
}

}  // namespace

attend_status fail(StatusCode code, const char* message) noexcept {
  if (code == StatusCode::out_of_memory) {
    char text[256];
    std::snprintf(text, sizeof text, "%s: out of memory", message);
    keep(text);
  } else {
    keep(message);
  }
  return static_cast<attend_status>(code);
}

attend_status report(const Status& status) noexcept {
  if (!status.ok()) keep(status.message().c_str());
  return static_cast<attend_status>(status.code());
}

Status refuse(std::string_view operation, std::string_view argument, std::string_view found,
              std::string_view expected) {
  std::string text(operation);
  text.append(": ").append(argument).append(" is ").append(found).append(", expected ").append(expected);
  return invalid_argument(std::move(text));
}

}  // namespace attend::capi

const char* attend_last_error_message(void) { return attend::capi::last_message; }
