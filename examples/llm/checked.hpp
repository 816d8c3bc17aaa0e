// SPDX-License-Identifier: Apache-2.0
// What attend answers, as exceptions.
#pragma once
#include <attend/attend.hpp>
#include <utility>

#include "error.hpp"

namespace llm {

inline void check(const attend::Status& status) {
  if (!status.ok()) throw Error(status.message());
}

template <class T>
T checked(attend::Result<T> result) {
  check(result.status());
  return std::move(result).value();
}

}  // namespace llm
