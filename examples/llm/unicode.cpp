// SPDX-License-Identifier: Apache-2.0
#include "unicode.hpp"

#include <utf8proc.h>

#include <algorithm>

namespace llm {
namespace {

/// Unicode's property White_Space, which is neither a category nor C's isspace().
bool is_space(int32_t c) {
  switch (c) {
    case ' ':
    case 0x85:
    case 0xa0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202f:
    case 0x205f:
    case 0x3000: return true;
    default: return (c >= '\t' && c <= '\r') || (c >= 0x2000 && c <= 0x200a);
  }
}

CharClass class_of(int32_t c) {
  if (is_space(c)) return CharClass::space;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return CharClass::letter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return CharClass::number;
    default: return CharClass::other;
  }
}

/// Bytes at the front of the text whose characters are all of this class.
size_t run_of(CharClass kind, std::string_view text) {
  size_t length = 0;
  while (length < text.size()) {
    const Char next = first_char(text.substr(length));
    if (next.kind != kind) break;
    length += next.bytes;
  }
  return length;
}

/// Bytes of the last character of a run of white space.
size_t last_space(std::string_view run) {
  size_t size = 1;
  while ((static_cast<unsigned char>(run[run.size() - size]) & 0xc0) == 0x80) ++size;
  return size;
}

/// Bytes of the pattern's match at the front of the text, which is not empty.
size_t match(std::string_view text) {
  for (const std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.starts_with(ending)) return ending.size();
  }
  const size_t space = text[0] == ' ' ? 1 : 0;
  if (text.size() > space) {
    const CharClass kind = first_char(text.substr(space)).kind;
    if (kind != CharClass::space) return space + run_of(kind, text.substr(space));
  }
  // White space before something else leaves its last character to the next match, unless it has only that one.
  const size_t run = run_of(CharClass::space, text);
  if (run == text.size()) return run;
  const size_t last = last_space(text.substr(0, run));
  return run > last ? run - last : run;
}

/// Control, format and private characters; U+FFFD stands for broken text.
bool is_left_out(int32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO: return true;
    default: return c == 0xfffd;
  }
}

/// Blocks of ideographs as BERT has them: those that no space separates. Hangul and kana are none.
bool is_ideograph(int32_t c) {
  constexpr struct {
    int32_t first, last;
  } kBlocks[] = {{0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xf900, 0xfaff},   {0x20000, 0x2a6df},
                 {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f}, {0x2b820, 0x2ceaf}, {0x2f800, 0x2fa1f}};
  return std::ranges::any_of(kBlocks, [&](const auto& block) { return block.first <= c && c <= block.last; });
}

/// Unicode's punctuation, and whatever of ASCII is no letter, number or space.
bool is_punctuation(int32_t c) {
  if (c < 0x80) return c > ' ' && c < 0x7f && class_of(c) == CharClass::other;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO: return true;
    default: return false;
  }
}

/// The canonical decomposition of UTF-8, in code points.
std::vector<int32_t> decomposed(const std::string& text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto size = static_cast<utf8proc_ssize_t>(text.size());
  constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
  std::vector<int32_t> points(text.size());
  utf8proc_ssize_t count = utf8proc_decompose(bytes, size, points.data(), size, kOptions);
  if (count > size) {
    points.resize(static_cast<size_t>(count));
    count = utf8proc_decompose(bytes, size, points.data(), count, kOptions);
  }
  if (count < 0) throw Error(std::string("text cannot be decomposed: ") + utf8proc_errmsg(count));
  points.resize(static_cast<size_t>(count));
  return points;
}

void append(int32_t c, std::string& text) {
  utf8proc_uint8_t bytes[4];
  const auto size = static_cast<size_t>(utf8proc_encode_char(c, bytes));
  text.append(reinterpret_cast<const char*>(bytes), size);
}

void split_piece(std::string_view text, std::vector<std::string_view>& words) {
  while (!text.empty()) {
    words.push_back(text.substr(0, match(text)));
    text.remove_prefix(words.back().size());
  }
}

}  // namespace

Char first_char(std::string_view text) {
  Char out;
  utf8proc_int32_t code_point = -1;
  // A sequence has at most 4 bytes; a longer length could overflow the library's.
  const auto bytes = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                      static_cast<utf8proc_ssize_t>(std::min<size_t>(text.size(), 4)), &code_point);
  if (bytes <= 0) return out;
  out.code_point = code_point;
  out.bytes = static_cast<int32_t>(bytes);
  out.kind = class_of(code_point);
  return out;
}

std::vector<std::string_view> split_words(std::string_view text, bool lone_numbers) {
  std::vector<std::string_view> words;
  size_t begin = 0;
  for (size_t at = 0; lone_numbers && at < text.size();) {
    const Char next = first_char(text.substr(at));
    if (next.kind == CharClass::number) {
      split_piece(text.substr(begin, at - begin), words);
      words.push_back(text.substr(at, next.bytes));
      begin = at + next.bytes;
    }
    at += next.bytes;
  }
  split_piece(text.substr(begin), words);
  return words;
}

std::vector<std::string> plain_words(std::string_view text) {
  std::string clean;
  for (size_t at = 0; at < text.size();) {
    const Char next = first_char(text.substr(at));
    if (next.code_point < 0) throw Error("the text's byte " + std::to_string(at) + " is no part of a UTF-8 character");
    const bool alone = is_ideograph(next.code_point);
    if (alone) clean += ' ';
    if (!is_left_out(next.code_point)) clean += text.substr(at, next.bytes);
    if (alone) clean += ' ';
    at += next.bytes;
  }
  std::vector<std::string> words;
  bool inside = false;  // of a word that goes on
  for (const int32_t accented : decomposed(clean)) {
    if (utf8proc_category(accented) == UTF8PROC_CATEGORY_MN) continue;
    const int32_t c = utf8proc_tolower(accented);
    const bool mark = is_punctuation(c);
    if (is_space(c)) {
      inside = false;
      continue;
    }
    if (!inside || mark) words.emplace_back();
    append(c, words.back());
    inside = !mark;
  }
  return words;
}

}  // namespace llm
