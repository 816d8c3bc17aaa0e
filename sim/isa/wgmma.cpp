// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>

#include "sim/isa/decode.hpp"
#include "sim/isa/wgmma_groups.hpp"
#include "sim/machine/cta.hpp"

// PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions": wgmma.fence, mma_async, commit_group, wait_group.
namespace ptxsim {

std::string WgmmaForm::text() const {
  return "m64n" + std::to_string(n) + "k" + std::to_string(k) + "." + type_name(d) + "." + type_name(a) + "." +
         type_name(b);
}

namespace {

void need_whole_warp(const Step& s) {
  if (s.mask != kAllLanes)
    s.fault(HazardId::H20,
            std::string(s.inst.row->name) + " needs all 32 lanes of the warp, lanes " + lane_list(s.mask) + " run it");
}

Outcome wgmma_fence(Step& s) {
  ++s.warp.wgmma_epoch;
  s.warp.wgmma_fenced = true;
  return Outcome::next;
}

Outcome wgmma_mma(Step& s) {
  need_whole_warp(s);
  Warpgroup::of(s).issue(s);
  return Outcome::next;
}

Outcome wgmma_commit(Step& s) {
  need_whole_warp(s);
  Warpgroup::of(s).commit(s.warp);
  return Outcome::next;
}

Warpgroup& group_of(Warp& warp) { return *static_cast<Warpgroup*>(warp.wgmma.get()); }

/// imm[0]: how many groups may stay pending.
Outcome wgmma_wait(Step& s) {
  need_whole_warp(s);
  Warpgroup& group = Warpgroup::of(s);
  const uint64_t limit = group.limit(s.warp, static_cast<uint32_t>(s.inst.imm[0]));
  if (group.done(limit)) {
    group.pass(s.warp, limit);
    return Outcome::next;
  }
  s.split.wait.kind = Wait::Kind::wgmma_group;
  s.split.wait.value[0] = limit;
  s.split.wait.ready = [](Machine&, Warp& warp, Split& split) { return group_of(warp).done(split.wait.value[0]); };
  s.split.wait.resume = [](Machine&, Warp& warp, Split& split) { group_of(warp).pass(warp, split.wait.value[0]); };
  return Outcome::blocked;
}

/// "m64n128k16": 128, and k.
uint32_t shape_n(Decode& d, uint32_t& k) {
  const std::string_view shape = d.peek();
  uint32_t n = 0;
  k = 0;
  uint32_t* number = nullptr;
  for (const char c : shape.substr(shape.starts_with("m64n") ? 3 : shape.size())) {
    if (c == 'n' || c == 'k')
      number = c == 'n' ? &n : &k;
    else if (c >= '0' && c <= '9' && number != nullptr && *number < 1000)
      *number = *number * 10 + static_cast<uint32_t>(c - '0');
  }
  if (shape != "m64n" + std::to_string(n) + "k" + std::to_string(k)) d.invalid("expected a shape m64nNkK");
  d.flag(shape);
  return n;
}

bool is_integer(Type type) { return type == Type::s8 || type == Type::u8; }

void decode_types(Decode& d, WgmmaForm& form) {
  form.satfinite = d.flag("satfinite");
  form.d = d.type({Type::f16, Type::f32, Type::s32});
  form.a = d.type();
  form.b = d.type();
  form.satfinite = d.flag("satfinite") || form.satfinite;
  const bool mixed = (is_float8(form.a) && is_float8(form.b)) || (is_integer(form.a) && is_integer(form.b));
  if (form.a == Type::b1) d.unsupported("products of bits are not simulated");
  if (form.a != form.b && !mixed) d.invalid("types of A and B do not go together");
  const bool half = form.a == Type::f16 || is_float8(form.a);
  const bool single = form.a == Type::bf16 || form.a == Type::tf32;
  if (!(is_integer(form.a) ? form.d == Type::s32 : half ? form.d != Type::s32 : single ? form.d == Type::f32 : false))
    d.invalid("types of D and A do not go together");
  if (form.satfinite && form.d != Type::s32) d.invalid(".satfinite is for integers");
}

void check_shape(Decode& d, const WgmmaForm& form) {
  const uint32_t n = form.n;
  if (form.k != 32 / matrix_element(form.a).bytes) d.invalid("k of the shape does not fit the types");
  const bool known = n % 8 == 0 && n >= 8 && n <= 256;
  if (!known || (is_integer(form.a) && n > 32 && n % 16 != 0) || (is_integer(form.a) && n == 40))
    d.invalid("n of the shape is not one of the instruction's");
}

bool flag_operand(Decode& d) {
  const int64_t value = d.immediate();
  if (value != 0 && value != 1) d.invalid("a transpose flag is 0 or 1");
  return value == 1;
}

bool sign_operand(Decode& d) {
  const int64_t value = d.immediate();
  if (value != 1 && value != -1) d.invalid("a scale is 1 or -1");
  return value < 0;
}

}  // namespace

void decode_wgmma_fence(Decode& d) {
  d.must_be_one_of({"sync"}), d.must_be_one_of({"aligned"});
  d.emit(&wgmma_fence);
}

void decode_wgmma_commit(Decode& d) {
  d.must_be_one_of({"sync"}), d.must_be_one_of({"aligned"});
  d.emit(&wgmma_commit);
}

void decode_wgmma_wait(Decode& d) {
  d.must_be_one_of({"sync"}), d.must_be_one_of({"aligned"});
  const int64_t newest = d.immediate();
  if (newest < 0) d.invalid("the number of pending groups is negative");
  d.imm(0, newest);
  d.emit(&wgmma_wait);
}

/// wgmma.mma_async.sync.aligned.shape{.satfinite}.dtype.atype.btype d, a, b-desc, scale-d{, imm-scale-a, imm-scale-b
/// {, imm-trans-a}{, imm-trans-b}};
void decode_wgmma(Decode& d) {
  if (d.peek() == "sp") d.unsupported("sparse products are not simulated");
  d.must_be_one_of({"sync"}), d.must_be_one_of({"aligned"});
  auto form = std::make_shared<WgmmaForm>();
  form->n = shape_n(d, form->k);
  decode_types(d, *form);
  check_shape(d, *form);
  form->d_registers = accumulator_registers(form->d, form->n);
  if (d.inout_vector(form->d == Type::f32 ? Type::f32 : Type::b32) != static_cast<int>(form->d_registers))
    d.invalid("D has not " + std::to_string(form->d_registers) + " registers");
  form->a_in_registers = d.next_is_vector();
  if (form->a_in_registers) {
    if (d.in_vector(Type::b32) != 4) d.invalid("A has not 4 registers");
  } else {
    d.in(Type::b64);
  }
  d.in(Type::b64);
  if (d.next_is_immediate())
    form->scale_d = d.immediate() != 0 ? 1 : 0;
  else
    form->scale_d_negated = d.in_predicate();
  if (form->d != Type::s32) {
    const bool negative_a = sign_operand(d);
    form->negative = negative_a != sign_operand(d);
  }
  if (matrix_element(form->a).bytes == 2) {
    if (!form->a_in_registers) form->a_mn_major = flag_operand(d);
    form->b_mn_major = flag_operand(d);
  }
  d.detail(form);
  d.emit(&wgmma_mma);
}

}  // namespace ptxsim
