// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/isa/program.hpp"
#include "sim/parse/syntax.hpp"

namespace ptxsim {

/// What a name outside the registers stands for.
struct Symbol {
  enum class Kind : uint8_t {
    global,        ///< variable of Program::variables, in the space global or constant
    shared,        ///< `index` into ModuleSymbols::shared
    kernel_param,  ///< `offset` in the block of parameters
    frame,         ///< `offset` in the thread's frame; `param`: a .param variable
    function,      ///< `index` into Program::functions, -1 where the module only declares it
    undefined,     ///< a variable that another module would define
  };
  Kind kind = Kind::undefined;
  std::string name;
  int32_t index = -1;
  uint32_t offset = 0, bytes = 0;
  bool param = false;
};
using Names = std::unordered_map<std::string_view, Symbol>;

/// A shared variable before its place is known.
struct SharedVariable {
  uint64_t bytes = 0;
  uint32_t align = 1;
  bool dynamic = false;  ///< extern .shared name[]
};

/// A constant slot of a function that holds a shared variable's address.
struct SharedAddress {
  size_t function;
  uint32_t slot;
  uint8_t units;
  uint32_t variable;
  int64_t addend;
};

/// Names of the module, and what its shared memory consists of.
struct ModuleSymbols {
  Names names;
  std::vector<SharedVariable> shared;
  std::vector<SharedAddress> addresses;
  std::vector<std::set<uint32_t>> used_shared;  ///< by function: variables that it declares or names
};

/// Size, alignment and space of a declaration; initial values stay behind. `at_most` bounds the bytes.
Variable variable_of(const syntax::VariableDecl& decl, uint64_t at_most);
/// Bytes and relocations of the declaration's initial value.
void encode_initial(const syntax::VariableDecl& decl, const ModuleSymbols& symbols, Variable& variable);

/// Places shared variables in the window and fills in the constants that hold their addresses. What functions use has
/// one place for the whole module, as any entry may call them; an entry's own variables come behind that, dynamic
/// shared memory last.
void place_shared(Program& program, const ModuleSymbols& symbols);

}  // namespace ptxsim
