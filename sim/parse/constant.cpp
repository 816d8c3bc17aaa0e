// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "sim/parse/parser.hpp"

namespace ptxsim {
namespace {

constexpr int kMaxDepth = 64;

/// Binary operators from the weakest to the strongest.
int strength(std::string_view op) {
  if (op == "||") return 1;
  if (op == "&&") return 2;
  if (op == "|") return 3;
  if (op == "^") return 4;
  if (op == "&") return 5;
  if (op == "==" || op == "!=") return 6;
  if (op == "<" || op == ">" || op == "<=" || op == ">=") return 7;
  if (op == "<<" || op == ">>") return 8;
  if (op == "+" || op == "-") return 9;
  if (op == "*" || op == "/" || op == "%") return 10;
  return 0;
}

class Expression {
 public:
  explicit Expression(Lexer& lexer) : lexer_(lexer) {}

  ConstantValue choice(int depth) {
    const ConstantValue condition = binary(1, depth);
    if (!lexer_.accept("?")) return condition;
    const ConstantValue yes = choice(deeper(depth));
    lexer_.expect(":");
    const ConstantValue no = choice(deeper(depth));
    return {condition.bits != 0 ? yes.bits : no.bits, yes.is_unsigned || no.is_unsigned};
  }

 private:
  int deeper(int depth) {
    if (depth >= kMaxDepth) lexer_.fail("a constant expression is nested too deeply");
    return depth + 1;
  }

  ConstantValue binary(int weakest, int depth) {
    ConstantValue left = unary(depth);
    while (lexer_.peek().kind == Token::Kind::symbol) {
      const std::string_view op = lexer_.peek().text;
      const int its = strength(op);
      if (its == 0 || its < weakest) break;
      lexer_.next();
      left = apply(op, left, binary(its + 1, deeper(depth)));
    }
    return left;
  }

  ConstantValue unary(int depth) {
    const Token token = lexer_.peek();
    if (lexer_.accept("-")) {
      const ConstantValue value = unary(deeper(depth));
      return {0 - value.bits, value.is_unsigned};
    }
    if (lexer_.accept("+")) return unary(deeper(depth));
    if (lexer_.accept("~")) {
      const ConstantValue value = unary(deeper(depth));
      return {~value.bits, value.is_unsigned};
    }
    if (lexer_.accept("!")) return {unary(deeper(depth)).bits == 0 ? 1u : 0u, false};
    if (lexer_.accept("(")) {
      // A cast: (.s64) or (.u64).
      const bool to_signed = lexer_.accept(".s64"), to_unsigned = !to_signed && lexer_.accept(".u64");
      if (to_signed || to_unsigned) {
        lexer_.expect(")");
        return {unary(deeper(depth)).bits, to_unsigned};
      }
      const ConstantValue value = choice(deeper(depth));
      lexer_.expect(")");
      return value;
    }
    if (lexer_.accept("WARP_SZ")) return {32, false};
    if (token.kind != Token::Kind::integer) lexer_.expected("an integer");
    lexer_.next();
    return {token.value, token.is_unsigned};
  }

  ConstantValue apply(std::string_view op, ConstantValue a, ConstantValue b) {
    const bool is_unsigned = a.is_unsigned || b.is_unsigned;
    const auto sa = static_cast<int64_t>(a.bits), sb = static_cast<int64_t>(b.bits);
    const auto truth = [](bool value) { return ConstantValue{value ? 1u : 0u, false}; };
    const auto number = [&](uint64_t bits) { return ConstantValue{bits, is_unsigned}; };
    if (op == "||") return truth(a.bits != 0 || b.bits != 0);
    if (op == "&&") return truth(a.bits != 0 && b.bits != 0);
    if (op == "|") return number(a.bits | b.bits);
    if (op == "^") return number(a.bits ^ b.bits);
    if (op == "&") return number(a.bits & b.bits);
    if (op == "==") return truth(a.bits == b.bits);
    if (op == "!=") return truth(a.bits != b.bits);
    if (op == "<") return truth(is_unsigned ? a.bits < b.bits : sa < sb);
    if (op == ">") return truth(is_unsigned ? a.bits > b.bits : sa > sb);
    if (op == "<=") return truth(is_unsigned ? a.bits <= b.bits : sa <= sb);
    if (op == ">=") return truth(is_unsigned ? a.bits >= b.bits : sa >= sb);
    if (op == "<<") return {b.bits < 64 ? a.bits << b.bits : 0, a.is_unsigned};
    if (op == ">>") {
      const uint64_t by = b.bits < 63 ? b.bits : 63;
      if (a.is_unsigned) return {b.bits < 64 ? a.bits >> b.bits : 0, true};
      return {static_cast<uint64_t>(sa >> by), false};
    }
    if (op == "+") return number(a.bits + b.bits);
    if (op == "-") return number(a.bits - b.bits);
    if (op == "*") return number(a.bits * b.bits);
    if (b.bits == 0) lexer_.fail("a constant expression divides by zero");
    const bool overflow = !is_unsigned && sa == std::numeric_limits<int64_t>::min() && sb == -1;
    if (op == "/") return number(overflow ? a.bits : is_unsigned ? a.bits / b.bits : static_cast<uint64_t>(sa / sb));
    return number(overflow ? 0 : is_unsigned ? a.bits % b.bits : static_cast<uint64_t>(sa % sb));
  }

  Lexer& lexer_;
};

}  // namespace

ConstantValue parse_constant(Lexer& lexer) { return Expression(lexer).choice(0); }

}  // namespace ptxsim
