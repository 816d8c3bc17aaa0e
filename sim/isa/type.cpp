// SPDX-License-Identifier: Apache-2.0
#include "sim/isa/type.hpp"

#include <array>
#include <unordered_map>

namespace ptxsim {
namespace {

struct TypeRow {
  const char* name;
  uint32_t bytes;
  TypeKind kind;
};

constexpr std::array kTypes = {
    TypeRow{"none", 0, TypeKind::none},
#define PTXSIM_TYPE(name, bytes, kind) TypeRow{#name, bytes, TypeKind::kind},
#include "sim/isa/types.def"
#undef PTXSIM_TYPE
};

const TypeRow& row(Type type) { return kTypes[static_cast<size_t>(type)]; }

}  // namespace

std::optional<Type> type_of(std::string_view name) {
  static const auto* const types = [] {
    auto* map = new std::unordered_map<std::string_view, Type>;
    for (size_t i = 1; i < kTypes.size(); ++i) map->emplace(kTypes[i].name, static_cast<Type>(i));
    return map;
  }();
  const auto found = types->find(name);
  return found == types->end() ? std::nullopt : std::optional(found->second);
}

const char* type_name(Type type) { return row(type).name; }
uint32_t type_bytes(Type type) { return row(type).bytes; }
TypeKind type_kind(Type type) { return row(type).kind; }

}  // namespace ptxsim
