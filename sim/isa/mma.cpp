// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>

#include "sim/isa/decode.hpp"
#include "sim/isa/matrix_elements.hpp"
#include "sim/isa/mma_quad_pairs.hpp"
#include "sim/machine/machine.hpp"

// PTX ISA, "Warp-level matrix instructions": mma.sync.
namespace ptxsim {
namespace {

/// Inst::detail of mma. Operands: the registers of D, A, B, C. Matrices with 8 rows are the upper half of one with 16.
struct MmaForm {
  uint32_t m = 16, k = 16;
  Type d = Type::f32, a = Type::f16, b = Type::f16;
  bool satfinite = false;
  uint32_t d_registers = 4, a_registers = 4, b_registers = 2;
};

constexpr uint32_t kMaxK = 32;

void begin_mma(const Step& s, uint64_t multiply_adds) {
  if (s.mask != kAllLanes)
    s.fault(HazardId::H20, "mma needs all 32 lanes of the warp, lanes " + lane_list(s.mask) + " run it");
  ++s.machine.counts().matrix_instructions;
  s.machine.counts().multiply_adds += multiply_adds;
}

const std::byte* words(const Step& s, uint32_t operand) {
  return s.registers + size_t{s.operands[operand].slot} * kLanes * 4;
}

Outcome mma(Step& s) {
  const auto& form = *static_cast<const MmaForm*>(s.inst.detail);
  begin_mma(s, uint64_t{form.m} * 8 * form.k);
  alignas(64) std::array<float, kMaxK * 64> a;
  alignas(64) std::array<float, kMaxK * 8> b;
  alignas(64) std::array<float, 4 * kLanes> image{};
  if (form.m == 8) std::fill_n(a.data(), form.k * 64, 0.0f);
  const uint32_t a_first = form.d_registers, b_first = a_first + form.a_registers, c_first = b_first + form.b_registers;
  matrix_element(form.a).a_from_registers({s.registers, s.operands + a_first, form.a_registers, form.m, form.k}, 1.0f,
                                          a.data());
  matrix_element(form.b).b_from_registers({s.registers, s.operands + b_first, form.b_registers, 8, form.k}, b.data());
  for (uint32_t i = 0; i < form.d_registers; ++i)
    std::memcpy(image.data() + i * kLanes, words(s, c_first + i), kLanes * 4);
  accumulate({1, 8, form.k, a.data(), b.data(), nullptr}, form.d, form.satfinite,
             product_mode(s.machine.schedule().accumulate, is_float8(form.a)), image.data());
  for (uint32_t i = 0; i < form.d_registers; ++i)
    if (!s.sink(static_cast<int>(i)))
      std::memcpy(s.lanes<uint32_t>(static_cast<int>(i)).data(), image.data() + i * kLanes, kLanes * 4);
  return Outcome::next;
}

/// f64: the same layout with one element per register.
Outcome mma_f64(Step& s) {
  const auto& form = *static_cast<const MmaForm*>(s.inst.detail);
  begin_mma(s, uint64_t{form.m} * 8 * form.k);
  std::array<std::array<double, 16>, 16> a{};  // [row][k]
  std::array<std::array<double, 8>, 16> b{};   // [k][column]
  std::array<std::array<double, kLanes>, 4> d{};
  const uint32_t halves = form.m / 8;
  const uint32_t a_first = form.d_registers, b_first = a_first + form.a_registers, c_first = b_first + form.b_registers;
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    const uint32_t g = lane / 4, t = lane % 4;
    for (uint32_t j = 0; j < form.a_registers; ++j)
      a[g + 8 * (j % halves)][t + 4 * (j / halves)] = s.lanes<double>(static_cast<int>(a_first + j))[lane];
    for (uint32_t j = 0; j < form.b_registers; ++j)
      b[t + 4 * j][g] = s.lanes<double>(static_cast<int>(b_first + j))[lane];
    for (uint32_t i = 0; i < form.d_registers; ++i) d[i][lane] = s.lanes<double>(static_cast<int>(c_first + i))[lane];
  }
  for (uint32_t i = 0; i < form.d_registers; ++i) {
    auto to = s.lanes<double>(static_cast<int>(i));
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      double sum = d[i][lane];
      for (uint32_t k = 0; k < form.k; ++k)
        sum = std::fma(a[lane / 4 + 8 * (i / 2)][k], b[k][lane % 4 * 2 + i % 2], sum);
      if (!s.sink(static_cast<int>(i))) to.set(lane, sum);
    }
  }
  return Outcome::next;
}

/// m8n8k4 of f16: imm[0] and imm[1] say which of A and B are column-major, imm[2] and imm[3] which of D and C are f16.
Outcome mma_quad_pairs(Step& s) {
  begin_mma(s, 4 * 8 * 8 * 4);
  const bool d_half = s.inst.imm[2] != 0, c_half = s.inst.imm[3] != 0;
  const uint32_t a_first = d_half ? 4 : 8, b_first = a_first + 2, c_first = b_first + 2;
  std::array<QuadPair, 4> pairs;
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    QuadPair& pair = pairs[lane / 4 % 4];
    const auto word = [&](uint32_t operand) { return s.lanes<uint32_t>(static_cast<int>(operand))[lane]; };
    pair.set_a(lane, s.inst.imm[0] != 0, {word(a_first), word(a_first + 1)});
    pair.set_b(lane, s.inst.imm[1] != 0, {word(b_first), word(b_first + 1)});
    for (uint32_t i = 0; i < (c_half ? 4u : 8u); ++i) pair.set_c(lane, c_half, i, word(c_first + i));
  }
  for (QuadPair& pair : pairs) pair.multiply(product_mode(s.machine.schedule().accumulate, false));
  for (uint32_t i = 0; i < a_first; ++i) {
    if (s.sink(static_cast<int>(i))) continue;
    auto d = s.lanes<uint32_t>(static_cast<int>(i));
    for (uint32_t lane = 0; lane < kLanes; ++lane) d.set(lane, pairs[lane / 4 % 4].d(lane, d_half, i));
  }
  return Outcome::next;
}

struct Shape {
  const char* name;
  uint32_t m, k;
};
constexpr std::array kShapes = {Shape{"m8n8k4", 8, 4},   Shape{"m8n8k16", 8, 16},   Shape{"m16n8k4", 16, 4},
                                Shape{"m16n8k8", 16, 8}, Shape{"m16n8k16", 16, 16}, Shape{"m16n8k32", 16, 32}};

Shape decode_shape(Decode& d) {
  for (const Shape& shape : kShapes)
    if (d.flag(shape.name)) return shape;
  d.unsupported("shape ." + std::string(d.peek()) + " (elements below 8 bits) is not simulated");
}

/// Which shapes a type has: m16n8 with 16 or 32 bytes along k, and some of m8n8.
bool has_shape(Type a, const Shape& shape) {
  if (a == Type::f64) return shape.k == 4 || (shape.m == 16 && shape.k <= 16);
  if (a == Type::f16 && shape.m == 8) return shape.k == 4;
  const uint32_t bytes = shape.k * type_bytes(a);
  if (shape.m == 8) return (a == Type::s8 || a == Type::u8) && shape.k == 16;
  return bytes == 16 || bytes == 32;
}

bool has_result(Type a, Type d) {
  switch (a) {
    case Type::f64: return d == Type::f64;
    case Type::s8:
    case Type::u8: return d == Type::s32;
    case Type::bf16:
    case Type::tf32: return d == Type::f32;
    case Type::f16:
    case Type::e4m3:
    case Type::e5m2: return d == Type::f32 || d == Type::f16;
    default: return false;
  }
}

Type register_type(Type type) { return type == Type::f16 || type == Type::s32 ? Type::b32 : type; }

void expect(Decode& d, int found, uint32_t expected, const char* what) {
  if (found != static_cast<int>(expected))
    d.invalid(std::string(what) + " has " + std::to_string(found) + " registers, expected " + std::to_string(expected));
}

void decode_quad_pairs(Decode& d, bool a_column, bool b_column, Type type_d, Type type_c) {
  const uint32_t of_d = type_d == Type::f16 ? 4 : 8, of_c = type_c == Type::f16 ? 4 : 8;
  expect(d, d.out_vector(register_type(type_d)), of_d, "D");
  expect(d, d.in_vector(Type::b32), 2, "A");
  expect(d, d.in_vector(Type::b32), 2, "B");
  expect(d, d.in_vector(register_type(type_c)), of_c, "C");
  d.imm(0, a_column), d.imm(1, b_column);
  d.imm(2, type_d == Type::f16), d.imm(3, type_c == Type::f16);
  d.emit(&mma_quad_pairs);
}

}  // namespace

/// mma.sync.aligned.shape.alayout.blayout{.satfinite}.dtype.atype.btype.ctype d, a, b, c;
void decode_mma(Decode& d) {
  d.must_be_one_of({"aligned"});
  const Shape shape = decode_shape(d);
  const bool a_column = d.must_be_one_of({"row", "col"}) == 1;
  const bool b_column = d.must_be_one_of({"row", "col"}) == 1;
  auto form = std::make_shared<MmaForm>();
  form->satfinite = d.flag("satfinite");
  form->d = d.type({Type::f16, Type::f32, Type::s32, Type::f64});
  form->a = d.type(), form->b = d.type();
  const Type c = d.type({Type::f16, Type::f32, Type::s32, Type::f64});
  form->m = shape.m, form->k = shape.k;
  const auto integer = [](Type type) { return type == Type::s8 || type == Type::u8; };
  if (form->a != form->b && !(is_float8(form->a) && is_float8(form->b)) && !(integer(form->a) && integer(form->b)))
    d.invalid("types of A and B do not go together");
  if (!has_result(form->a, form->d)) d.invalid("types of D and A do not go together");
  if (!has_shape(form->a, shape)) d.invalid("the shape is not one of the type's");
  if (form->satfinite && form->d != Type::s32) d.invalid(".satfinite is for integers");
  if (form->a == Type::f16 && shape.m == 8) {
    if (!has_result(form->a, c) || (c == Type::f32 && form->d == Type::f16))
      d.invalid("types of D and C do not go together");
    decode_quad_pairs(d, a_column, b_column, form->d, c);
    return;
  }
  if (form->d != c) d.invalid("types of D and C do not go together");
  if (a_column || !b_column) d.invalid("the layouts of this shape are .row.col");
  const bool wide = form->a == Type::f64;
  const uint32_t per_register = wide ? 1 : 4 / type_bytes(form->a);
  form->d_registers = form->d == Type::f16 ? form->m / 8 : form->m / 4;
  form->a_registers = form->m * form->k / kLanes / per_register;
  form->b_registers = 8 * form->k / kLanes / per_register;
  const Type fragment = wide ? Type::f64 : Type::b32;
  expect(d, d.out_vector(register_type(form->d)), form->d_registers, "D");
  expect(d, d.in_vector(fragment), form->a_registers, "A");
  expect(d, d.in_vector(fragment), form->b_registers, "B");
  expect(d, d.in_vector(register_type(c)), form->d_registers, "C");
  d.detail(form);
  d.emit(wide ? &mma_f64 : &mma);
}

}  // namespace ptxsim
