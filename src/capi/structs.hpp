// SPDX-License-Identifier: Apache-2.0
// Structs that begin with their size, between a caller and a library of different ages (docs/c-abi.md, "Versions").
#pragma once
#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>

#include "capi/error.hpp"

namespace attend::capi {

/// No struct of any version is longer; a larger size is an uninitialised field, and its bytes must not be looked at.
constexpr size_t kLargestStruct = 4096;

/// The size that the caller wrote, after checks. `name` is the argument's, as `desc`.
template <class T>
Result<size_t> struct_size_of(std::string_view operation, std::string_view name, const T* from) {
  static_assert(std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T> && sizeof(T) <= kLargestStruct);
  static_assert(offsetof(T, struct_size) == 0);
  size_t size = 0;
  std::memcpy(&size, from, sizeof size);
  if (size < sizeof size || size > kLargestStruct || size % alignof(T) != 0) {
    return refuse(operation, std::string(name) + ".struct_size", std::to_string(size),
                  std::to_string(sizeof(T)) + " (its size in this version)");
  }
  return size;
}

/// Reads an input struct. An older caller's shorter struct leaves the fields that it lacks at zero, their default; a
/// newer caller's longer one is accepted when what this library does not know of it is zero.
template <class T>
Status read_struct(std::string_view operation, std::string_view name, const T* from, T* to) {
  if (from == nullptr) return refuse_null(operation, name, "a pointer to a struct");
  Result<size_t> size = struct_size_of(operation, name, from);
  if (!size.ok()) return size.status();
  const auto* bytes = reinterpret_cast<const unsigned char*>(from);
  for (size_t i = sizeof(T); i < *size; ++i) {
    if (bytes[i] != 0) {
      return refuse(
          operation, std::string(name) + ".struct_size",
          std::to_string(*size) + " with a field set at byte " + std::to_string(i),
          "zeros after byte " + std::to_string(sizeof(T)) + ": this library is older than the caller's header");
    }
  }
  std::memset(static_cast<void*>(to), 0, sizeof(T));
  std::memcpy(static_cast<void*>(to), from, *size < sizeof(T) ? *size : sizeof(T));
  to->struct_size = sizeof(T);
  return {};
}

/// Fills an output struct as far as the caller's version goes; what a newer caller knows beyond this version becomes
/// zero.
template <class T>
Status write_struct(std::string_view operation, std::string_view name, const T& from, T* to) {
  if (to == nullptr) return refuse_null(operation, name, "a pointer to a struct");
  Result<size_t> size = struct_size_of(operation, name, to);
  if (!size.ok()) return size.status();
  const size_t known = *size < sizeof(T) ? *size : sizeof(T);
  auto* bytes = reinterpret_cast<unsigned char*>(to);
  std::memcpy(bytes, &from, known);
  std::memset(bytes + known, 0, *size - known);
  std::memcpy(bytes, &*size, sizeof *size);
  return {};
}

/// Reads a field that is 0 or 1.
inline Status read_flag(std::string_view operation, std::string_view name, int32_t value, bool* to) {
  if (value != 0 && value != 1) return refuse(operation, name, std::to_string(value), "0 or 1");
  *to = value == 1;
  return {};
}

/// A field that has no meaning here must keep its default, so that nothing a caller asks for is silently dropped.
template <class T>
Status expect_zero(std::string_view operation, std::string_view name, T value, std::string_view why) {
  if (value == T{}) return {};
  if constexpr (std::is_pointer_v<T>) {
    return refuse(operation, name, "a pointer", "NULL (" + std::string(why) + ")");
  } else {
    return refuse(operation, name, std::to_string(value), "0 (" + std::string(why) + ")");
  }
}

/// Copies a text as snprintf does.
Status copy_text(std::string_view operation, const std::string& text, char* buffer, size_t size, size_t* length);

}  // namespace attend::capi
