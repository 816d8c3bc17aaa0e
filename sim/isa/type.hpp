// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace ptxsim {

/// Fundamental and alternate types of the PTX ISA (rows of types.def); `none` where an instruction has no type.
enum class Type : uint8_t {
  none,
#define PTXSIM_TYPE(name, bytes, kind) name,
#include "sim/isa/types.def"
#undef PTXSIM_TYPE
};
enum class TypeKind : uint8_t { none, bits, unsigned_int, signed_int, real, packed, predicate };

/// Without the dot: "f32". Nothing for other text.
std::optional<Type> type_of(std::string_view name);
const char* type_name(Type type);
/// Bytes of a value in memory; a predicate has 1.
uint32_t type_bytes(Type type);
TypeKind type_kind(Type type);
/// 32-bit units that a register of this type takes per lane: 1 up to 32 bits (predicates too), 2 for 64, 4 for 128.
inline uint32_t type_units(Type type) { return type_bytes(type) <= 4 ? 1 : type_bytes(type) / 4; }

}  // namespace ptxsim
