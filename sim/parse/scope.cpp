// SPDX-License-Identifier: Apache-2.0
#include "sim/parse/scope.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "sim/isa/decode.hpp"

namespace ptxsim {
namespace {

[[noreturn]] void twice(std::string_view name, int32_t line) {
  throw PtxError{attend::StatusCode::invalid_argument, line, std::string(name) + " is declared twice"};
}

/// "%r12" as number 12 of the range "%r": the digits behind `prefix` without leading zeros.
bool number_in(std::string_view digits, uint32_t count, uint32_t& number) {
  if (digits.empty() || (digits[0] == '0' && digits.size() > 1)) return false;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() && stop == digits.data() + digits.size() && number < count;
}

/// A 32-bit number has at most ten digits.
constexpr size_t kMaxDigits = 10;

RegisterName find_register(Scope& scope, std::string_view name) {
  if (const auto single = scope.singles.find(name); single != scope.singles.end()) return {&single->second, 0};
  if (scope.ranges.empty()) return {};
  size_t digits = 0;
  while (digits < std::min(name.size(), kMaxDigits) && name[name.size() - 1 - digits] >= '0' &&
         name[name.size() - 1 - digits] <= '9')
    ++digits;
  // "%r12" may also be number 2 of a range "%r1".
  for (; digits > 0; --digits) {
    const auto range = scope.ranges.find(name.substr(0, name.size() - digits));
    uint32_t number = 0;
    if (range != scope.ranges.end() && number_in(name.substr(name.size() - digits), *range->second.decl->count, number))
      return {&range->second, number};
  }
  return {};
}

}  // namespace

void Scopes::enter(const syntax::Block& block) {
  Scope& scope = scopes_.emplace_back();
  const auto add_label = [&](const syntax::Label& label) {
    if (!scope.labels.emplace(label.name, label_pcs_.size()).second) twice(label.name, label.line.number);
    label_pcs_.push_back(-1);
  };
  for (const syntax::Statement& statement : block.statements) {
    if (const auto* label = std::get_if<syntax::Label>(&statement.what)) add_label(*label);
    if (const auto* targets = std::get_if<syntax::BranchTargets>(&statement.what))
      if (!scope.targets.emplace(targets->name, targets).second) twice(targets->name, targets->line.number);
  }
}

void Scopes::declare(const syntax::Registers& registers) {
  const std::optional<Type> type = type_of(registers.type);
  if (!type || *type == Type::b1)
    throw PtxError{attend::StatusCode::unsupported, registers.line.number,
                   "registers of type ." + std::string(registers.type)};
  auto& groups = registers.count ? scopes_.back().ranges : scopes_.back().singles;
  if (!groups.emplace(registers.name, RegisterGroup{&registers, *type, {}}).second)
    twice(registers.name, registers.line.number);
  const uint32_t more = registers.count.value_or(1);
  registers_ += std::min(more, std::numeric_limits<uint32_t>::max() - registers_);
}

void Scopes::declare(std::string_view name, int32_t line, Symbol symbol) {
  if (!scopes_.back().symbols.emplace(name, std::move(symbol)).second) twice(name, line);
}

void Scopes::place_label(std::string_view name, int32_t pc) { label_pcs_[scopes_.back().labels.at(name)] = pc; }

Scopes::Found Scopes::find(std::string_view name) {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (const RegisterName found = find_register(*scope, name); found.group != nullptr) return {found, nullptr};
    if (const auto symbol = scope->symbols.find(name); symbol != scope->symbols.end()) return {{}, &symbol->second};
  }
  return {};
}

int64_t Scopes::find_label(std::string_view name, size_t depth) const {
  while (depth-- > 0)
    if (const auto label = scopes_[depth].labels.find(name); label != scopes_[depth].labels.end())
      return static_cast<int64_t>(label->second);
  return -1;
}

bool Scopes::find_targets(std::string_view name, std::vector<size_t>& numbers) const {
  for (size_t depth = scopes_.size(); depth-- > 0;) {
    const auto found = scopes_[depth].targets.find(name);
    if (found == scopes_[depth].targets.end()) continue;
    for (const std::string_view label : found->second->labels) {
      const int64_t number = find_label(label, depth + 1);
      if (number < 0) return false;
      numbers.push_back(static_cast<size_t>(number));
    }
    return true;
  }
  return false;
}

}  // namespace ptxsim
