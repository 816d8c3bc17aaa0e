// SPDX-License-Identifier: Apache-2.0
#include "sim/parse/lexer.hpp"

#include <algorithm>
#include <bit>
#include <charconv>

#include "sim/isa/decode.hpp"

namespace ptxsim {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool starts_name(char c) { return is_letter(c) || c == '_' || c == '$'; }
bool in_name(char c) { return starts_name(c) || is_digit(c); }
int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// How a token stands in a message: printable, short.
std::string quoted(std::string_view text) {
  std::string out = "`";
  for (const char c : text.substr(0, 40)) out += c >= ' ' && c <= '~' ? c : '?';
  return out + (text.size() > 40 ? "...`" : "`");
}

constexpr std::string_view kPairs[] = {"<<", ">>", "<=", ">=", "==", "!=", "&&", "||"};

}  // namespace

void Lexer::fail(const std::string& message) const {
  throw PtxError{attend::StatusCode::invalid_argument, token_.line, message};
}

void Lexer::expected(const std::string& what) const {
  fail("expected " + what + ", found " +
       (token_.kind == Token::Kind::end ? "the end of the text" : quoted(token_.text)));
}

Token Lexer::next() {
  const Token token = token_;
  advance();
  return token;
}

bool Lexer::accept(std::string_view what) {
  if (!token_.is(what)) return false;
  advance();
  return true;
}

Token Lexer::expect(std::string_view what) {
  if (!token_.is(what)) expected(quoted(what));
  return next();
}

std::string_view Lexer::name(const char* what) {
  if (token_.kind != Token::Kind::name) expected(what);
  return next().text;
}

void Lexer::finish(Token::Kind kind, size_t end) {
  token_.kind = kind;
  token_.text = text_.substr(place_, end - place_);
  place_ = end;
}

void Lexer::skip_blank() {
  while (place_ < text_.size()) {
    const char c = text_[place_];
    if (c == '\n') {
      ++line_;
      ++place_;
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v') {
      ++place_;
    } else if (c == '/' && at(place_ + 1) == '/') {
      place_ = std::min(text_.find('\n', place_), text_.size());
    } else if (c == '/' && at(place_ + 1) == '*') {
      const size_t end = text_.find("*/", place_ + 2);
      if (end == std::string_view::npos) {
        token_.line = line_;
        fail("a comment does not end");
      }
      line_ += static_cast<int32_t>(std::count(text_.begin() + static_cast<ptrdiff_t>(place_),
                                               text_.begin() + static_cast<ptrdiff_t>(end), '\n'));
      place_ = end + 2;
    } else {
      break;
    }
  }
}

void Lexer::advance() {
  skip_blank();
  token_ = Token{};
  token_.line = line_;
  if (place_ >= text_.size()) return finish(Token::Kind::end, place_);
  const char c = text_[place_];
  size_t end = place_ + 1;
  if (starts_name(c) || (c == '%' && in_name(at(end)))) {
    while (in_name(at(end))) ++end;
    return finish(Token::Kind::name, end);
  }
  if (is_digit(c)) return number();
  if (c == '.' && in_name(at(end))) {
    while (in_name(at(end)) || (at(end) == ':' && at(end + 1) == ':' && in_name(at(end + 2))))
      end += at(end) == ':' ? 2 : 1;
    return finish(Token::Kind::dotted, end);
  }
  if (c == '"') {
    while (end < text_.size() && text_[end] != '"' && text_[end] != '\n') end += text_[end] == '\\' ? 2 : 1;
    if (at(end) != '"') fail("a string does not end");
    return finish(Token::Kind::string, end + 1);
  }
  if (std::find(std::begin(kPairs), std::end(kPairs), text_.substr(place_, 2)) != std::end(kPairs))
    return finish(Token::Kind::symbol, end + 1);
  finish(Token::Kind::symbol, end);
  if (std::string_view("()[]{}<>,;:=@!|+-*/%&^~?").find(c) == std::string_view::npos)
    fail("unknown character " + quoted(token_.text));
}

/// Whether "e10" or "e-10" begins at `end`.
bool Lexer::has_exponent(size_t end) const {
  const bool sign = at(end + 1) == '+' || at(end + 1) == '-';
  return (at(end) | 0x20) == 'e' && is_digit(at(end + (sign ? 2 : 1)));
}

/// Whether a decimal point is there and no modifier.
bool Lexer::ends_with_point(size_t end) const {
  return at(end) == '.' && (!starts_name(at(end + 1)) || has_exponent(end + 1));
}

/// Decimal, hexadecimal, octal and binary integers, 0f and 0d bit patterns, decimal reals (PTX ISA 4.5 "Constants").
void Lexer::number() {
  const char marker = at(place_) == '0' ? static_cast<char>(at(place_ + 1) | 0x20) : '\0';
  const auto digits_until = [&](size_t from) {
    size_t end = from;
    while (hex_digit(at(end)) >= 0) ++end;
    return end;
  };
  size_t end = place_;
  if (marker == 'f' || marker == 'd') {
    end = digits_until(place_ + 2);
    token_.single = marker == 'f';
    if (end - place_ - 2 != (token_.single ? 8u : 16u)) fail("a bit pattern of a real has the wrong length");
    std::from_chars(text_.data() + place_ + 2, text_.data() + end, token_.value, 16);
    finish(Token::Kind::real, end);
  } else {
    int base = 10;
    size_t first = place_;
    if (marker == 'x') base = 16, first += 2;
    if (marker == 'b') base = 2, first += 2;
    if (base == 16) {
      end = digits_until(first);
    } else {
      for (end = first; is_digit(at(end));) ++end;
      if (base == 10 && (has_exponent(end) || ends_with_point(end))) return decimal(end);
      if (base == 10 && at(first) == '0') base = 8;
    }
    const auto [stop, error] = std::from_chars(text_.data() + first, text_.data() + end, token_.value, base);
    if (error == std::errc::result_out_of_range) fail("an integer has more than 64 bits");
    if (error != std::errc() || stop != text_.data() + end) fail("a number is malformed");
    token_.is_unsigned = token_.value >> 63 != 0 || at(end) == 'U';
    if (at(end) == 'U') ++end;
    finish(Token::Kind::integer, end);
  }
  if (in_name(at(place_))) fail("a number is malformed: " + quoted(token_.text));
}

/// A real in decimal: an f64, as all such constants. `end` is behind the digits in front of the point.
void Lexer::decimal(size_t end) {
  if (at(end) == '.')
    for (++end; is_digit(at(end));) ++end;
  if ((at(end) | 0x20) == 'e') {
    end += at(end + 1) == '+' || at(end + 1) == '-' ? 2 : 1;
    while (is_digit(at(end))) ++end;
  }
  double value = 0;
  const auto [stop, error] = std::from_chars(text_.data() + place_, text_.data() + end, value);
  if (error != std::errc() || stop != text_.data() + end) fail("a real number is malformed or out of range");
  token_.value = std::bit_cast<uint64_t>(value);
  finish(Token::Kind::real, end);
  if (in_name(at(place_))) fail("a number is malformed: " + quoted(token_.text));
}

}  // namespace ptxsim
