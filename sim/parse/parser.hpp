// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "sim/parse/lexer.hpp"
#include "sim/parse/syntax.hpp"

namespace ptxsim {

/// Constant expressions of integers (PTX ISA 4.5.7), up to and with `?:`; 64-bit, signed unless an operand is not.
struct ConstantValue {
  uint64_t bits = 0;
  bool is_unsigned = false;
};
ConstantValue parse_constant(Lexer& lexer);

/// parse/operand.cpp: one operand; `in_call` makes `(` begin a list of arguments.
syntax::Operand parse_operand(Lexer& lexer, bool in_call);

/// parse/declaration.cpp: `.shared .align 16 .b8 name[4][2] = {...}`, from the space on; registers; both without the
/// final `;` and each with all names that the list declares.
std::vector<syntax::VariableDecl> parse_variables(Lexer& lexer, std::string_view linkage);
std::vector<syntax::Registers> parse_registers(Lexer& lexer);
/// `(.param .u64 a, .param .align 8 .b8 b[16])`
std::vector<syntax::VariableDecl> parse_parameters(Lexer& lexer);
/// .pragma, .callprototype and .calltargets, to the `;`.
syntax::Remark parse_remark(Lexer& lexer);

/// An integer that fits 32 bits.
uint32_t parse_u32(Lexer& lexer, const char* what);

}  // namespace ptxsim
