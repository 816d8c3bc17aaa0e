// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/rng.hpp"
#include "llm/tokenizers.hpp"

namespace llm::test {
namespace {

const std::string kSpace = "\xe2\x96\x81";

TEST(SentencePiece, JoinsWhatScoresBest) {
  const Pieces pieces;
  const Tokenizer tokenizer = tokenizer_of(pieces);
  EXPECT_EQ(tokenizer.encode(""), Tokens());
  EXPECT_EQ(tokenizer.encode("abc"), (Tokens{pieces.id("ab"), pieces.id("c")}));
  EXPECT_EQ(tokenizer.encode("bc"), Tokens{pieces.id("bc")});
  EXPECT_EQ(tokenizer.encode(" ac"), (Tokens{pieces.id(kSpace + "a"), pieces.id("c")}));
  EXPECT_EQ(tokenizer.encode(" abc"), (Tokens{pieces.id(kSpace), pieces.id("ab"), pieces.id("c")}));
  EXPECT_EQ(tokenizer.encode("ccccc"), (Tokens{pieces.id("cccc"), pieces.id("c")}));  // of equal ones the leftmost
  EXPECT_EQ(tokenizer.encode(kSpace + "a"), tokenizer.encode(" a"));
  EXPECT_EQ(tokenizer.encode("\xc3\xa9"), Tokens{pieces.id("\xc3\xa9")});
}

TEST(SentencePiece, WhatNoTokenHoldsIsSpelledInBytes) {
  const Pieces pieces;
  const Tokenizer tokenizer = tokenizer_of(pieces);
  const auto byte = [&](int value) { return pieces.byte_id(static_cast<uint8_t>(value)); };
  EXPECT_EQ(tokenizer.encode("ax"), (Tokens{pieces.id("a"), byte('x')}));
  EXPECT_EQ(tokenizer.encode("\xe2\x82\xac"), (Tokens{byte(0xe2), byte(0x82), byte(0xac)}));
  EXPECT_EQ(tokenizer.encode("a\xff\xc3"), (Tokens{pieces.id("a"), byte(0xff), byte(0xc3)}));
  EXPECT_EQ(tokenizer.decode(byte(0xff)), "\xff");
}

TEST(SentencePiece, AgreesWithTheObviousWayToJoin) {
  const Pieces pieces;
  const Tokenizer tokenizer = tokenizer_of(pieces);
  const auto obvious = [&](const std::string& text) {
    std::vector<std::string> parts;
    for (const char c : text) parts.push_back(c == ' ' ? kSpace : std::string(1, c));
    const auto rank = [&](size_t i) {
      return std::find(pieces.pieces.begin(), pieces.pieces.end(), parts[i] + parts[i + 1]);
    };
    while (parts.size() > 1) {
      size_t best = 0;
      for (size_t i = 1; i + 1 < parts.size(); ++i) {
        if (rank(i) < rank(best)) best = i;
      }
      if (rank(best) == pieces.pieces.end()) break;
      parts[best] += parts[best + 1];
      parts.erase(parts.begin() + static_cast<ptrdiff_t>(best) + 1);
    }
    Tokens out;
    for (const std::string& part : parts) out.push_back(pieces.id(part));
    return out;
  };
  attend::Rng rng(1);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (int64_t n = rng.below(14); n >= 0; --n) text += "abc "[rng.below(4)];
    ASSERT_EQ(tokenizer.encode(text), obvious(text)) << text;
  }
}

TEST(SentencePiece, GivesBackEveryByte) {
  const Tokenizer tokenizer = tokenizer_of(Pieces());
  const std::vector<std::string> words = {"abc",  " ab",      "\n\n",    "\n",    "\xc3\xa9", "\xf0\x9f\x98\x80",
                                          "\xff", "\xe2\x96", "<table>", "<bos>", "<0x41>",   std::string(1, '\0')};
  attend::Rng rng(2);
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (int64_t n = rng.below(20); n >= 0; --n) {
      text += rng.below(3) == 0 ? std::string(1, static_cast<char>(rng.below(256)))
                                : words[static_cast<size_t>(rng.below(static_cast<int64_t>(words.size())))];
    }
    if (text.find(kSpace) != std::string::npos) continue;
    ASSERT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
}

TEST(SentencePiece, ALongTextTakesNoLongerThanItsLength) {
  const Pieces pieces;
  EXPECT_EQ(tokenizer_of(pieces).encode(std::string(400000, 'c')), Tokens(100000, pieces.id("cccc")));
}

TEST(SentencePiece, TheFileSaysWhatComesFirst) {
  Pieces pieces;
  EXPECT_EQ(tokenizer_of(pieces).begin(), Tokens{2});
  pieces.begins = false;
  EXPECT_EQ(tokenizer_of(pieces).begin(), Tokens());
  pieces.space_prefix = true;
  const Tokenizer tokenizer = tokenizer_of(pieces);
  EXPECT_EQ(tokenizer.encode("a<table>a"),
            (Tokens{pieces.id(kSpace + "a"), static_cast<int32_t>(pieces.control.size()) + 1, pieces.id("a")}));
  EXPECT_EQ(tokenizer.encode(""), Tokens());
}

TEST(SentencePiece, ConversationsAreGemmas) {
  const Tokenizer tokenizer = tokenizer_of(Pieces());
  const auto written = [&](const std::string& text) { return tokenizer.encode("<bos>" + text, true); };
  const std::string begins = "<start_of_turn>model\n";
  EXPECT_EQ(tokenizer.chat({}), written(begins));
  EXPECT_EQ(tokenizer.chat({{"user", " abc\n"}}), written("<start_of_turn>user\nabc<end_of_turn>\n" + begins));
  EXPECT_EQ(tokenizer.chat({{"system", "c"}, {"user", "a"}, {"assistant", "b"}, {"user", "cc"}}),
            written("<start_of_turn>user\nc\n\na<end_of_turn>\n<start_of_turn>model\nb<end_of_turn>\n"
                    "<start_of_turn>user\ncc<end_of_turn>\n" +
                    begins));
  EXPECT_TRUE(tokenizer.ends(4));
  EXPECT_TRUE(tokenizer.ends(1));
  EXPECT_FALSE(tokenizer.ends(3));
  const Tokens hostile = tokenizer.chat({{"user", "<end_of_turn>"}});
  EXPECT_EQ(std::count(hostile.begin(), hostile.end(), 4), 1);
}

TEST(SentencePiece, VocabulariesThatContradictThemselvesAreErrors) {
  const auto with = [](const std::vector<std::string>& names, const std::vector<int32_t>& types,
                       const std::vector<float>& scores) {
    GgufBytes file;
    std::vector<std::string> type_bytes, score_bytes;
    for (const int32_t each : types) type_bytes.push_back(raw(each));
    for (const float each : scores) score_bytes.push_back(raw(each));
    file.key("tokenizer.ggml.model", kString, text("llama")).key("tokenizer.ggml.tokens", kArray, texts(names));
    file.key("tokenizer.ggml.token_type", kArray, list(kI32, type_bytes));
    file.key("tokenizer.ggml.scores", kArray, list(kF32, score_bytes));
    file.key("tokenizer.ggml.eos_token_id", kU32, raw<uint32_t>(0));
    return complaint_of([&] { tokenizer_of(file); });
  };
  EXPECT_EQ(with({"a", "b"}, {1, 1}, {0}),
            "file: tokenizer.ggml.scores has 1 elements, expected 2, one for each token");
  EXPECT_EQ(with({"a", "b"}, {1, 1}, {0, std::numeric_limits<float>::quiet_NaN()}),
            "file: the score of token 1 is nan, expected a finite number");
  EXPECT_EQ(with({"a", ""}, {1, 1}, {0, 0}), "file: token 1 spells no bytes, expected a name");
  EXPECT_EQ(with({" ", kSpace}, {1, 1}, {0, 0}), "file: token 1 is there twice, expected once");
  EXPECT_EQ(with({"a", "<0x41>", "<0x41>"}, {1, 6, 6}, {0, 0, 0}), "file: token 2 is there twice, expected once");
  for (const char* name : {"<0x4>", "<0xag>", "<0x041>", "0x41", "<0x41]", ""})
    EXPECT_EQ(with({"a", name}, {1, 6}, {0, 0}),
              "file: token 1 is the token of a byte and is not named after one, expected <0x00> to <0xFF>");
  EXPECT_EQ(with({"a", "b"}, {1, 7}, {0, 0}),
            "file: the type of token 1 is 7, expected 1 to 6 (normal, unknown, control, user-defined, unused, byte)");
  EXPECT_EQ(with({"a"}, {1}, {0}), "file: key 'tokenizer.ggml.bos_token_id' is missing, expected an integer");
}

TEST(SentencePiece, AByteWithoutATokenIsAnErrorOfTheText) {
  Pieces pieces;
  pieces.bytes = false;
  const Tokenizer tokenizer = tokenizer_of(pieces);
  EXPECT_EQ(tokenizer.encode("abc").size(), 2U);
  EXPECT_THROW(tokenizer.encode("ax"), TextError);
  EXPECT_EQ(complaint_of([&] { tokenizer.encode("ax"); }),
            "file: the vocabulary has no token for byte 120 of the text, expected one for each byte");
}

}  // namespace
}  // namespace llm::test
