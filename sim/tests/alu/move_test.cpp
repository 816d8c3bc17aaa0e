// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "sim/tests/alu/instruction.hpp"
#include "sim/tests/support/run.hpp"

// mov in its forms, prmt, cvta and isspacep.
namespace ptxsim::test {
namespace {

using U = uint32_t;

TEST(alu_move, copies_of_all_types) {
  std::vector<Case> cases;
  const std::pair<const char*, const char*> types[] = {{"pred", "p"}, {"b16", "h"}, {"u16", "h"}, {"s16", "h"},
                                                       {"b32", "r"},  {"u32", "r"}, {"s32", "r"}, {"f32", "f"},
                                                       {"b64", "d"},  {"u64", "d"}, {"s64", "d"}, {"f64", "e"}};
  for (const auto& [type, kind] : types)
    cases.push_back({std::string("mov.") + type + " $0, $1;", kind, kind, [](const Words& in) { return in; }});
  cases.push_back({"mov.b128 $0, $1;", "q", "q", [](const Words& in) { return in; }});
  check(cases);
}

TEST(alu_move, immediates) {
  const auto constant = [](const std::string& text, const std::string& kind, uint64_t value) {
    return Case{"mov." + text + ";", kind, "r", [=](const Words&) { return Words{value}; }};
  };
  check({
      constant("u16 $0, 0xffff", "h", 0xffff),
      constant("s16 $0, -2", "h", 0xfffe),
      constant("u32 $0, 4294967295U", "r", 0xffffffff),
      constant("b32 $0, 0b1010", "r", 10),
      constant("u32 $0, 017", "r", 15),
      constant("s32 $0, -2147483648", "r", 0x80000000),
      constant("u64 $0, 0xfedcba9876543210", "d", 0xfedcba9876543210),
      constant("s64 $0, -1", "d", ~uint64_t{0}),
      constant("f32 $0, 0f3F8CCCCD", "f", 0x3f8ccccd),
      constant("f32 $0, 1.5", "f", word(1.5f)),
      constant("f64 $0, 0d3FF199999999999A", "e", 0x3ff199999999999a),
      constant("f64 $0, -2.5e3", "e", word(-2500.0)),
      constant("pred $0, 1", "p", 1),
      constant("u32 $0, (1 << 5) | 3 ? 7 + 2 * 3 : 0", "r", 13),
  });
}

/// The parts of a whole, the least significant one first.
Words parts_of(const Words& whole, size_t part_bytes) {
  uint8_t bytes[16] = {};
  for (size_t i = 0; i < 16 && i < 8 * whole.size(); ++i) bytes[i] = static_cast<uint8_t>(whole[i / 8] >> 8 * (i % 8));
  Words out;
  for (size_t at = 0; at < 16; at += part_bytes) {
    uint64_t part = 0;
    for (size_t i = 0; i < part_bytes; ++i) part |= uint64_t{bytes[at + i]} << 8 * i;
    out.push_back(part);
  }
  return out;
}

TEST(alu_move, packs_and_unpacks) {
  struct Form {
    const char* type;
    char whole;
    size_t bytes;
    char part;
    size_t parts;
  };
  std::vector<Case> cases;
  for (const Form& form : {Form{"b32", 'r', 4, 'h', 2}, Form{"b64", 'd', 8, 'r', 2}, Form{"b64", 'd', 8, 'h', 4},
                           Form{"b128", 'q', 16, 'd', 2}, Form{"b128", 'q', 16, 'r', 4}}) {
    const size_t part_bytes = form.bytes / form.parts;
    const std::string whole(1, form.whole), parts(form.parts, form.part);
    const auto list = [&](size_t first) {
      std::string text = "{";
      for (size_t i = 0; i < form.parts; ++i) text += (i == 0 ? "$" : ", $") + std::to_string(first + i);
      return text + "}";
    };
    cases.push_back({std::string("mov.") + form.type + " $0, " + list(1) + ";", whole, parts, [=](const Words& in) {
                       Words out(form.bytes == 16 ? 2 : 1, 0);
                       for (size_t i = 0; i < in.size(); ++i) {
                         const size_t at = i * part_bytes;
                         out[at / 8] |= in[i] << 8 * (at % 8);
                       }
                       return out;
                     }});
    cases.push_back({std::string("mov.") + form.type + " " + list(0) + ", $" + std::to_string(form.parts) + ";", parts,
                     whole, [=](const Words& in) {
                       Words out = parts_of(in, part_bytes);
                       out.resize(form.parts);
                       return out;
                     }});
  }
  // A part that is not wanted, and a whole that is overwritten by its parts.
  cases.push_back({"mov.b64 {_, $0}, $1;", "r", "d", [](const Words& in) { return Words{in[0] >> 32}; }});
  cases.push_back({"mov.b32 {$0, _}, $1;", "h", "r", [](const Words& in) { return Words{in[0] & 0xffff}; }});
  cases.push_back({"mov.b64 $0, {$2, $1};", "d", "rr", [](const Words& in) { return Words{in[0] << 32 | in[1]}; }});
  check(cases);
}

U byte_of(U a, U b, U index) { return ((index & 4) != 0 ? b : a) >> 8 * (index & 3) & 0xff; }

TEST(alu_move, permutes_bytes) {
  std::vector<Case> cases;
  const auto by_selector = [](U a, U b, U c) {
    U out = 0;
    for (U i = 0; i < 4; ++i) {
      const U nibble = c >> 4 * i & 15, byte = byte_of(a, b, nibble & 7);
      out |= ((nibble & 8) != 0 ? (byte >= 0x80 ? 0xffu : 0u) : byte) << 8 * i;
    }
    return out;
  };
  cases.push_back(map<U, U, U, U>("prmt.b32 $0, $1, $2, $3;", "r", "rrr", by_selector));
  for (const U selector :
       {0x3210u, 0x5410u, 0x7632u, 0x0123u, 0x4444u, 0xba98u, 0xfedcu, 0x8080u, 0x1b3du, 0x12345432u})
    cases.push_back(map<U, U, U>("prmt.b32 $0, $1, $2, " + std::to_string(selector) + ";", "r", "rr",
                                 [=](U a, U b) { return by_selector(a, b, selector); }));
  // The byte of (b, a) that byte i of the result is, by the two low bits of c.
  const std::pair<const char*, U (*)(U, U)> modes[] = {{"f4e", [](U i, U c) { return c + i; }},
                                                       {"b4e", [](U i, U c) { return (8 + c - i) % 8; }},
                                                       {"rc8", [](U, U c) { return c; }},
                                                       {"ecl", [](U i, U c) { return i > c ? i : c; }},
                                                       {"ecr", [](U i, U c) { return i < c ? i : c; }},
                                                       {"rc16", [](U i, U c) { return (c & 1) * 2 + (i & 1); }}};
  for (const auto& [name, index] : modes) {
    const auto expected = [index = index](U a, U b, U c) {
      U out = 0;
      for (U i = 0; i < 4; ++i) out |= byte_of(a, b, index(i, c & 3)) << 8 * i;
      return out;
    };
    cases.push_back(map<U, U, U, U>(std::string("prmt.b32.") + name + " $0, $1, $2, $3;", "r", "rrr", expected));
    for (U c = 0; c < 4; ++c)
      cases.push_back(map<U, U, U>(std::string("prmt.b32.") + name + " $0, $1, $2, " + std::to_string(c) + ";", "r",
                                   "rr", [=](U a, U b) { return expected(a, b, c); }));
  }
  check(cases);
}

/// Generic addresses of something in each state space, as bits of a result: what isspacep says of each, and whether a
/// way there and back leads to the same address.
TEST(alu_move, windows_of_state_spaces) {
  const std::string body = R"(
  .reg .b64 %shared, %local, %global, %const, %param, %back;
  .reg .b32 %bits, %bit, %at;
  .reg .pred %p;
  .local .align 4 .b8 here[16];
  mov.u64 %shared, tile;   cvta.shared.u64 %shared, %shared;
  mov.u64 %local, here;    cvta.local.u64 %local, %local;
  mov.u64 %const, table;   cvta.const.u64 %const, %const;
  mov.u64 %global, word;   cvta.global.u64 %global, %global;
  mov.u64 %param, k_in;    cvta.param.u64 %param, %param;
)";
  const std::string spaces[] = {"global", "shared", "local", "const", "param"};
  std::string tests;
  std::vector<uint32_t> expected;
  for (size_t address = 0; address < 5; ++address) {
    tests += "  mov.u32 %bits, 0;\n";
    for (size_t space = 0; space < 5; ++space)
      tests += "  isspacep." + spaces[space] + " %p, %" + spaces[address] + ";\n  selp.u32 %bit, " +
               std::to_string(1u << space) + ", 0, %p;\n  or.b32 %bits, %bits, %bit;\n";
    tests += "  cvta.to." + spaces[address] + ".u64 %back, %" + spaces[address] + ";\n  cvta." + spaces[address] +
             ".u64 %back, %back;\n  setp.eq.u64 %p, %back, %" + spaces[address] +
             ";\n  selp.u32 %bit, 0x100, 0, %p;\n  or.b32 %bits, %bits, %bit;\n";
    tests += "  st.global.u32 [%rd_out+" + std::to_string(4 * address) + "], %bits;\n";
    expected.push_back(0x100 | 1u << address);
  }
  // What the generic addresses name.
  tests += R"(
  mov.u32 %at, 5;   st.shared.u32 [tile], %at;     ld.u32 %bits, [%shared];  st.global.u32 [%rd_out+20], %bits;
  mov.u32 %at, 6;   st.u32 [%local], %at;          ld.local.u32 %bits, [here]; st.global.u32 [%rd_out+24], %bits;
  ld.u32 %bits, [%const];                          st.global.u32 [%rd_out+28], %bits;
  mov.u32 %at, 8;   st.u32 [%global], %at;         ld.global.u32 %bits, [word]; st.global.u32 [%rd_out+32], %bits;
  ret;)";
  expected.insert(expected.end(), {5, 6, 7, 8});
  const Module module =
      kernel_of(body + tests,
                ".shared .align 4 .b8 tile[16];\n.const .align 4 .b32 table[1] = {7};\n.global .align 4 .u32 word;\n");
  expect_clean(module, block_of(1), expected, 1);
}

TEST(alu_move, shared_windows_of_a_cluster) {
  const Module module = kernel_of(R"(
  .reg .b64 %own, %other, %mapped;
  .reg .b32 %rank, %peer, %bits, %bit;
  .reg .pred %p;
  mov.u32 %rank, %cluster_ctarank;
  xor.b32 %peer, %rank, 1;
  mov.u64 %own, tile;
  cvta.shared.u64 %own, %own;
  mapa.u64 %mapped, %own, %rank;
  mapa.u64 %other, %own, %peer;
  isspacep.shared::cta %p, %own;          selp.u32 %bits, 1, 0, %p;
  isspacep.shared::cta %p, %mapped;       selp.u32 %bit, 2, 0, %p;   or.b32 %bits, %bits, %bit;
  isspacep.shared::cta %p, %other;        selp.u32 %bit, 4, 0, %p;   or.b32 %bits, %bits, %bit;
  isspacep.shared::cluster %p, %other;    selp.u32 %bit, 8, 0, %p;   or.b32 %bits, %bits, %bit;
  mul.wide.u32 %other, %rank, 4;
  add.u64 %other, %other, %rd_out;
  st.global.u32 [%other], %bits;
  ret;)",
                                  ".shared .align 4 .b8 tile[16];\n");
  LaunchOptions options = block_of(1);
  options.grid.x = options.cluster.x = 2;
  expect_clean(module, options, {11, 11}, 1);
}

TEST(alu_move, refuses_what_is_not_ptx) {
  for (const char* text :
       {"mov.u8 %h0, %h1;", "mov.b32 %r0, %d1;", "mov.f16 %h0, %h1;", "mov.b64 %d0, {%r0, %r1, %r2, %r3};",
        "mov.b32 {%r0, %r1}, %r2;", "mov.b64 %d0, {%h0, %h1};", "prmt.u32 %r0, %r1, %r2, %r3;",
        "prmt.b32.f5e %r0, %r1, %r2, %r3;", "isspacep.texture %p0, %d1;", "isspacep.shared %r0, %d1;",
        "cvta.to.generic.u64 %d0, %d1;", "cvta.shared.u32 %d0, %d1;", "mov.pred %p0, %r1;", "mov.u32 %r0, nowhere;"})
    expect_refused(text);
}

}  // namespace
}  // namespace ptxsim::test
