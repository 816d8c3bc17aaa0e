// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace ptxsim {

/// One word of PTX text; `text` points into it.
struct Token {
  enum class Kind : uint8_t {
    end,
    name,     ///< identifier: "%rd1", "$L__BB0_2", "mbarrier", "_"
    dotted,   ///< directive, modifier or component with its dot: ".reg", ".shared::cluster", ".x"
    integer,  ///< `value`
    real,     ///< `value`: bits, of an f32 where `single`
    string,   ///< with its quotes
    symbol,   ///< punctuation
  };
  Kind kind = Kind::end;
  bool single = false;       ///< 0f3F800000
  bool is_unsigned = false;  ///< 5U, or too large for a signed 64-bit number
  int32_t line = 1;
  std::string_view text;
  uint64_t value = 0;

  bool is(std::string_view what) const { return text == what && kind != Kind::string; }
};

/// Takes PTX text apart (PTX ISA, chapter 4 "Syntax"). Text that has no words throws PtxError.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) { advance(); }

  const Token& peek() const { return token_; }
  /// The current token; moves on to the next.
  Token next();
  /// Consumes the current token when it is `what`.
  bool accept(std::string_view what);
  Token expect(std::string_view what);
  /// An identifier.
  std::string_view name(const char* what);
  [[noreturn]] void fail(const std::string& message) const;
  /// "expected `what`, found `;`"
  [[noreturn]] void expected(const std::string& what) const;

 private:
  void advance();
  void skip_blank();
  void number();
  void decimal(size_t end);
  bool has_exponent(size_t end) const;
  bool ends_with_point(size_t end) const;
  char at(size_t index) const { return index < text_.size() ? text_[index] : '\0'; }
  void finish(Token::Kind kind, size_t end);

  std::string_view text_;
  size_t place_ = 0;
  int32_t line_ = 1;
  Token token_;
};

}  // namespace ptxsim
