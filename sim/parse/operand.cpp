// SPDX-License-Identifier: Apache-2.0
#include <bit>

#include "sim/parse/parser.hpp"

namespace ptxsim {
namespace {

using Kind = syntax::Operand::Kind;

/// Vectors of wgmma have up to 128 elements, no instruction has more.
constexpr size_t kMaxElements = 512;

syntax::Operand start(Lexer& lexer, Kind kind) {
  syntax::Operand operand;
  operand.kind = kind;
  operand.line.number = lexer.peek().line;
  return operand;
}

syntax::Operand real(Lexer& lexer, bool minus) {
  syntax::Operand operand = start(lexer, Kind::real);
  const Token token = lexer.next();
  operand.single = token.single;
  const uint64_t sign = !minus ? 0 : token.single ? uint64_t{1} << 31 : uint64_t{1} << 63;
  operand.value = static_cast<int64_t>(token.value ^ sign);
  return operand;
}

syntax::Operand integer(Lexer& lexer) {
  syntax::Operand operand = start(lexer, Kind::integer);
  operand.value = static_cast<int64_t>(parse_constant(lexer).bits);
  return operand;
}

/// A name, a number or `_`.
syntax::Operand scalar(Lexer& lexer) {
  const Token token = lexer.peek();
  if (token.kind == Token::Kind::real) return real(lexer, false);
  if (token.kind == Token::Kind::name && token.text != "WARP_SZ") {
    syntax::Operand operand = start(lexer, token.text == "_" ? Kind::sink : Kind::name);
    lexer.next();
    if (operand.kind == Kind::sink) return operand;
    operand.name = token.text;
    if (lexer.peek().kind == Token::Kind::dotted) operand.component = lexer.next().text.substr(1);
    return operand;
  }
  if (token.is("-")) {
    // A real has no expressions, but may have a sign.
    Lexer ahead = lexer;
    ahead.next();
    if (ahead.peek().kind == Token::Kind::real) {
      lexer = ahead;
      return real(lexer, true);
    }
  }
  const bool number = token.kind == Token::Kind::integer || token.text == "WARP_SZ" || token.is("-") || token.is("(") ||
                      token.is("~") || token.is("!") || token.is("+");
  if (!number) lexer.expected("an operand");
  return integer(lexer);
}

void elements(Lexer& lexer, std::string_view close, std::vector<syntax::Operand>& parts) {
  if (lexer.accept(close)) return;
  do {
    if (parts.size() == kMaxElements) lexer.fail("a list of operands is too long");
    parts.push_back(scalar(lexer));
  } while (lexer.accept(","));
  lexer.expect(close);
}

syntax::Operand bracketed(Lexer& lexer, Kind kind, std::string_view open, std::string_view close) {
  syntax::Operand operand = start(lexer, kind);
  lexer.expect(open);
  elements(lexer, close, operand.parts);
  return operand;
}

syntax::Operand address(Lexer& lexer) {
  syntax::Operand operand = start(lexer, Kind::address);
  lexer.expect("[");
  syntax::Operand base = scalar(lexer);
  if (base.kind != Kind::name && base.kind != Kind::integer)
    lexer.fail("an address begins with a register, a symbol or an integer");
  operand.parts.push_back(std::move(base));
  if (lexer.accept("+")) operand.value = static_cast<int64_t>(parse_constant(lexer).bits);
  if (lexer.accept(",")) operand.parts.push_back(bracketed(lexer, Kind::vector, "{", "}"));
  lexer.expect("]");
  return operand;
}

}  // namespace

syntax::Operand parse_operand(Lexer& lexer, bool in_call) {
  const Token token = lexer.peek();
  if (token.is("{")) return bracketed(lexer, Kind::vector, "{", "}");
  if (token.is("[")) return address(lexer);
  if (in_call && token.is("(")) return bracketed(lexer, Kind::list, "(", ")");
  if (token.is("!")) {
    Lexer ahead = lexer;
    ahead.next();
    if (ahead.peek().kind == Token::Kind::name) {
      syntax::Operand operand = start(lexer, Kind::negated);
      lexer.next();
      operand.name = lexer.name("a predicate");
      return operand;
    }
  }
  syntax::Operand first = scalar(lexer);
  if (first.kind == Kind::name && lexer.accept("+")) first.value = static_cast<int64_t>(parse_constant(lexer).bits);
  const bool may_pair = first.kind == Kind::name || first.kind == Kind::sink;
  if (!may_pair || !lexer.peek().is("|")) return first;
  syntax::Operand pair = start(lexer, Kind::pair);
  lexer.next();
  pair.parts.push_back(std::move(first));
  pair.parts.push_back(scalar(lexer));
  return pair;
}

}  // namespace ptxsim
