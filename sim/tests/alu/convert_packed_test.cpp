// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/tests/alu/convert.hpp"

// cvt to and from narrow formats: halves with .relu and .satfinite, pairs of halves and of 8-bit floats, tf32;
// cvt.pack.
namespace ptxsim::test {
namespace {

using Real = long double;

struct Narrow {
  std::string name;
  Grid grid;
  int bits;
  char kind, packed_kind;
  uint32_t nan;
};
const Narrow kHalf{"f16", kF16, 16, 'x', 'X', 0x7fff}, kBrain{"bf16", kBf16, 16, 'y', 'Y', 0x7fff};
const Narrow kFloat8e4{"e4m3", kE4m3, 8, 'c', 'b', 0x7f}, kFloat8e5{"e5m2", kE5m2, 8, 'c', 'b', 0x7f};

struct Form {
  std::string modifiers;
  int mode;
  bool satfinite, relu;
};
std::vector<Form> forms_of(const Narrow& format) {
  const bool byte = format.bits == 8;
  std::vector<Form> out;
  for (const int mode : {kNearest, kZero})
    for (const bool satfinite : {false, true})
      for (const bool relu : {false, true}) {
        if (byte && (mode == kZero || !satfinite)) continue;
        const std::string rounding = mode == kZero ? ".rz" : ".rn";
        out.push_back(
            {rounding + (byte ? ".satfinite" : "") + (relu ? ".relu" : "") + (satfinite && !byte ? ".satfinite" : ""),
             mode, satfinite, relu});
      }
  return out;
}

uint32_t narrowed(const Narrow& format, const Form& form, Real x) {
  Real y = on_grid(x, format.grid, form.mode, form.satfinite);
  if (form.relu && !std::isnan(y) && std::signbit(y)) y = 0;
  return bits_on_grid(y, format.grid, format.nan);
}

std::vector<Words> floats_for(const Narrow& format, size_t operands_per_lane) {
  std::vector<Words> out = operands(std::string(operands_per_lane, 'f'), 1024, 1);
  std::vector<std::vector<uint64_t>> hard;
  for (size_t i = 0; i < operands_per_lane; ++i) hard.push_back(hard_to_round<float>(format.grid, 4096, i + 2));
  for (size_t lane = 0; lane < hard[0].size(); ++lane) {
    Words words;
    for (const auto& each : hard) words.push_back(each[lane]);
    out.push_back(words);
  }
  return out;
}

TEST(alu_convert_packed, halves_with_relu_and_satfinite) {
  std::vector<Case> cases;
  for (const Narrow& format : {kHalf, kBrain})
    for (const Form& form : forms_of(format))
      cases.push_back({"cvt" + form.modifiers + "." + format.name + ".f32 $0, $1;", std::string(1, format.kind), "f",
                       [=](const Words& in) { return Words{narrowed(format, form, as<float>(in[0]))}; },
                       floats_for(format, 1)});
  check(cases);
}

TEST(alu_convert_packed, the_first_source_is_the_upper_part) {
  std::vector<Case> cases;
  for (const Narrow& format : {kHalf, kBrain, kFloat8e4, kFloat8e5})
    for (const Form& form : forms_of(format))
      cases.push_back({"cvt" + form.modifiers + "." + format.name + "x2.f32 $0, $1, $2;",
                       std::string(1, format.packed_kind), "ff",
                       [=](const Words& in) {
                         return Words{narrowed(format, form, as<float>(in[0])) << format.bits |
                                      narrowed(format, form, as<float>(in[1]))};
                       },
                       floats_for(format, 2)});
  check(cases);
}

/// Every f16 in the lower part, others in the upper.
std::vector<Words> all_halves_in_pairs() {
  std::vector<Words> out;
  for (uint64_t half = 0; half < 65536; ++half) out.push_back({(half * 40503 & 0xffff) << 16 | half});
  return out;
}

TEST(alu_convert_packed, every_f16_to_8_bits) {
  std::vector<Case> cases;
  for (const Narrow& format : {kFloat8e4, kFloat8e5})
    for (const Form& form : forms_of(format))
      cases.push_back({"cvt" + form.modifiers + "." + format.name + "x2.f16x2 $0, $1;", "b", "X",
                       [=](const Words& in) {
                         return Words{narrowed(format, form, f16_value(in[0] >> 16)) << 8 |
                                      narrowed(format, form, f16_value(in[0] & 0xffff))};
                       },
                       all_halves_in_pairs()});
  check(cases);
}

TEST(alu_convert_packed, every_pair_of_8_bit_floats_to_f16) {
  std::vector<Case> cases;
  for (const bool e4m3 : {true, false})
    for (const bool relu : {false, true}) {
      const auto half = [=](uint64_t bits) {
        const Real x = e4m3 ? e4m3_value(bits) : e5m2_value(bits);
        return bits_on_grid(relu && !std::isnan(x) && std::signbit(x) ? 0 : x, kF16, 0x7fff);
      };
      cases.push_back(
          {std::string("cvt.rn") + (relu ? ".relu" : "") + ".f16x2." + (e4m3 ? "e4m3x2" : "e5m2x2") + " $0, $1;", "X",
           "b", [=](const Words& in) { return Words{uint64_t{half(in[0] >> 8 & 0xff)} << 16 | half(in[0] & 0xff)}; },
           all_words(16)});
    }
  check(cases);
}

TEST(alu_convert_packed, tf32) {
  const Narrow format{"tf32", kTf32, 19, 'r', 'r', 0x3ffff};
  std::vector<Case> cases;
  for (const Form& form : {Form{".rna", kAway, false, false}, Form{".rna.satfinite", kAway, true, false},
                           Form{".rn", kNearest, false, false}, Form{".rn.relu", kNearest, false, true},
                           Form{".rz", kZero, false, false}, Form{".rz.relu", kZero, false, true}})
    cases.push_back({"cvt" + form.modifiers + ".tf32.f32 $0, $1;", "r", "f",
                     [=](const Words& in) {
                       const float x = as<float>(in[0]);
                       if (std::isnan(x)) return Words{0x7fffffff};
                       return Words{uint64_t{narrowed(format, form, x)} << 13};
                     },
                     floats_for(format, 1)});
  check(cases);
}

TEST(alu_convert_packed, integers_into_fields) {
  std::vector<Case> cases;
  for (const int bits : {16, 8, 4, 2})
    for (const bool is_signed : {false, true}) {
      const int64_t low = is_signed ? -(int64_t{1} << (bits - 1)) : 0,
                    high = (int64_t{1} << (is_signed ? bits - 1 : bits)) - 1;
      const auto field = [=](uint64_t word) {
        const int64_t x = std::clamp<int64_t>(as<int32_t>(word), low, high);
        return static_cast<uint64_t>(x) & ((uint64_t{1} << bits) - 1);
      };
      const std::string type = (is_signed ? ".s" : ".u") + std::to_string(bits);
      std::vector<Words> in = operands("rrr", 1024, 1);
      std::mt19937_64 random(1);
      for (int lane = 0; lane < 1024; ++lane) {  // around the limits
        Words words;
        for (int i = 0; i < 3; ++i)
          words.push_back(
              word(static_cast<int32_t>(random() % 4 == 0 ? high : low) + static_cast<int32_t>(random() % 7) - 3));
        in.push_back(words);
      }
      if (bits == 16) {
        cases.push_back({"cvt.pack.sat" + type + ".s32 $0, $1, $2;", "r", "rrr",
                         [=](const Words& each) { return Words{field(each[0]) << 16 | field(each[1])}; }, in});
      } else {
        cases.push_back({"cvt.pack.sat" + type + ".s32.b32 $0, $1, $2, $3;", "r", "rrr",
                         [=](const Words& each) {
                           const uint64_t earlier = each[2] << 2 * bits;
                           return Words{(earlier | field(each[0]) << bits | field(each[1])) & 0xffffffff};
                         },
                         in});
      }
    }
  check(cases);
}

TEST(alu_convert_packed, refuses_what_is_not_ptx) {
  for (const char* text :
       {"cvt.bf16x2.f32 %r0, %f1, %f2;", "cvt.rm.f16x2.f32 %r0, %f1, %f2;", "cvt.rn.f16x2.f32 %r0, %f1;",
        "cvt.rn.e4m3x2.f32 %h0, %f1, %f2;", "cvt.rz.satfinite.e4m3x2.f32 %h0, %f1, %f2;",
        "cvt.rn.satfinite.f16x2.e4m3x2 %r0, %h1;", "cvt.rn.satfinite.e4m3.f32 %h0, %f1;",
        "cvt.rn.satfinite.e2m1x2.f32 %h0, %f1, %f2;", "cvt.tf32.f32 %r0, %f1;", "cvt.rn.satfinite.tf32.f32 %r0, %f1;",
        "cvt.rna.relu.tf32.f32 %r0, %f1;", "cvt.rs.f16x2.f32 %r0, %f1, %f2, %r1;",
        "cvt.pack.u8.s32.b32 %r0, %r1, %r2, %r3;", "cvt.pack.sat.u16.s32.b32 %r0, %r1, %r2, %r3;",
        "cvt.pack.sat.u8.s32 %r0, %r1, %r2;", "cvt.pack.sat.u32.s32 %r0, %r1, %r2;"})
    expect_refused(text);
}

}  // namespace
}  // namespace ptxsim::test
