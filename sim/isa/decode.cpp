// SPDX-License-Identifier: Apache-2.0
#include "sim/isa/decode.hpp"

#include <algorithm>

namespace ptxsim {
namespace {

template <class Names>
std::string list_of(const Names& names) {
  std::string text;
  for (const auto& name : names) {
    if (!text.empty()) text += ' ';
    text += '.';
    text += name;
  }
  return text;
}

/// What stands where something else was expected.
std::string found(std::string_view modifier) {
  return modifier.empty() ? "the modifiers end" : "found ." + std::string(modifier);
}

}  // namespace

int Decode::one_of(std::initializer_list<std::string_view> names) {
  int index = 0;
  for (const std::string_view name : names) {
    if (flag(name)) return index;
    ++index;
  }
  return -1;
}

int Decode::must_be_one_of(std::initializer_list<std::string_view> names) {
  const int index = one_of(names);
  if (index < 0) unsupported("expected one of " + list_of(names) + ", " + found(peek()));
  return index;
}

Type Decode::type(std::initializer_list<Type> allowed) {
  const std::string_view next = peek();
  const std::optional<Type> type = type_of(next);
  if (!type) unsupported("expected a type, " + found(next));
  if (allowed.size() != 0 && std::find(allowed.begin(), allowed.end(), *type) == allowed.end()) {
    std::vector<const char*> names;
    for (const Type each : allowed) names.push_back(type_name(each));
    unsupported("expected one of the types " + list_of(names) + ", " + found(next));
  }
  flag(next);
  return *type;
}

void Decode::ignore(std::initializer_list<std::string_view> names) {
  while (one_of(names) >= 0) {
  }
}

int Decode::rounding() { return std::max(0, one_of({"rn", "rz", "rm", "rp"})); }

}  // namespace ptxsim
