// SPDX-License-Identifier: Apache-2.0
#include "sim/golden/families.hpp"

#include <bit>
#include <cstring>

namespace ptxsim::golden {
namespace {

constexpr uint32_t kThreads = 256;

/// Instructions of one lane each: `inputs` words %a0.. (and %f0.. the same bits) in, `outputs` words %d0.. out.
struct Lanewise {
  int inputs = 1, outputs = 1;
  bool reals = false;  ///< inputs are drawn as f32
  Match match = Match::bits;
  float tolerance = 0;
};

void add_lanewise(Random& random, std::vector<Vector>& out, const std::string& name, const std::string& instructions,
                  const Lanewise& shape) {
  std::string body;
  const std::string in_bytes = std::to_string(4 * shape.inputs), out_bytes = std::to_string(4 * shape.outputs);
  body += "  mul.wide.u32 %l0, %thread, " + in_bytes + ";\n  add.s64 %in, %in, %l0;\n";
  body += "  mul.wide.u32 %l0, %thread, " + out_bytes + ";\n  add.s64 %out, %out, %l0;\n";
  for (int i = 0; i < shape.inputs; ++i) {
    const std::string n = std::to_string(i);
    body += "  ld.global.b32 %a" + n + ", [%in+" + std::to_string(4 * i) + "];\n  mov.b32 %f" + n + ", %a" + n + ";\n";
  }
  body += instructions;
  for (int i = 0; i < shape.outputs; ++i)
    body += "  st.global.b32 [%out+" + std::to_string(4 * i) + "], %d" + std::to_string(i) + ";\n";
  Vector vector;
  vector.name = name;
  vector.ptx = kernel_text("", body);
  vector.threads = kThreads;
  vector.match = shape.match;
  vector.tolerance = shape.tolerance;
  const size_t words = static_cast<size_t>(shape.inputs) * kThreads;
  vector.in = shape.reals ? float_words(random, words) : any_words(random, words);
  vector.out.resize(static_cast<size_t>(shape.outputs) * kThreads * 4);
  out.push_back(std::move(vector));
}

/// f32 in, f32 out, at most `ulp` apart.
void make_approximate(Random& random, std::vector<Vector>& out) {
  // Bounds of the PTX ISA, 9.7.3; the simulator rounds correctly, the device errs by as much as it may.
  const std::pair<const char*, float> rows[] = {{"ex2.approx.f32", 2},
                                                {"ex2.approx.ftz.f32", 2},
                                                {"rcp.approx.ftz.f32", 1},
                                                {"sqrt.approx.f32", 4},
                                                {"rsqrt.approx.ftz.f32", 4}};
  for (const auto& [opcode, ulp] : rows)
    add_lanewise(random, out, opcode, std::string("  ") + opcode + " %f4, %f0;\n  mov.b32 %d0, %f4;\n",
                 {1, 1, true, Match::f32_ulp, ulp});
  // Bounded absolutely rather than by the last place.
  for (const char* opcode : {"lg2.approx.ftz.f32", "tanh.approx.f32", "sin.approx.ftz.f32", "cos.approx.ftz.f32"})
    add_lanewise(random, out, opcode,
                 "  mul.f32 %f0, %f0, 0f3F000000;\n  max.f32 %f0, %f0, 0f3A000000;\n  min.f32 %f0, %f0, 0f40400000;\n"
                 "  " +
                     std::string(opcode) + " %f4, %f0;\n  mov.b32 %d0, %f4;\n",
                 {1, 1, true, Match::f32_near, 6e-4f});
}

void make_real(Random& random, std::vector<Vector>& out) {
  for (const char* opcode : {"add", "sub", "mul"}) {
    const std::string rounding = pick(random, {"rn", "rz", "rm", "rp"});
    const std::string name =
        std::string(opcode) + "." + rounding + pick(random, {"", ".ftz"}) + pick(random, {"", ".sat"}) + ".f32";
    add_lanewise(random, out, name, "  " + name + " %f4, %f0, %f1;\n  mov.b32 %d0, %f4;\n", {2, 1, true});
  }
  const std::string fma = std::string("fma.") + pick(random, {"rn", "rz", "rm", "rp"}) + pick(random, {"", ".ftz"}) +
                          pick(random, {"", ".sat"}) + ".f32";
  add_lanewise(random, out, fma, "  " + fma + " %f4, %f0, %f1, %f2;\n  mov.b32 %d0, %f4;\n", {3, 1, true});
  for (const char* opcode : {"min", "max"}) {
    const std::string name = std::string(opcode) + pick(random, {"", ".ftz"}) + pick(random, {"", ".NaN"}) +
                             pick(random, {"", ".xorsign.abs"}) + ".f32";
    add_lanewise(random, out, name, "  " + name + " %f4, %f0, %f1;\n  mov.b32 %d0, %f4;\n", {2, 1, true});
  }
}

void make_half(Random& random, std::vector<Vector>& out) {
  const std::string type = pick(random, {"f16x2", "bf16x2"});
  const std::string fma = "fma.rn." + std::string(pick(random, {"", "relu."})) + type;
  add_lanewise(random, out, fma, "  " + fma + " %d0, %a0, %a1, %a2;\n", {3, 1, false});
  for (const char* opcode : {"min", "max"}) {
    const std::string name = std::string(opcode) + pick(random, {"", ".NaN"}) + "." + type;
    add_lanewise(random, out, name, "  " + name + " %d0, %a0, %a1;\n", {2, 1, false});
  }
}

void make_convert(Random& random, std::vector<Vector>& out) {
  const std::string packed = std::string("cvt.") + pick(random, {"rn", "rz"}) + pick(random, {"", ".relu"}) + "." +
                             pick(random, {"f16x2", "bf16x2"}) + ".f32";
  add_lanewise(random, out, packed, "  " + packed + " %d0, %f0, %f1;\n", {2, 1, true});
  const std::string integer = std::string("cvt.") + pick(random, {"rni", "rzi", "rmi", "rpi"}) +
                              pick(random, {"", ".ftz"}) + "." + pick(random, {"s32", "u32"}) + ".f32";
  add_lanewise(random, out, integer, "  " + integer + " %d0, %f0;\n", {1, 1, true});
  const std::string back =
      std::string("cvt.") + pick(random, {"rn", "rz", "rm", "rp"}) + ".f32." + pick(random, {"s32", "u32"});
  add_lanewise(random, out, back, "  " + back + " %f4, %a0;\n  mov.b32 %d0, %f4;\n", {1, 1, false});
}

void make_convert_fp8(Random& random, std::vector<Vector>& out) {
  for (const char* type : {"e4m3x2", "e5m2x2"}) {
    const std::string narrow = std::string("cvt.rn.satfinite") + pick(random, {"", ".relu"}) + "." + type + ".f32";
    add_lanewise(random, out, narrow, "  " + narrow + " %h0, %f0, %f1;\n  cvt.u32.u16 %d0, %h0;\n", {2, 1, true});
    const std::string from_half = std::string("cvt.rn.satfinite.") + type + ".f16x2";
    add_lanewise(random, out, from_half, "  " + from_half + " %h0, %a0;\n  cvt.u32.u16 %d0, %h0;\n", {1, 1, false});
    const std::string wide = std::string("cvt.rn.f16x2.") + type;
    add_lanewise(random, out, wide, "  cvt.u16.u32 %h0, %a0;\n  " + wide + " %d0, %h0;\n", {1, 1, false});
  }
}

void make_shuffle(Random& random, std::vector<Vector>& out) {
  const std::string mode = pick(random, {"idx", "bfly", "up", "down"});
  const uint32_t segment = pick(random, {0u, 16u, 24u, 28u, 30u}), clamp = static_cast<uint32_t>(random() % 32);
  const std::string c = std::to_string(segment << 8 | (random() % 2 ? clamp : mode == "up" ? 0 : 31));
  const std::string name = "shfl.sync." + mode + ".b32 c=" + c;
  // The source lane differs between lanes, or is one for all.
  const std::string b = random() % 2 ? "%a1" : std::to_string(random() % 33);
  add_lanewise(random, out, name,
               "  and.b32 %a1, %a1, 31;\n  shfl.sync." + mode + ".b32 %d0|%p0, %a0, " + b + ", " + c +
                   ", 0xffffffff;\n  selp.u32 %d1, 1, 0, %p0;\n",
               {2, 2, false});
}

void make_permute(Random& random, std::vector<Vector>& out) {
  const std::string name =
      std::string("prmt.b32") + pick(random, {"", "", "", ".f4e", ".b4e", ".rc8", ".ecl", ".ecr", ".rc16"});
  add_lanewise(random, out, name, "  " + name + " %d0, %a0, %a1, %a2;\n", {3, 1, false});
}

void make_logic(Random& random, std::vector<Vector>& out) {
  const std::string table = std::to_string(random() % 256);
  add_lanewise(random, out, "lop3.b32 " + table, "  lop3.b32 %d0, %a0, %a1, %a2, " + table + ";\n", {3, 1, false});
  const std::string shift =
      std::string("shf.") + pick(random, {"l", "r"}) + "." + pick(random, {"wrap", "clamp"}) + ".b32";
  add_lanewise(random, out, shift, "  and.b32 %a2, %a2, 127;\n  " + shift + " %d0, %a0, %a1, %a2;\n", {3, 1, false});
}

void make_integer(Random& random, std::vector<Vector>& out) {
  const std::string type = pick(random, {"u32", "s32"});
  add_lanewise(random, out, "bfe." + type,
               "  and.b32 %a1, %a1, 63;\n  and.b32 %a2, %a2, 63;\n  bfe." + type + " %d0, %a0, %a1, %a2;\n",
               {3, 1, false});
  add_lanewise(random, out, "bfi.b32",
               "  and.b32 %a2, %a2, 63;\n  and.b32 %a3, %a3, 63;\n  bfi.b32 %d0, %a0, %a1, %a2, %a3;\n", {4, 1, false});
  const std::string find = std::string("bfind") + pick(random, {"", ".shiftamt"}) + "." + type;
  add_lanewise(random, out, find, "  shr." + type + " %a0, %a0, 7;\n  " + find + " %d0, %a0;\n", {1, 1, false});
  add_lanewise(random, out, "mul.hi." + type, "  mul.hi." + type + " %d0, %a0, %a1;\n", {2, 1, false});
  const std::string dot = "dp4a." + type + "." + pick(random, {"u32", "s32"});
  add_lanewise(random, out, dot, "  " + dot + " %d0, %a0, %a1, %a2;\n", {3, 1, false});
  add_lanewise(random, out, "sad." + type, "  sad." + type + " %d0, %a0, %a1, %a2;\n", {3, 1, false});
}

void make_compare(Random& random, std::vector<Vector>& out) {
  const std::string relation =
      pick(random, {"eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"});
  const std::string name = "setp." + relation + pick(random, {"", ".ftz"}) + ".f32";
  add_lanewise(random, out, name, "  " + name + " %p0, %f0, %f1;\n  selp.u32 %d0, 1, 0, %p0;\n", {2, 1, true});
}

void make_warp(Random& random, std::vector<Vector>& out) {
  const std::string redux =
      std::string("redux.sync.") + pick(random, {"add.u32", "min.s32", "max.u32", "and.b32", "or.b32", "xor.b32"});
  add_lanewise(random, out, redux, "  " + redux + " %d0, %a0, 0xffffffff;\n", {1, 1, false});
  add_lanewise(random, out, "match.any.sync.b32",
               "  and.b32 %a0, %a0, 7;\n  match.any.sync.b32 %d0, %a0, 0xffffffff;\n", {1, 1, false});
  add_lanewise(random, out, "vote.sync.ballot.b32",
               "  setp.lt.s32 %p0, %a0, 0;\n  vote.sync.ballot.b32 %d0, %p0, 0xffffffff;\n", {1, 1, false});
}

constexpr Family kFamilies[] = {
    {"approximate", "ex2 rcp sqrt rsqrt lg2 tanh sin cos, within their documented error", make_approximate},
    {"real", "add sub mul fma min max of f32 with rounding, ftz, sat, NaN", make_real},
    {"half", "fma min max of f16x2 and bf16x2", make_half},
    {"convert", "cvt between f32, integers and packed halves", make_convert},
    {"fp8", "cvt from and to e4m3x2 and e5m2x2", make_convert_fp8},
    {"shuffle", "shfl.sync in all modes, segments and clamps", make_shuffle},
    {"permute", "prmt in all modes", make_permute},
    {"logic", "lop3 of any table, funnel shifts", make_logic},
    {"integer", "bfe bfi bfind mul.hi dp4a sad", make_integer},
    {"compare", "setp of f32, ordered and unordered", make_compare},
    {"warp", "redux match vote", make_warp},
    {"ldmatrix", "ldmatrix x1 x2 x4, transposed or not", make_ldmatrix},
    {"stmatrix", "stmatrix x1 x2 x4, transposed or not", make_stmatrix},
    {"mbarrier", "phases and parities under arrivals and transactions", make_mbarrier},
    {"tensor_copy", "tensor loads: swizzles, boxes across the edge, fill, strides of elements", make_tensor_copy},
    {"tensor_store", "tensor stores and reductions: swizzles, boxes across the edge", make_tensor_store},
    {"wgmma", "operand layouts: types, N, swizzles, major-ness, offsets of descriptors", make_wgmma},
    {"fp8_sum", "how wgmma adds up products of 8-bit floats (see `replay --exact`)", make_wgmma_sum},
};

}  // namespace

std::string kernel_text(const std::string& shared, const std::string& body, bool has_map) {
  return std::string(R"(.version 8.0
.target sm_90a
.address_size 64
.visible .entry k(.param .u64 k_out, .param .u64 k_in)") +
         (has_map ? ", .param .align 64 .b8 k_map[128]" : "") + ")\n{\n" + shared +
         R"(  .reg .b32 %a<8>, %d<8>, %thread;
  .reg .f32 %f<8>;
  .reg .b16 %h<8>;
  .reg .b64 %l<8>, %out, %in;
  .reg .pred %p<8>;
  ld.param.u64 %out, [k_out];
  ld.param.u64 %in, [k_in];
  mov.u32 %thread, %tid.x;
)" + body +
         "  ret;\n}\n";
}

std::vector<std::byte> any_words(Random& random, size_t count) {
  std::vector<std::byte> bytes(count * 4);
  for (size_t at = 0; at < bytes.size(); at += 4) {
    const uint32_t word = static_cast<uint32_t>(random());
    std::memcpy(bytes.data() + at, &word, 4);
  }
  return bytes;
}

std::vector<std::byte> float_words(Random& random, size_t count) {
  constexpr uint32_t kEdges[] = {0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000,
                                 0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x3f000000, 0x40200000,
                                 0x43e00000, 0xc3e80000, 0x477fe000, 0x47800000, 0x38800000, 0x33800000, 0x4effffff,
                                 0x4f000000, 0xcf000000, 0x3c800000, 0x3b000000};
  std::vector<std::byte> bytes(count * 4);
  for (size_t at = 0; at < bytes.size(); at += 4) {
    uint32_t word = 0;
    switch (random() % 4) {
      case 0: word = kEdges[random() % std::size(kEdges)]; break;
      case 1: word = static_cast<uint32_t>(random()); break;
      // A few significant bits and an exponent near 0: ties of narrower formats.
      case 2: word = static_cast<uint32_t>((random() & 0x80fff000) | ((120 + random() % 20) << 23)); break;
      default:
        word = std::bit_cast<uint32_t>(static_cast<float>(std::normal_distribution<double>(0, 4)(random)));
        break;
    }
    std::memcpy(bytes.data() + at, &word, 4);
  }
  return bytes;
}

std::vector<std::pair<std::string, std::string>> families() {
  std::vector<std::pair<std::string, std::string>> out;
  for (const Family& family : kFamilies) out.emplace_back(family.name, family.about);
  return out;
}

std::vector<Vector> make_vectors(const std::string& family, uint64_t seed) {
  constexpr int kRounds = 4;
  std::vector<Vector> out;
  for (const Family& each : kFamilies) {
    if (std::string_view(each.name).find(family) == std::string_view::npos) continue;
    // A family's vectors do not depend on which others are asked for.
    Random random(seed * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(&each - kFamilies));
    for (int round = 0; round < kRounds; ++round) {
      const size_t first = out.size();
      each.make(random, out);
      for (size_t i = first; i < out.size(); ++i) out[i].name = std::string(each.name) + ": " + out[i].name;
    }
  }
  return out;
}

}  // namespace ptxsim::golden
