// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attend.h>

#include <attend/status.hpp>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

namespace attend::capi {

/// Keeps the text for this thread and returns the code. Allocates nothing; a text longer than the buffer is cut off.
attend_status fail(StatusCode code, const char* message) noexcept;

/// The C form of a Status: keeps the text of a failure.
attend_status report(const Status& status) noexcept;

/// `<operation>: <argument> is <found>, expected <expected>`.
Status refuse(std::string_view operation, std::string_view argument, std::string_view found, std::string_view expected);
inline Status refuse_null(std::string_view operation, std::string_view argument, std::string_view expected) {
  return refuse(operation, argument, "NULL", expected);
}

/// Runs the body of a C function, a callable that returns Status, and lets no exception out.
template <class Body>
attend_status guarded(const char* operation, Body&& body) noexcept {
  try {
    return report(body());
  } catch (const std::bad_alloc&) {
    return fail(StatusCode::out_of_memory, operation);
  } catch (const std::length_error&) {  // a container asked for more than an address space
    return fail(StatusCode::out_of_memory, operation);
  } catch (const std::exception& error) {
    return fail(StatusCode::internal, error.what());
  } catch (...) {
    return fail(StatusCode::internal, operation);
  }
}

}  // namespace attend::capi

/// For use inside a function that returns Status: passes a failure on.
#define ATTEND_CAPI_TRY(expression)                                                   \
  do {                                                                                \
    if (::attend::Status attend_try_status = (expression); !attend_try_status.ok()) { \
      return attend_try_status;                                                       \
    }                                                                                 \
  } while (false)
