// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/isa/program.hpp"
#include "sim/parse/scope.hpp"
#include "sim/parse/slots.hpp"
#include "sim/parse/symbols.hpp"
#include "sim/parse/syntax.hpp"

namespace ptxsim {

/// One function while its instructions are decoded.
struct FunctionContext {
  FunctionContext(Program& its_program, ModuleSymbols& its_symbols, size_t its_index)
      : program(its_program),
        symbols(its_symbols),
        index(its_index),
        function(program.functions[index]),
        slots(function) {}

  Program& program;
  ModuleSymbols& symbols;
  size_t index;
  Function& function;
  Slots slots;
  Scopes scopes;
  int32_t source = -1;  ///< of the instructions that follow: the last .loc
  /// Branches whose label may come later: instruction and number of the label.
  std::vector<std::pair<size_t, size_t>> branches;
  std::vector<std::pair<std::shared_ptr<std::vector<int32_t>>, std::vector<size_t>>> tables;
  size_t table_entries = 0;
};

/// parse/decoder.cpp: appends the instruction to the program. Throws PtxError.
void decode_instruction(FunctionContext& context, const syntax::Instruction& instruction);
/// parse/function.cpp: the body. The function's own parameters have places in its frame or parameter block already.
void lower_function(Program& program, ModuleSymbols& symbols, size_t index, const syntax::Function& function,
                    const Names& parameters, std::vector<uint64_t>& source_files);
/// parse/lower.cpp: the whole module. Throws PtxError.
Program lower(const syntax::Module& module);

/// Bytes of a thread's local memory, parameters of calls included.
inline constexpr uint64_t kMaxLocalBytes = 512 * 1024;
inline constexpr uint64_t kMaxParameterBytes = 32764;

}  // namespace ptxsim
