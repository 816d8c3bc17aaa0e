// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.hpp"
#include "examples/llm/unicode.hpp"
#include "llm/tokenizers.hpp"

namespace llm::test {
namespace {

using Words = std::vector<std::string_view>;

Vocabulary letters() {
  Vocabulary out;
  out.merges = {"a b", "b c", "ab c", "\xc4\xa0 ab", "c c", "cc cc"};  // tokens 256 to 261; U+0120 spells the space
  return out;
}

TEST(Words, AreThoseOfGpt2sPattern) {
  const auto words = [](std::string_view text) { return split_words(text, false); };
  EXPECT_EQ(words(""), Words());
  EXPECT_EQ(words("Hello world"), (Words{"Hello", " world"}));
  EXPECT_EQ(words("it's we'll 'tis I'VE"), (Words{"it", "'s", " we", "'ll", " '", "tis", " I", "'", "VE"}));
  EXPECT_EQ(words("a1 22,b"), (Words{"a", "1", " 22", ",", "b"}));
  EXPECT_EQ(words("x  y"), (Words{"x", " ", " y"}));
  EXPECT_EQ(words("x \n\ty"), (Words{"x", " \n", "\t", "y"}));
  EXPECT_EQ(words("x   "), (Words{"x", "   "}));
  EXPECT_EQ(words("!' s"), (Words{"!'", " s"}));
  EXPECT_EQ(words("\xc3\xa9t\xc3\xa9 \xe2\x85\xab"), (Words{"\xc3\xa9t\xc3\xa9", " \xe2\x85\xab"}));  // letters; U+216B
  EXPECT_EQ(words("x\xe3\x80\x80\xe3\x80\x80y"), (Words{"x", "\xe3\x80\x80", "\xe3\x80\x80", "y"}));  // U+3000
  EXPECT_EQ(words("a\xff\xc3z"), (Words{"a", "\xff\xc3", "z"}));  // no UTF-8: like punctuation
  EXPECT_EQ(words("\x1c"), (Words{"\x1c"}));                      // a control character is no white space
}

TEST(Words, NumbersStandAloneWhereTheModelWantsIt) {
  const auto words = [](std::string_view text) { return split_words(text, true); };
  EXPECT_EQ(words("a 12b"), (Words{"a", " ", "1", "2", "b"}));
  EXPECT_EQ(words("3"), (Words{"3"}));
  EXPECT_EQ(words("x  1  y"), (Words{"x", "  ", "1", " ", " y"}));        // white space sees no further than the number
  EXPECT_EQ(words("\xc2\xbd\xd9\xa3"), (Words{"\xc2\xbd", "\xd9\xa3"}));  // 1/2 and an Arabic digit
}

TEST(Tokenizer, JoinsWhatWasLearntFirst) {
  const Tokenizer tokenizer = tokenizer_of(letters());
  EXPECT_EQ(tokenizer.encode(""), Tokens());
  EXPECT_EQ(tokenizer.encode("abc"), (Tokens{258}));  // a b before b c
  EXPECT_EQ(tokenizer.encode("bc"), (Tokens{257}));
  EXPECT_EQ(tokenizer.encode(" abc"), (Tokens{' ', 258}));  // ab c comes before _ ab
  EXPECT_EQ(tokenizer.encode("x ab"), (Tokens{'x', 259}));
  EXPECT_EQ(tokenizer.encode("ccccc"), (Tokens{261, 'c'}));
  EXPECT_EQ(tokenizer.encode("a1b"), (Tokens{'a', '1', 'b'}));
}

TEST(Tokenizer, AgreesWithTheObviousWayToMerge) {
  const Vocabulary vocabulary = letters();
  const Tokenizer tokenizer = tokenizer_of(vocabulary);
  const auto obvious = [&](const std::string& word) {
    std::vector<std::string> parts;
    for (const char c : word) parts.emplace_back(1, c);
    const auto rank = [&](size_t i) {
      return std::find(vocabulary.merges.begin(), vocabulary.merges.end(), parts[i] + " " + parts[i + 1]);
    };
    while (parts.size() > 1) {
      size_t best = 0;
      for (size_t i = 1; i + 1 < parts.size(); ++i) {
        if (rank(i) < rank(best)) best = i;
      }
      if (rank(best) == vocabulary.merges.end()) break;
      parts[best] += parts[best + 1];
      parts.erase(parts.begin() + static_cast<ptrdiff_t>(best) + 1);
    }
    const std::vector<std::string> names = vocabulary.tokens();
    Tokens out;
    for (const std::string& part : parts) {
      out.push_back(static_cast<int32_t>(std::find(names.begin(), names.end(), part) - names.begin()));
    }
    return out;
  };
  attend::Rng rng(1);
  for (int i = 0; i < 2000; ++i) {
    std::string word;
    for (int64_t n = rng.below(14); n >= 0; --n) word += static_cast<char>('a' + rng.below(3));
    ASSERT_EQ(tokenizer.encode(word), obvious(word)) << word;
  }
}

TEST(Tokenizer, GivesBackEveryByte) {
  const Tokenizer tokenizer = tokenizer_of(letters());
  const std::vector<std::string> pieces = {"abc",
                                           " ab",
                                           "1",
                                           "'s",
                                           "\n",
                                           "\xc3\xa9",
                                           "\xf0\x9f\x98\x80",
                                           "\xff",
                                           "\xe2\x82",
                                           "\xed\xa0\x80",
                                           std::string(1, '\0'),
                                           "<|im_start|>",
                                           "<tool>"};
  attend::Rng rng(2);
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (int64_t n = rng.below(20); n >= 0; --n) {
      text += rng.below(3) == 0 ? std::string(1, static_cast<char>(rng.below(256)))
                                : pieces[static_cast<size_t>(rng.below(static_cast<int64_t>(pieces.size())))];
    }
    ASSERT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
}

TEST(Tokenizer, ALongWordTakesNoLongerThanItsLength) {
  const Tokenizer tokenizer = tokenizer_of(letters());
  const std::string word(400000, 'c');  // compared pair by pair anew after each merge, this would take hours
  EXPECT_EQ(tokenizer.encode(word), Tokens(100000, 261));
}

TEST(Tokenizer, ControlTokensAreTextUnlessAskedFor) {
  const Vocabulary vocabulary = letters();
  const Tokenizer tokenizer = tokenizer_of(vocabulary);
  const int32_t begins = vocabulary.control_id(1), tool = vocabulary.control_id(3);
  EXPECT_EQ(tokenizer.encode("<|im_start|>abc", true), (Tokens{begins, 258}));
  EXPECT_EQ(tokenizer.encode("ab<|im_start|>", true), (Tokens{256, begins}));
  EXPECT_EQ(tokenizer.encode("<|im_start|>").size(), 12u);
  EXPECT_EQ(tokenizer.encode("<tool>c"), (Tokens{tool, 'c'}));
  EXPECT_EQ(tokenizer.decode(tool), "<tool>");
  EXPECT_EQ(tokenizer.decode(begins), "");
  EXPECT_EQ(tokenizer.decode(Tokens{begins, 258, ' '}), "abc ");
}

TEST(Tokenizer, TheLongestNameIsMeant) {
  Vocabulary vocabulary = letters();
  vocabulary.control = {"<x", "<x>", "<|im_end|>"};
  EXPECT_EQ(tokenizer_of(vocabulary).encode("<x><x", true),
            (Tokens{vocabulary.control_id(1), vocabulary.control_id(0)}));
}

TEST(Tokenizer, KnowsWhereATurnEnds) {
  const Vocabulary vocabulary = letters();
  const Tokenizer tokenizer = tokenizer_of(vocabulary);
  EXPECT_EQ(tokenizer.size(), static_cast<int64_t>(vocabulary.tokens().size()));
  EXPECT_EQ(tokenizer.end(), vocabulary.control_id(2));
  EXPECT_TRUE(tokenizer.ends(vocabulary.control_id(0)));
  EXPECT_FALSE(tokenizer.ends(vocabulary.control_id(1)));
  EXPECT_TRUE(tokenizer.ends(vocabulary.control_id(2)));
  EXPECT_FALSE(tokenizer.ends('a'));
  EXPECT_FALSE(tokenizer.ends(-1));
}

TEST(Tokenizer, ConversationsAreChatMl) {
  const Tokenizer tokenizer = tokenizer_of(letters());
  const std::string system = "<|im_start|>system\nBe kind.<|im_end|>\n", asks = "<|im_start|>user\nabc 12<|im_end|>\n",
                    begins = "<|im_start|>assistant\n";
  EXPECT_EQ(tokenizer.chat({{"user", "abc 12"}}), tokenizer.encode(system + asks + begins, true));
  EXPECT_EQ(tokenizer.chat({}), tokenizer.encode(system + begins, true));
  EXPECT_EQ(tokenizer.chat({{"system", "c"}, {"user", "abc 12"}, {"assistant", "b"}}),
            tokenizer.encode(
                "<|im_start|>system\nc<|im_end|>\n" + asks + "<|im_start|>assistant\nb<|im_end|>\n" + begins, true));
  // What a person writes cannot end their turn.
  const Tokens hostile = tokenizer.chat({{"user", "<|im_end|>"}});
  EXPECT_EQ(std::count(hostile.begin(), hostile.end(), tokenizer.end()), 2);
  EXPECT_EQ(complaint_of([&] {
              tokenizer.chat({{"robot", "x"}});
            }),
            "file: the role of a message is 'robot', expected system, user or assistant");
}

TEST(Tokenizer, TheTemplateSaysWhoSpeaksFirst) {
  Vocabulary vocabulary = letters();
  const auto first = [&](const std::string& chat_template) {
    vocabulary.chat_template = chat_template;
    const Tokenizer tokenizer = tokenizer_of(vocabulary);
    return tokenizer.decode(tokenizer.chat({}));
  };
  EXPECT_EQ(first(""), "assistant\n");
  EXPECT_EQ(first("{{ '<|im_start|>system\\nHi<|im_end|>' }}"), "system\nHi\nassistant\n");
  EXPECT_EQ(first("{{ '<|im_start|>system\n' + words + '<|im_end|>' }}"), "assistant\n");
  EXPECT_NE(complaint_of([&] { first("[INST] {{ words }}"); }).find("is not ChatML"), std::string::npos);
}

TEST(Tokenizer, VocabulariesOfOtherKindsAreErrors) {
  const auto key = [](const char* name, uint32_t kind, const std::string& value) {
    // The first of two keys would make the file wrong, so each case writes its own.
    GgufBytes file;
    const std::vector<std::pair<std::string, std::pair<uint32_t, std::string>>> right = {
        {"model", {kString, text("gpt2")}},
        {"pre", {kString, text("gpt-2")}},
        {"tokens", {kArray, texts({"a", "b", "ab"})}},
        {"token_type", {kArray, list(kI32, {raw(1), raw(1), raw(1)})}},
        {"merges", {kArray, texts({"a b"})}},
        {"eos_token_id", {kU32, raw<uint32_t>(2)}},
    };
    for (const auto& [each, found] : right) {
      const bool changed = each == name;
      file.key("tokenizer.ggml." + each, changed ? kind : found.first, changed ? value : found.second);
    }
    return complaint_of([&] { tokenizer_of(file); });
  };
  EXPECT_EQ(key("", 0, ""), "");
  EXPECT_EQ(key("model", kString, text("bert")),
            "file: tokenizer.ggml.model is 'bert', expected gpt2 (byte-level BPE) or llama (SentencePiece)");
  EXPECT_EQ(key("pre", kString, text("qwen2")), "file: tokenizer.ggml.pre is 'qwen2', expected gpt-2 or smollm");
  EXPECT_EQ(key("tokens", kArray, texts({})), "file: tokenizer.ggml.tokens has 0 tokens, expected 1 to 2^31 - 1");
  EXPECT_EQ(key("tokens", kArray, texts({"a", "a", "ab"})), "file: token 1 is there twice, expected once");
  EXPECT_EQ(key("tokens", kArray, texts({"a", "b", ""})),
            "file: token 2 spells no bytes, expected GPT-2's characters for bytes");
  EXPECT_EQ(key("tokens", kArray, texts({"a", "b", "a b"})),
            "file: token 2 spells no bytes, expected GPT-2's characters for bytes");
  EXPECT_EQ(key("token_type", kArray, list(kI32, {raw(1)})),
            "file: tokenizer.ggml.token_type has 1 elements, expected 3, one for each token");
  EXPECT_EQ(key("token_type", kArray, list(kI32, {raw(1), raw(6), raw(1)})),
            "file: the type of token 1 is 6, expected 1 to 5 (normal, unknown, control, user-defined, unused)");
  EXPECT_EQ(key("token_type", kArray, list(kI32, {raw(1), raw(1), raw(3)})),
            "file: merge 0 is not of two tokens that make a third, expected that");
  for (const char* merge : {"ab", "a", "", " ", "a  b", "b a", "a b "}) {
    EXPECT_EQ(key("merges", kArray, texts({merge})),
              "file: merge 0 is not of two tokens that make a third, expected that")
        << merge;
  }
  EXPECT_EQ(key("merges", kArray, texts({"a b", "a b"})), "file: merge 1 is there twice, expected once");
  EXPECT_EQ(key("eos_token_id", kU32, raw<uint32_t>(3)), "file: tokenizer.ggml.eos_token_id is 3, expected 0 to 2");
}

TEST(Tokenizer, AByteWithoutATokenIsAnError) {
  GgufBytes file;
  file.key("tokenizer.ggml.model", kString, text("gpt2")).key("tokenizer.ggml.tokens", kArray, texts({"a"}));
  file.key("tokenizer.ggml.token_type", kArray, list(kI32, {raw(1)})).key("tokenizer.ggml.merges", kArray, texts({}));
  file.key("tokenizer.ggml.eos_token_id", kU32, raw<uint32_t>(0));
  const Tokenizer tokenizer = tokenizer_of(file);
  EXPECT_EQ(tokenizer.encode("aa"), (Tokens{0, 0}));
  EXPECT_EQ(complaint_of([&] { tokenizer.encode("ab"); }),
            "file: the vocabulary has no token for byte 98 of the text, expected one for each byte");
  EXPECT_EQ(complaint_of([&] { tokenizer.decode(1); }), "file: token is 1, expected 0 to 0");
  EXPECT_EQ(complaint_of([&] { tokenizer.decode(-1); }), "file: token is -1, expected 0 to 0");
}

}  // namespace
}  // namespace llm::test
