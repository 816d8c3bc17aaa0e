// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.9 "st.async" and 9.7.13 "red.async": each thread's store is an operation of its own, in the generic
// proxy, that signals an mbarrier of the CTA it writes to.
#include <array>
#include <cstring>

#include "sim/isa/copy_reduce.hpp"
#include "sim/isa/decode.hpp"
#include "sim/isa/mbarrier.hpp"
#include "sim/isa/mbarrier_form.hpp"
#include "sim/machine/async.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"
#include "sim/machine/site.hpp"
#include "sim/memory/access.hpp"
#include "sim/memory/checks.hpp"

namespace ptxsim {
namespace {

/// What the destination holds until the store lands.
constexpr int kPoison = 0xff;

class AsyncStore : public AsyncOp {
 public:
  Machine* machine = nullptr;
  MbarrierPlace mbarrier;
  uint32_t offset = 0, bytes = 0;
  std::array<std::byte, 16> value{};
  Reduce reduce = nullptr;  ///< null: a store

  void read(uint32_t) override {}
  void write(uint32_t) override {
    if (mbarrier.cta->exited) return;
    std::byte* to = mbarrier.cta->shared.data() + (offset - kSharedWindow);
    if (reduce != nullptr)
      reduce(to, value.data(), bytes);
    else
      std::memcpy(to, value.data(), bytes);
  }
  void complete() override {
    if (!mbarrier.cta->exited && reduce == nullptr)
      async_write_done(*mbarrier.cta, offset, bytes, mbarrier_event(mbarrier), issuer.line);
    mbarrier_complete_tx(*machine, mbarrier, bytes, issuer);
  }
  std::string describe() const override {
    return "asynchronous store of " + std::to_string(bytes) + " bytes, line " + std::to_string(issuer.line) + ", to " +
           mbarrier_name(mbarrier);
  }
};

/// Inst::detail.
struct Form {
  Reduce reduce = nullptr;  ///< null: a store
  uint32_t bytes = 0;       ///< of an element
  int elements = 1;
  int64_t mbarrier_offset = 0;
};

/// The write enters the history when it is issued, checked with what the issuer knows. A store is in flight until it is
/// done; reductions do not race among themselves.
void enter_history(Step& s, const Form& form, const MbarrierPlace& mbarrier, uint32_t offset, uint32_t bytes) {
  Accessor who = async_accessor(s, mbarrier_event(mbarrier));
  const bool reduces = form.reduce != nullptr;
  who.access.in_flight = !reduces;
  who.access.strong = reduces;
  who.access.scope = Scope::cluster;
  check_shared(s, *mbarrier.cta, offset, bytes, who, reduces ? Touch::read_write : Touch::write);
}

/// Operands: the address, the value's elements, the mbarrier's address.
Outcome run(Step& s) {
  const auto& form = *static_cast<const Form*>(s.inst.detail);
  const Space space = mbarrier_space(s.inst);
  const uint32_t bytes = form.bytes * static_cast<uint32_t>(form.elements);
  for_lanes(s.mask, [&](uint32_t lane) {
    const MbarrierPlace mbarrier =
        mbarrier_of(s, space, s.address(form.elements + 1, lane, form.mbarrier_offset), lane);
    const Place to = resolve(s, space, s.address(0, lane, s.inst.imm[0]), bytes, lane, bytes);
    if (to.space != Space::shared || to.cta != mbarrier.cta)
      s.fault(HazardId::H22, "the destination and the mbarrier are in different CTAs", static_cast<int>(lane));
    auto op = std::make_unique<AsyncStore>();
    op->cta = &s.cta;
    op->machine = &s.machine;
    op->mbarrier = mbarrier;
    op->offset = static_cast<uint32_t>(to.offset);
    op->bytes = bytes;
    op->reduce = form.reduce;
    op->issuer = site_of(*s.cta.launch->program, s.inst, s.cta, static_cast<int>(s.warp.index), static_cast<int>(lane));
    for (int i = 0; i < form.elements; ++i) {
      std::byte* element = op->value.data() + static_cast<uint32_t>(i) * form.bytes;
      const uint64_t value = form.bytes == 8 ? s.lanes<uint64_t>(1 + i)[lane] : s.lanes<uint32_t>(1 + i)[lane];
      std::memcpy(element, &value, form.bytes);
    }
    Step one = s;
    one.mask = uint32_t{1} << lane;
    enter_history(one, form, mbarrier, op->offset, bytes);
    if (form.reduce == nullptr) std::memset(to.bytes, kPoison, bytes);
    s.machine.counts().shared_written_bytes += bytes;
    s.machine.async().issue(std::move(op), s.machine.now());
  });
  return Outcome::next;
}

Space decode_space(Decode& d) {
  const Space space =
      d.one_of({"shared::cluster", "shared", "shared::cta"}) >= 0 ? Space::shared_cluster : Space::generic;
  d.must_be_one_of({"mbarrier::complete_tx::bytes"});
  return space;
}

void decode_operands(Decode& d, Space space, Type type, Form form) {
  form.bytes = type_bytes(type);
  mbarrier_address(d, space);
  if (form.elements == 1)
    d.in(type);
  else if (d.in_vector(type) != form.elements)
    d.invalid("the value does not have as many elements as the modifier says");
  form.mbarrier_offset = d.address();
  d.detail(std::make_shared<const Form>(form));
  d.emit(&run);
}

}  // namespace

/// st.async{.weak}{.shared::cluster}.mbarrier::complete_tx::bytes{.v2|.v4}.type [a], b, [mbar]
void decode_st_async(Decode& d) {
  d.flag("weak");
  const Space space = decode_space(d);
  Form form;
  const int vector = d.one_of({"v2", "v4"});
  form.elements = vector < 0 ? 1 : vector == 0 ? 2 : 4;
  const Type type = d.type({Type::b32, Type::b64, Type::u32, Type::u64, Type::s32, Type::s64, Type::f32, Type::f64});
  if (type_bytes(type) * static_cast<uint32_t>(form.elements) > 16) d.invalid("a store of more than 16 bytes");
  decode_operands(d, space, type, form);
}

/// red.async.relaxed.cluster{.shared::cluster}.mbarrier::complete_tx::bytes.op.type [a], b, [mbar]
void decode_red_async(Decode& d) {
  d.must_be_one_of({"relaxed"});
  d.must_be_one_of({"cluster"});
  const Space space = decode_space(d);
  Form form;
  const CopyReduce operation = decode_copy_reduce(d);
  const Type type = d.type({Type::u32, Type::s32, Type::u64, Type::s64, Type::b32});
  // The 64-bit sum is the same with and without a sign.
  form.reduce = copy_reduce(operation, type == Type::s64 ? Type::u64 : type);
  if (form.reduce == nullptr || (type_bytes(type) == 8 && operation != CopyReduce::add))
    d.invalid("no such operation on this type");
  decode_operands(d, space, type, form);
}

}  // namespace ptxsim
