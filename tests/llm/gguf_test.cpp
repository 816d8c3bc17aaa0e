// SPDX-License-Identifier: Apache-2.0
#include "examples/llm/gguf.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <functional>

#include "llm/gguf_bytes.hpp"

namespace llm::test {
namespace {

/// In memory of exactly their size, so that a sanitizer sees a step over the end.
std::vector<std::byte> exact(std::string_view bytes) {
  std::vector<std::byte> out(bytes.size());
  if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

/// What the error says; empty where there is none.
std::string complaint(const std::string& bytes) {
  const std::vector<std::byte> memory = exact(bytes);
  try {
    Gguf::parse(memory, "file");
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

std::string thrown(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(Gguf, EveryKindOfValueIsRead) {
  const auto memory = exact(small_file());
  const Gguf file = Gguf::parse(memory, "file");
  EXPECT_EQ(file.integer("u8"), 200);
  EXPECT_EQ(file.integer("i8"), -100);
  EXPECT_EQ(file.integer("u16"), 60000);
  EXPECT_EQ(file.integer("i16"), -30000);
  EXPECT_EQ(file.integer("u32"), 4000000000);
  EXPECT_EQ(file.integer("i32"), -2000000000);
  EXPECT_EQ(file.integer("u64"), int64_t{1} << 62);
  EXPECT_EQ(file.integer("i64"), -(int64_t{1} << 62));
  EXPECT_EQ(file.real("f32"), 0.5);
  EXPECT_EQ(file.real("f64"), 0.1);
  EXPECT_TRUE(file.boolean("bool", false));
  EXPECT_EQ(file.text("string"), "a text");
  EXPECT_EQ(file.text("empty"), "");
  EXPECT_EQ(file.integers("integers"), (std::vector<int64_t>{-1, 2}));
  EXPECT_EQ(std::get<std::vector<double>>(file.metadata().at("reals")), std::vector<double>{0.25});
  EXPECT_EQ(file.integers("bools"), (std::vector<int64_t>{1, 0}));
  EXPECT_TRUE(file.integers("none").empty());
  EXPECT_EQ(file.texts("tokenizer.ggml.merges").at(1), "ab c");
}

TEST(Gguf, MissingKeysHaveTheirDefaultAndOthersAreErrors) {
  const auto memory = exact(small_file());
  const Gguf file = Gguf::parse(memory, "file");
  EXPECT_EQ(file.integer("missing", 7), 7);
  EXPECT_EQ(file.real("missing", 0.5), 0.5);
  EXPECT_FALSE(file.boolean("missing", false));
  EXPECT_EQ(file.text("missing", "x"), "x");
  EXPECT_FALSE(file.has("missing"));
  EXPECT_EQ(thrown([&] { file.integer("missing"); }), "file: key 'missing' is missing, expected an integer");
  EXPECT_EQ(thrown([&] { file.integer("f32"); }), "file: key 'f32' is a real number, expected an integer");
  EXPECT_EQ(thrown([&] { file.real("u8", 1); }), "file: key 'u8' is an integer, expected a real number");
  EXPECT_EQ(thrown([&] { file.texts("integers"); }),
            "file: key 'integers' is an array of integers, expected an array of texts");
}

TEST(Gguf, TensorsLieWhereTheFileSays) {
  const std::string bytes = small_file();
  const auto memory = exact(bytes);
  const Gguf file = Gguf::parse(memory, "file");
  const Tensor& vector = file.tensor("vector", 1, 3);
  float values[3];
  dequantise(vector.type, vector.row(0), values);
  EXPECT_EQ(values[2], 3.0f);
  EXPECT_EQ(file.tensor("cube", 6, 2).row(5).size(), 4u);
  const Tensor& last = file.tensors().back();
  EXPECT_EQ(last.data.data() + last.data.size(), memory.data() + memory.size());
#define LLM_TENSOR_TYPE(name, id, elements, block)               \
  EXPECT_EQ(file.tensor(#name, 2, elements).row_bytes(), block); \
  EXPECT_STREQ(type_name(file.tensor(#name, 2, elements).type), #name);
#include "examples/llm/tensor_types.def"
  EXPECT_TRUE(file.has_tensor("cube"));
  EXPECT_FALSE(file.has_tensor("sphere"));
  EXPECT_EQ(thrown([&] { file.tensor("sphere", 1, 2); }), "file: tensor 'sphere' is missing, expected [1][2]");
  EXPECT_EQ(thrown([&] { file.tensor("cube", 2, 6); }), "file: tensor 'cube' is [6][2], expected [2][6]");
}

TEST(Gguf, FilesAreMapped) {
  const std::string path = ::testing::TempDir() + "gguf_test.gguf";
  std::ofstream(path, std::ios::binary) << small_file();
  Gguf file = Gguf::open(path);
  const Gguf moved = std::move(file);
  EXPECT_EQ(moved.text("string"), "a text");
  EXPECT_EQ(moved.name(), path);
  std::ofstream(path, std::ios::binary | std::ios::trunc).close();
  EXPECT_EQ(thrown([&] { Gguf::open(path); }), path + ": is empty, expected a GGUF file");
  std::remove(path.c_str());
  EXPECT_EQ(thrown([&] { Gguf::open(path); }), path + ": cannot open it: No such file or directory");
  EXPECT_NE(thrown([] { Gguf::open(::testing::TempDir()); }).find(": cannot map it: "), std::string::npos);
}

TEST(Gguf, AFileCutAnywhereIsAnError) {
  const std::string bytes = small_file();
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_NE(complaint(bytes.substr(0, size)), "") << size << " of " << bytes.size() << " bytes";
  }
  EXPECT_EQ(complaint(bytes), "");
}

TEST(Gguf, AFileWithoutTensorsNeedsNoData) { EXPECT_EQ(complaint(GgufBytes().key("k", kU8, "x").bytes()), ""); }

TEST(Gguf, TheAlignmentIsTheFilesOwn) {
  GgufBytes file;
  file.alignment = 8;
  file.key("general.alignment", kU32, raw<uint32_t>(8)).tensor("a", {1}, 0, raw(1.0f)).tensor("b", {1}, 0, raw(2.0f));
  const auto memory = exact(file.bytes());
  float value = 0;
  const Gguf parsed = Gguf::parse(memory, "file");
  dequantise(TensorType::F32, parsed.tensor("b", 1, 1).row(0), &value);
  EXPECT_EQ(value, 2.0f);
}

constexpr uint64_t kHuge = ~uint64_t{0};

struct Hostile {
  const char* field;
  std::string bytes, says;
};

std::vector<Hostile> hostile_files() {
  const std::string number = raw(1.0f);
  const auto with = [](auto change) {
    GgufBytes file;
    change(file);
    return file.bytes();
  };
  const auto value = [&](uint32_t kind, const std::string& bytes) {
    return with([&](GgufBytes& f) { f.key("k", kind, bytes); });
  };
  const auto tensor = [&](const std::vector<uint64_t>& dimensions, uint32_t type, std::optional<uint64_t> offset = {}) {
    return with([&](GgufBytes& f) { f.tensor("t", dimensions, type, raw(1.0f), offset); });
  };
  return {
      {"magic", with([](GgufBytes& f) { f.magic = "GGML"; }), "is no GGUF file: its first"},
      {"version", with([](GgufBytes& f) { f.version = 2; }), "its GGUF version is 2, expected 3"},
      {"byte order", with([](GgufBytes& f) { f.version = 3u << 24; }), "its GGUF version is 50331648, expected 3"},
      {"key count", with([](GgufBytes& f) { f.key_count = kHuge; }), "the number of keys is 18446744073709551615"},
      {"tensor count", with([](GgufBytes& f) { f.tensor_count = kHuge; }), "the number of tensors is 1844674407370955"},
      {"key length", with([](GgufBytes& f) { f.key_count = 1; }) + raw(kHuge) + std::string(9, 'x'),
       "the length of key 0 is 18446744073709551615"},
      {"kind", value(13, "x"), "the kind of key 'k' is 13, expected 0 to 12"},
      {"bool", value(kBool, "\2"), "key 'k' is 2, expected 0 or 1"},
      {"u64", value(kU64, raw(kHuge)), "key 'k' is 18446744073709551615, expected at most 9223372036854775807"},
      {"text length", value(kString, raw(kHuge - 7)), "the length of key 'k' is 18446744073709551608"},
      {"array kind", value(kArray, raw<uint32_t>(99) + raw<uint64_t>(0)), "the kind of an element of key 'k' is 99"},
      {"array length", value(kArray, raw<uint32_t>(kU64) + raw(kHuge / 8 + 2)),
       "the length of key 'k' is 2305843009213"},
      {"text array length", value(kArray, raw<uint32_t>(kString) + raw<uint64_t>(2) + text("12345678")),
       "ends in the length of key 'k'"},
      {"array of arrays", value(kArray, raw<uint32_t>(kArray) + raw<uint64_t>(0)), "key 'k' is an array of arrays"},
      {"same key", with([](GgufBytes& f) { f.key("k", kU8, "x").key("k", kU8, "x"); }), "key 'k' is there twice"},
      {"long key", with([](GgufBytes& f) { f.key(std::string(99, '\n'), 99, ""); }), std::string(80, '?') + "...'"},
      {"alignment 0", with([](GgufBytes& f) { f.key("general.alignment", kU32, raw<uint32_t>(0)); }),
       "key 'general.alignment' is 0, expected a multiple of 8"},
      {"alignment 12", with([](GgufBytes& f) { f.key("general.alignment", kU32, raw<uint32_t>(12)); }),
       "key 'general.alignment' is 12, expected a multiple of 8"},
      {"alignment kind", with([](GgufBytes& f) { f.key("general.alignment", kF32, raw(32.0f)); }),
       "key 'general.alignment' is a real number, expected an integer"},
      {"huge alignment",
       with([&](GgufBytes& f) { f.key("general.alignment", kU64, raw(kHuge / 16 * 8)).tensor("t", {1}, 0, number); }),
       "ends before the data of its tensors"},
      {"no dimensions", tensor({}, 0), "tensor 't' has 0 dimensions, expected 1 to 4"},
      {"dimensions", tensor({1, 1, 1, 1, 1}, 0), "tensor 't' has 5 dimensions, expected 1 to 4"},
      {"empty dimension", tensor({1, 0}, 0), "dimension 1 of tensor 't' is 0, expected 1 to"},
      {"columns", tensor({kHuge}, 0), "dimension 0 of tensor 't' is 18446744073709551615"},
      {"rows", tensor({1, 1ull << 40, 1ull << 40}, 0),
       "dimension 2 of tensor 't' is 1099511627776, expected 1 to 8388607"},
      {"bytes of a row", tensor({1ull << 62}, 0), "expected less than 2^63 bytes"},
      {"bytes", tensor({1ull << 32, 1ull << 32}, 0), "has 4294967296 rows of 4294967296 elements"},
      {"bytes of all rows", tensor({1ull << 31, 1ull << 31}, 0), "expected less than 2^63 bytes"},
      {"type", tensor({256}, 10), "the type of tensor 't' is 10, expected one of 0 (F32), 1 (F16), 2 (Q4_0)"},
      {"blocks", tensor({48}, 3), "tensor 't' has 48 columns, expected whole blocks of 32 (Q4_1)"},
      {"misaligned", tensor({1}, 0, 4), "the offset of tensor 't' is 4, expected a multiple of 32"},
      {"offset", tensor({1}, 0, kHuge - 31), "tensor 't' has 4 bytes at offset 18446744073709551584"},
      {"offset at the end", tensor({1}, 0, 32), "tensor 't' has 4 bytes at offset 32, expected to end in the 4 bytes"},
      {"same tensor", with([&](GgufBytes& f) { f.tensor("t", {1}, 0, number).tensor("t", {1}, 0, number); }),
       "tensor 't' is there twice"},
      {"overlap", with([&](GgufBytes& f) { f.tensor("a", {16}, 0, std::string(64, 'x')).tensor("b", {1}, 0, "", 32); }),
       "tensors 'a' and 'b' overlap"},
  };
}

TEST(Gguf, HostileFieldsAreNamed) {
  for (const Hostile& each : hostile_files()) {
    const std::string said = complaint(each.bytes);
    EXPECT_NE(said.find(each.says), std::string::npos) << each.field << ": " << said << "\nexpected: " << each.says;
    EXPECT_EQ(said.rfind("file: ", 0), 0u) << each.field;
  }
}

}  // namespace
}  // namespace llm::test
