// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/alu/instruction.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>

namespace ptxsim::test {
namespace {

constexpr const char* kHeader = ".version 9.0\n.target sm_90a\n.address_size 64\n";

struct Kind {
  char letter;
  const char* register_type;
  const char* memory_type;
  uint32_t bytes;
};
constexpr Kind kKinds[] = {
    {'c', "b16", "u8", 1},  {'h', "b16", "b16", 2}, {'r', "b32", "b32", 4}, {'d', "b64", "b64", 8},
    {'s', "b32", "b32", 4}, {'p', "pred", "", 4},   {'f', "f32", "f32", 4}, {'e', "f64", "f64", 8},
    {'x', "b16", "b16", 2}, {'y', "b16", "b16", 2}, {'X', "b32", "b32", 4}, {'Y', "b32", "b32", 4},
    {'b', "b16", "b16", 2}, {'q', "b128", "", 16},
};
const Kind& kind_of(char letter) {
  return *std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& kind) { return kind.letter == letter; });
}

/// Words of memory per operand: 128 bits take two.
size_t words_of(const std::string& kinds) {
  return kinds.size() + static_cast<size_t>(std::count(kinds.begin(), kinds.end(), 'q'));
}

/// "$2" becomes "%v2".
std::string with_registers(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '$' ? std::string("%v") : std::string(1, c);
  return out;
}

std::string entry_text(const Case& each, size_t index) {
  const std::string name = "k" + std::to_string(index);
  const size_t in_words = words_of(each.sources), out_words = words_of(each.results);
  std::string text = ".visible .entry " + name + "(.param .u64 " + name + "_out, .param .u64 " + name +
                     "_in)\n{\n.reg .b64 %out, %in, %w0, %w1;\n.reg .b32 %t, %c;\n.reg .b32 %zero;\n.reg .pred %z;\n";
  const std::string kinds = each.results + each.sources;
  for (size_t i = 0; i < kinds.size(); ++i)
    text += std::string(".reg .") + kind_of(kinds[i]).register_type + " %v" + std::to_string(i) + ";\n";
  text += "ld.param.u64 %out, [" + name + "_out];\nld.param.u64 %in, [" + name + "_in];\n";
  text += "mov.u32 %t, %ntid.x;\nmov.u32 %c, %ctaid.x;\nmul.lo.u32 %c, %c, %t;\nmov.u32 %t, %tid.x;\n";
  text += "add.u32 %c, %c, %t;\nmul.wide.u32 %w0, %c, " + std::to_string(8 * in_words) + ";\nadd.u64 %in, %in, %w0;\n";
  text += "mul.wide.u32 %w0, %c, " + std::to_string(8 * out_words) + ";\nadd.u64 %out, %out, %w0;\n";
  size_t at = 0;
  for (size_t i = 0; i < each.sources.size(); ++i) {
    const Kind& kind = kind_of(each.sources[i]);
    const std::string reg = "%v" + std::to_string(each.results.size() + i);
    const std::string from = "[%in+" + std::to_string(8 * at) + "]";
    if (kind.letter == 'p') {
      text += "ld.global.u32 %c, " + from + ";\nsetp.ne.u32 " + reg + ", %c, 0;\n";
    } else if (kind.letter == 'q') {
      text += "ld.global.u64 %w0, " + from + ";\nld.global.u64 %w1, [%in+" + std::to_string(8 * ++at) + "];\n";
      text += "mov.b128 " + reg + ", {%w0, %w1};\n";
    } else {
      text += std::string("ld.global.") + kind.memory_type + " " + reg + ", " + from + ";\n";
    }
    ++at;
  }
  text += with_registers(each.text) + "\n";
  at = 0;
  for (size_t i = 0; i < each.results.size(); ++i) {
    const Kind& kind = kind_of(each.results[i]);
    const std::string reg = "%v" + std::to_string(i);
    const std::string to = "[%out+" + std::to_string(8 * at) + "]";
    if (kind.letter == 'p') {
      text += "selp.u32 %c, 1, 0, " + reg + ";\nst.global.u32 " + to + ", %c;\n";
    } else if (kind.letter == 'q') {
      text += "mov.b128 {%w0, %w1}, " + reg + ";\nst.global.u64 " + to + ", %w0;\nst.global.u64 [%out+" +
              std::to_string(8 * ++at) + "], %w1;\n";
    } else {
      // Results of 8 bits are stored with the 16 of their register, which holds them extended.
      text += std::string("st.global.") + (kind.bytes == 1 ? "b16" : kind.memory_type) + " " + to + ", " + reg + ";\n";
    }
    ++at;
  }
  return text + "ret;\n}\n";
}

// Operands.

const std::vector<uint64_t>& edges(char letter) {
  static const std::vector<uint64_t> bytes = {0, 1, 0x7f, 0x80, 0x81, 0xff};
  static const std::vector<uint64_t> halves = {0, 1, 2, 0x7ffe, 0x7fff, 0x8000, 0x8001, 0xfffe, 0xffff, 0x100, 0xff};
  static const std::vector<uint64_t> words = {0,          1,          2,          0x7ffffffe, 0x7fffffff, 0x80000000,
                                              0x80000001, 0xfffffffe, 0xffffffff, 0x10000,    0xffff};
  static const std::vector<uint64_t> longs = {0,
                                              1,
                                              2,
                                              0x7fffffffffffffff,
                                              0x8000000000000000,
                                              0x8000000000000001,
                                              0xffffffffffffffff,
                                              0xffffffff,
                                              0x100000000,
                                              0x80000000,
                                              0xffffffff80000000};
  static const std::vector<uint64_t> shifts = {0,  1,  7,  8,   15,  16,  17,  31,  32,         33,
                                               63, 64, 65, 127, 128, 255, 256, 257, 0xffffffff, 0x80000000};
  // Zeros, the smallest and largest subnormal and normal numbers, 1 and its neighbours, halves, infinities, NaN.
  static const std::vector<uint64_t> f32 = {0,          0x80000000, 1,          0x80000001, 0x007fffff, 0x807fffff,
                                            0x00800000, 0x80800000, 0x3f800000, 0xbf800000, 0x3f7fffff, 0x3f800001,
                                            0x3f000000, 0xbf000000, 0x3fc00000, 0x40200000, 0x7f7fffff, 0xff7fffff,
                                            0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001, 0x4f000000,
                                            0xcf000000, 0x4f800000, 0x5f000000, 0x4b000001, 0x477ff000, 0x33000000};
  static const std::vector<uint64_t> f64 = {0,
                                            0x8000000000000000,
                                            1,
                                            0x800fffffffffffff,
                                            0x0010000000000000,
                                            0x3ff0000000000000,
                                            0xbff0000000000000,
                                            0x3fe0000000000000,
                                            0x3ff8000000000000,
                                            0x4004000000000000,
                                            0x7fefffffffffffff,
                                            0xffefffffffffffff,
                                            0x7ff0000000000000,
                                            0xfff0000000000000,
                                            0x7ff8000000000000,
                                            0xfff0000000000001,
                                            0x41dfffffffc00000,
                                            0xc1e0000000000000,
                                            0x43e0000000000000,
                                            0xc3e0000000000000,
                                            0x36a0000000000001,
                                            0x47efffffefffffff};
  static const std::vector<uint64_t> f16 = {0,      0x8000, 1,      0x8001, 0x03ff, 0x0400, 0x8400,
                                            0x3c00, 0xbc00, 0x3bff, 0x3c01, 0x3800, 0x3e00, 0x7bff,
                                            0xfbff, 0x7c00, 0xfc00, 0x7e00, 0xfe01, 0x7c01};
  static const std::vector<uint64_t> bf16 = {0,      0x8000, 1,      0x8001, 0x007f, 0x0080, 0x8080,
                                             0x3f80, 0xbf80, 0x3f7f, 0x3f81, 0x3f00, 0x3fc0, 0x7f7f,
                                             0xff7f, 0x7f80, 0xff80, 0x7fc0, 0xffc1, 0x7f81};
  static const std::vector<uint64_t> predicates = {0, 1};
  switch (letter) {
    case 'c': return bytes;
    case 'h':
    case 'b': return halves;
    case 'd':
    case 'q': return longs;
    case 's': return shifts;
    case 'f': return f32;
    case 'e': return f64;
    case 'x':
    case 'X': return f16;
    case 'y':
    case 'Y': return bf16;
    case 'p': return predicates;
    default: return words;
  }
}

uint64_t random_value(char letter, std::mt19937_64& random) {
  const uint64_t bits = random();
  const bool near_one = (random() & 3) != 0;  // three of four real numbers have exponents close to zero
  const uint64_t small_exponent = random() % 12;
  switch (letter) {
    case 'c': return bits & 0xff;
    case 'h':
    case 'b': return bits & 0xffff;
    case 's': return random() % 70;
    case 'p': return bits & 1;
    case 'f': return near_one ? (bits & 0x807fffff) | (121 + small_exponent) << 23 : bits & 0xffffffff;
    case 'e': return near_one ? (bits & 0x800fffffffffffff) | (1017 + small_exponent) << 52 : bits;
    case 'x': return near_one ? (bits & 0x83ff) | (10 + small_exponent) << 10 : bits & 0xffff;
    case 'y': return near_one ? (bits & 0x807f) | (121 + small_exponent) << 7 : bits & 0xffff;
    case 'd':
    case 'q': return (random() & 1) != 0 ? bits : bits >> random() % 64;
    default: return (random() & 1) != 0 ? bits & 0xffffffff : (bits & 0xffffffff) >> random() % 32;
  }
}

uint64_t operand(char letter, size_t lane, size_t place, std::mt19937_64& random) {
  if (letter == 'X' || letter == 'Y') {
    const char half = letter == 'X' ? 'x' : 'y';
    return operand(half, lane, place, random) | operand(half, lane + 3, place, random) << 16;
  }
  const auto& values = edges(letter);
  // The first lanes meet all pairs of edges of two operands, then edges meet random values.
  const size_t pairs = values.size() * values.size();
  if (lane < pairs) return place % 2 == 0 ? values[lane % values.size()] : values[lane / values.size() % values.size()];
  return random() % 8 == 0 ? values[random() % values.size()] : random_value(letter, random);
}

bool is_nan(char kind, uint64_t bits) {
  switch (kind) {
    case 'f': return (bits & 0x7fffffff) > 0x7f800000;
    case 'e': return (bits & ~(uint64_t{1} << 63)) > 0x7ff0000000000000;
    case 'x': return (bits & 0x7fff) > 0x7c00;
    case 'y': return (bits & 0x7fff) > 0x7f80;
    default: return false;
  }
}

bool same(char kind, uint64_t a, uint64_t b) {
  if (kind == 'X' || kind == 'Y') {
    const char half = kind == 'X' ? 'x' : 'y';
    return same(half, a & 0xffff, b & 0xffff) && same(half, a >> 16, b >> 16);
  }
  return a == b || (is_nan(kind, a) && is_nan(kind, b));
}

std::string hex(const Words& words) {
  std::string text;
  for (const uint64_t each : words) {
    char buffer[24];
    std::snprintf(buffer, sizeof buffer, " %llx", static_cast<unsigned long long>(each));
    text += buffer;
  }
  return text;
}

/// 128 bits have two words of the same kind.
std::string word_kinds(const std::string& kinds) {
  std::string out;
  for (const char each : kinds) out += each == 'q' ? std::string("dd") : std::string(1, each);
  return out;
}

Module parse(const std::vector<Case>& cases) {
  const std::string text = module_text(cases);
  // For a look at the text, or to assemble it.
  if (const char* folder = std::getenv("PTXSIM_TEST_TEXT")) {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    std::ofstream(std::string(folder) + "/" + info->test_suite_name() + "." + info->name() + ".ptx") << text;
  }
  Result<Module> module = Module::parse(text, "instructions.ptx");
  EXPECT_TRUE(module.ok()) << module.status().message();
  return module.ok() ? std::move(module).value() : Module();
}

std::vector<Words> launch(const Module& module, const std::string& entry, const Case& each,
                          const std::vector<Words>& sources, const Schedule& schedule) {
  const size_t lanes = sources.size(), out_words = words_of(each.results);
  Words flat;
  for (const Words& lane : sources) flat.insert(flat.end(), lane.begin(), lane.end());
  Device device(schedule);
  const uint64_t out = device.upload_new(Words(lanes * out_words, 0));
  const uint64_t in = device.upload_new(flat);
  LaunchOptions options;
  options.block.x = 128;
  options.grid.x = static_cast<uint32_t>(lanes / 128);
  const auto report = device.launch(module, entry, options, arguments(out, in));
  EXPECT_TRUE(report.ok()) << report.status().message();
  if (report.ok()) {
    EXPECT_TRUE(report.value().clean()) << each.text << "\n" << report.value().text();
  }
  const Words words = device.download_all<uint64_t>(out, lanes * out_words);
  std::vector<Words> results(lanes);
  for (size_t lane = 0; lane < lanes; ++lane) {
    const auto first = words.begin() + static_cast<ptrdiff_t>(lane * out_words);
    results[lane].assign(first, first + static_cast<ptrdiff_t>(out_words));
  }
  return results;
}

}  // namespace

std::string module_text(const std::vector<Case>& cases) {
  std::string text = kHeader;
  for (size_t i = 0; i < cases.size(); ++i) text += entry_text(cases[i], i);
  return text;
}

std::vector<Words> operands(const std::string& kinds, size_t lanes, uint64_t seed) {
  std::mt19937_64 random(seed);
  const std::string letters = word_kinds(kinds);
  std::vector<Words> all(lanes);
  for (size_t lane = 0; lane < lanes; ++lane) {
    for (size_t place = 0; place < letters.size(); ++place)
      all[lane].push_back(operand(letters[place], place < 2 ? lane : lane * 7 + place, place, random));
  }
  return all;
}

std::vector<Words> run(const Case& the_case, const std::vector<Words>& sources, const Schedule& schedule) {
  return launch(parse({the_case}), "k0", the_case, sources, schedule);
}

void check(const std::vector<Case>& cases, const Schedule& schedule) {
  constexpr size_t kLanesPerCase = 2048;
  const Module module = parse(cases);
  ASSERT_FALSE(testing::Test::HasFailure()) << "before the cases ran";
  for (size_t i = 0; i < cases.size(); ++i) {
    const Case& each = cases[i];
    const auto sources = each.inputs.empty() ? operands(each.sources, kLanesPerCase, i + 1) : each.inputs;
    ASSERT_EQ(sources.size() % 128, 0u) << each.text;
    const auto results = launch(module, "k" + std::to_string(i), each, sources, schedule);
    const std::string kinds = word_kinds(each.results);
    int failures = 0;
    for (size_t lane = 0; lane < sources.size() && failures < 3; ++lane) {
      const Words expected = each.expected(sources[lane]);
      ASSERT_EQ(expected.size(), kinds.size()) << each.text;
      bool equal = true;
      for (size_t k = 0; k < kinds.size(); ++k) equal = equal && same(kinds[k], results[lane][k], expected[k]);
      EXPECT_TRUE(equal) << each.text << "\n  operands" << hex(sources[lane]) << "\n  got     " << hex(results[lane])
                         << "\n  expected" << hex(expected);
      failures += equal ? 0 : 1;
    }
  }
}

void expect_refused(const std::string& instruction) {
  const std::string text = std::string(kHeader) +
                           ".visible .entry k()\n{\n.reg .b16 %h<8>;\n.reg .b32 %r<8>;\n.reg .b64 %d<8>;\n"
                           ".reg .f32 %f<8>;\n.reg .f64 %e<8>;\n.reg .pred %p<8>;\n" +
                           instruction + "\nret;\n}\n";
  const Result<Module> module = Module::parse(text, "refused.ptx");
  EXPECT_FALSE(module.ok()) << instruction;
}

}  // namespace ptxsim::test
