// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/isa/program.hpp"
#include "sim/parse/symbols.hpp"
#include "sim/parse/syntax.hpp"

namespace ptxsim {

/// Registers of one declaration; those that the code names have a place.
struct RegisterGroup {
  const syntax::Registers* decl = nullptr;
  Type type = Type::none;
  std::unordered_map<uint64_t, Operand> placed;  ///< by number, times 4 plus component
};

/// One of a group.
struct RegisterName {
  RegisterGroup* group = nullptr;
  uint32_t index = 0;
};

/// Names between two braces of a function. Inner ones hide outer ones; labels are known before their line.
struct Scope {
  std::unordered_map<std::string_view, RegisterGroup> singles, ranges;
  Names symbols;
  std::unordered_map<std::string_view, size_t> labels;  ///< number of the label in the function
  std::unordered_map<std::string_view, const syntax::BranchTargets*> targets;
};

class Scopes {
 public:
  /// Enters the block: its labels are numbered on from those so far.
  void enter(const syntax::Block& block);
  void leave() { scopes_.pop_back(); }

  void declare(const syntax::Registers& registers);
  void declare(std::string_view name, int32_t line, Symbol symbol);
  /// The label's own number; it now stands at `pc`.
  void place_label(std::string_view name, int32_t pc);
  int32_t label_pc(size_t number) const { return label_pcs_[number]; }

  /// A register or, when `symbol` is set, a variable; neither when the name is unknown here.
  struct Found {
    RegisterName reg;
    const Symbol* symbol = nullptr;
  };
  Found find(std::string_view name);
  /// Number of the label, or -1.
  int64_t find_label(std::string_view name) const { return find_label(name, scopes_.size()); }
  /// Numbers of the labels of a .branchtargets list. False when there is no such list or one of its labels is unknown.
  bool find_targets(std::string_view name, std::vector<size_t>& numbers) const;
  /// Registers declared so far, at most 2^32 - 1.
  uint32_t registers() const { return registers_; }

 private:
  int64_t find_label(std::string_view name, size_t depth) const;
  std::vector<Scope> scopes_;
  std::vector<int32_t> label_pcs_;
  uint32_t registers_ = 0;
};

}  // namespace ptxsim
