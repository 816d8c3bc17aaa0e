// SPDX-License-Identifier: Apache-2.0
#include "examples/llm/wordpiece.hpp"

#include <gtest/gtest.h>

#include "examples/llm/unicode.hpp"

namespace llm::test {
namespace {

using PlainList = std::vector<std::string>;
using IdList = std::vector<int32_t>;

constexpr const char* kPieces =
    "[UNK]\n[CLS]\n[SEP]\nun\n##aff\n##able\n##a\nhello\n,\n[\n]\nsep\n\xe4\xbd\xa0\n##\xe5\xa5\xbd\n";

WordPiece wordpiece(const std::string& vocabulary = kPieces) { return {vocabulary, "made here"}; }

TEST(PlainWords, letters_are_small_and_have_no_accents) {
  EXPECT_EQ(plain_words("Na\xc3\xafve CAF\xc3\x89"), (PlainList{"naive", "cafe"}));
  EXPECT_EQ(plain_words("e\xcc\x81 \xc4\xb0 \xc3\x9f"), (PlainList{"e", "i", "\xc3\x9f"}))
      << "combining, dotted I, sharp s";
  EXPECT_EQ(plain_words("\xed\x95\x9c"), (PlainList{"\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab"})) << "Hangul falls apart";
}

TEST(PlainWords, punctuation_and_ideographs_are_words) {
  EXPECT_EQ(plain_words("it's (so)..."), (PlainList{"it", "'", "s", "(", "so", ")", ".", ".", "."}));
  EXPECT_EQ(plain_words("a$b^c`d~e|f"), (PlainList{"a", "$", "b", "^", "c", "`", "d", "~", "e", "|", "f"}));
  EXPECT_EQ(plain_words("x\xe2\x80\x94y\xe2\x82\xacz"), (PlainList{"x", "\xe2\x80\x94", "y\xe2\x82\xacz"}))
      << "a dash, no euro";
  EXPECT_EQ(plain_words("a\xe4\xbd\xa0\xe5\xa5\xbd"
                        "b"),
            (PlainList{"a", "\xe4\xbd\xa0", "\xe5\xa5\xbd", "b"}));
  EXPECT_EQ(plain_words("\xe3\x81\x82\xe3\x81\x84"), (PlainList{"\xe3\x81\x82\xe3\x81\x84"}))
      << "kana are no ideographs";
}

TEST(PlainWords, white_space_separates_and_control_characters_vanish) {
  EXPECT_EQ(plain_words(" a\tb\nc\r\nd\xc2\xa0"
                        "e\xe2\x80\xa8"
                        "f "),
            (PlainList{"a", "b", "c", "d", "e", "f"}));
  const std::string zero(1, '\0');
  EXPECT_EQ(plain_words("a" + zero +
                        "b\x01\x0b\x7f\xef\xbf\xbd\xe2\x80\x8b\xc2\xad"
                        "c"),
            (PlainList{"abc"}));
  EXPECT_EQ(plain_words(""), PlainList{});
  EXPECT_EQ(plain_words(" \t\x01"), PlainList{});
}

TEST(PlainWords, other_bytes_are_refused) {
  for (const std::string text :
       {"ab\xff", "ab\xc3", "ab\xe4\xbd", "ab\xed\xa0\x80", "ab\xc0\x80", "ab\xf5\x80\x80\x80"}) {
    try {
      plain_words(text);
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "the text's byte 2 is no part of a UTF-8 character");
    }
  }
}

TEST(WordPiece, the_longest_piece_comes_first) {
  EXPECT_EQ(wordpiece().pieces("unaffable, UNA unaffa"), (IdList{3, 4, 5, 8, 3, 6, 3, 4, 6}));
  EXPECT_EQ(wordpiece().pieces("hellohello"), (IdList{0})) << "hello is no ##hello";
  EXPECT_EQ(wordpiece().pieces("unb hello"), (IdList{0, 7})) << "a word is whole or unknown";
  EXPECT_EQ(wordpiece().pieces("\xe4\xbd\xa0\xe5\xa5\xbd"), (IdList{12, 0})) << "an ideograph does not go on";
  EXPECT_EQ(wordpiece().pieces("[SEP]"), (IdList{9, 11, 10})) << "a token's name is text";
}

TEST(WordPiece, long_words_are_unknown) {
  std::string hundred = "un";
  for (int i = 2; i < 100; ++i) hundred += "a";
  EXPECT_EQ(wordpiece().pieces(hundred).size(), 99U);
  EXPECT_EQ(wordpiece().pieces(hundred + "a"), IdList{0});
}

TEST(WordPiece, texts_are_cut_at_the_limit) {
  const auto expect = [](const char* text, int64_t limit, const IdList& ids, bool cut) {
    const TextTokens found = wordpiece().encode(text, limit);
    EXPECT_EQ(found.ids, ids) << text << " " << limit;
    EXPECT_EQ(found.cut, cut) << text << " " << limit;
  };
  expect("", 2, {1, 2}, false);
  expect("hello", 2, {1, 2}, true);
  expect("hello", 3, {1, 7, 2}, false);
  expect("hello unaffable", 4, {1, 7, 3, 2}, true);
  expect("hello unaffable", 6, {1, 7, 3, 4, 5, 2}, false);
}

TEST(WordPiece, errors_name_what_is_wrong) {
  const auto error_of = [](const std::string& vocabulary) -> std::string {
    try {
      wordpiece(vocabulary);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(error_of(""), "made here: has no token [UNK]");
  EXPECT_EQ(error_of("[UNK]\n[CLS]\n"), "made here: has no token [SEP]");
  EXPECT_EQ(error_of("[UNK]\n[CLS]\n[SEP]\na\na\n"), "made here: line 5 has a token that is there already");
  EXPECT_EQ(error_of("[UNK]\n[CLS]\n[SEP]\na\n##a"), "no error") << "a line without its end is one";
  EXPECT_EQ(wordpiece("[UNK]\n[CLS]\n[SEP]\na\n##a").size(), 5);
}

}  // namespace
}  // namespace llm::test
