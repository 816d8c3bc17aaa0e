// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "sim/parse/parser.hpp"

namespace ptxsim {
namespace {

/// Braces of initial values follow the dimensions of an array.
constexpr int kMaxInitialDepth = 16;
constexpr size_t kMaxDims = 16;

/// .v2 or .v4 in front of a type; 1 where there is none.
uint32_t vector_elements(Lexer& lexer) {
  if (lexer.accept(".v2")) return 2;
  if (lexer.accept(".v4")) return 4;
  return 1;
}

std::string_view type_word(Lexer& lexer) {
  if (lexer.peek().kind != Token::Kind::dotted) lexer.expected("a type");
  return lexer.next().text.substr(1);
}

void real_value(Lexer& lexer, syntax::Initialiser& initial, bool minus) {
  const Token token = lexer.next();
  initial.kind = syntax::Initialiser::Kind::real;
  initial.single = token.single;
  const uint64_t sign = !minus ? 0 : token.single ? uint64_t{1} << 31 : uint64_t{1} << 63;
  initial.value = static_cast<int64_t>(token.value ^ sign);
}

void symbol_value(Lexer& lexer, syntax::Initialiser& initial) {
  initial.kind = syntax::Initialiser::Kind::symbol;
  initial.generic = lexer.accept("generic");
  if (initial.generic) lexer.expect("(");
  initial.name = lexer.name("a variable's name");
  if (initial.generic) lexer.expect(")");
  if (lexer.peek().is("+") || lexer.peek().is("-")) initial.value = static_cast<int64_t>(parse_constant(lexer).bits);
}

syntax::Initialiser initialiser(Lexer& lexer, int depth) {
  syntax::Initialiser initial;
  if (lexer.accept("{")) {
    if (depth == kMaxInitialDepth) lexer.fail("an initial value is nested too deeply");
    initial.kind = syntax::Initialiser::Kind::list;
    if (lexer.accept("}")) return initial;
    do initial.parts.push_back(initialiser(lexer, depth + 1));
    while (lexer.accept(","));
    lexer.expect("}");
    return initial;
  }
  const Token token = lexer.peek();
  if (token.kind == Token::Kind::real) {
    real_value(lexer, initial, false);
  } else if (token.kind == Token::Kind::name && token.text != "WARP_SZ") {
    symbol_value(lexer, initial);
  } else {
    Lexer ahead = lexer;
    if (ahead.accept("-") && ahead.peek().kind == Token::Kind::real) {
      lexer = ahead;
      real_value(lexer, initial, true);
    } else {
      initial.value = static_cast<int64_t>(parse_constant(lexer).bits);
    }
  }
  return initial;
}

/// name[4][2] = ..., the part of a declaration that a comma repeats.
void declarator(Lexer& lexer, syntax::VariableDecl& variable) {
  variable.line.number = lexer.peek().line;
  variable.name = lexer.name("a variable's name");
  while (lexer.accept("[")) {
    if (variable.dims.size() == kMaxDims) lexer.fail("an array has too many dimensions");
    if (lexer.accept("]")) {
      if (!variable.dims.empty()) lexer.fail("only the first dimension of an array may be open");
      variable.dims.push_back(0);
      continue;
    }
    const ConstantValue size = parse_constant(lexer);
    if (size.bits == 0 || size.bits > std::numeric_limits<uint32_t>::max())
      lexer.fail("a dimension of an array must be from 1 to 2^32 - 1");
    variable.dims.push_back(size.bits);
    lexer.expect("]");
  }
}

uint32_t alignment(Lexer& lexer) {
  const uint32_t align = parse_u32(lexer, "an alignment");
  if (align == 0 || (align & (align - 1)) != 0 || align > (1u << 20))
    lexer.fail("an alignment must be a power of two up to 2^20");
  return align;
}

/// What stands between the space and the name.
void type_of_variable(Lexer& lexer, syntax::VariableDecl& variable) {
  for (;;) {
    if (lexer.accept(".align")) {
      variable.align = alignment(lexer);
    } else if (lexer.accept(".attribute")) {
      lexer.expect("(");
      while (!lexer.accept(")")) {
        // Managed and unified memory is memory here.
        if (!lexer.accept(".managed") && !lexer.accept(",") && !lexer.accept(".unified")) lexer.expected(".managed");
        if (!lexer.accept("(")) continue;
        do parse_constant(lexer);
        while (lexer.accept(","));
        lexer.expect(")");
      }
    } else {
      break;
    }
  }
  variable.elements = vector_elements(lexer);
  variable.type = type_word(lexer);
}

/// .ptr .global .align 16, which a kernel's parameter may have.
void pointer(Lexer& lexer, syntax::VariableDecl& variable) {
  if (!lexer.accept(".ptr")) return;
  variable.pointer.emplace_back("ptr");
  for (;;) {
    if (lexer.accept(".align")) {
      variable.pointer.emplace_back("align");
      variable.pointer.push_back(lexer.peek().text);
      alignment(lexer);
    } else if (lexer.peek().is(".global") || lexer.peek().is(".const") || lexer.peek().is(".shared") ||
               lexer.peek().is(".local")) {
      variable.pointer.push_back(lexer.next().text.substr(1));
    } else {
      break;
    }
  }
}

}  // namespace

uint32_t parse_u32(Lexer& lexer, const char* what) {
  if (lexer.peek().kind != Token::Kind::integer) lexer.expected(what);
  if (lexer.peek().value > std::numeric_limits<uint32_t>::max()) lexer.fail("a number is too large");
  return static_cast<uint32_t>(lexer.next().value);
}

std::vector<syntax::VariableDecl> parse_variables(Lexer& lexer, std::string_view linkage) {
  syntax::VariableDecl common;
  common.linkage = linkage;
  common.space = lexer.next().text.substr(1);
  type_of_variable(lexer, common);
  std::vector<syntax::VariableDecl> variables;
  do {
    syntax::VariableDecl variable = common;
    declarator(lexer, variable);
    if (lexer.accept("=")) variable.initial = initialiser(lexer, 0);
    variables.push_back(std::move(variable));
  } while (lexer.accept(","));
  return variables;
}

std::vector<syntax::Registers> parse_registers(Lexer& lexer) {
  lexer.expect(".reg");
  syntax::Registers common;
  common.elements = vector_elements(lexer);
  common.type = type_word(lexer);
  std::vector<syntax::Registers> all;
  do {
    syntax::Registers registers = common;
    registers.line.number = lexer.peek().line;
    registers.name = lexer.name("a register's name");
    if (lexer.accept("<")) {
      registers.count = parse_u32(lexer, "a number of registers");
      lexer.expect(">");
    }
    all.push_back(registers);
  } while (lexer.accept(","));
  return all;
}

std::vector<syntax::VariableDecl> parse_parameters(Lexer& lexer) {
  lexer.expect("(");
  std::vector<syntax::VariableDecl> parameters;
  if (lexer.accept(")")) return parameters;
  do {
    syntax::VariableDecl parameter;
    if (!lexer.peek().is(".param") && !lexer.peek().is(".reg")) lexer.expected("`.param`");
    parameter.space = lexer.next().text.substr(1);
    type_of_variable(lexer, parameter);
    pointer(lexer, parameter);
    declarator(lexer, parameter);
    parameters.push_back(std::move(parameter));
  } while (lexer.accept(","));
  lexer.expect(")");
  return parameters;
}

syntax::Remark parse_remark(Lexer& lexer) {
  syntax::Remark remark;
  while (!lexer.peek().is(";")) {
    if (lexer.peek().kind == Token::Kind::end) lexer.expected("`;`");
    remark.words.push_back(lexer.next().text);
  }
  lexer.expect(";");
  return remark;
}

}  // namespace ptxsim
