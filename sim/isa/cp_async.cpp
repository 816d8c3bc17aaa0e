// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.9 "Data movement: non-bulk copy": cp.async and its groups; 9.7.13 cp.async.mbarrier.arrive.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "sim/isa/copy_op.hpp"
#include "sim/isa/decode.hpp"
#include "sim/isa/mbarrier_form.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/site.hpp"
#include "sim/memory/access.hpp"

namespace ptxsim {
namespace {

/// The copies of a warp's lanes, up to 16 bytes each.
class LaneCopies : public CopyOp {
 public:
  using CopyOp::CopyOp;
  void complete() override {
    for (const Written& each : written) async_write_done(*each.cta, each.offset, each.bytes, each.event, issuer.line);
    CopyOp::complete();
  }
  struct Written {
    Cta* cta;
    uint32_t offset, bytes;
    Event event;
  };
  std::vector<Written> written;
};

enum class Source : uint8_t { whole, size, ignored };

/// Inst::detail. Operand 2, if any, says how much of the source there is.
struct Form {
  uint32_t bytes = 16;
  Source source = Source::whole;
  bool negated = false;  ///< the predicate that ignores the source
  int64_t to_offset = 0, from_offset = 0;
};

/// Bytes of the source that a lane copies; the rest is zeros.
uint32_t source_bytes(const Step& s, const Form& form, uint32_t lane) {
  if (form.source == Source::whole) return form.bytes;
  if (form.source == Source::ignored) return (s.lanes<uint32_t>(2)[lane] != 0) != form.negated ? 0 : form.bytes;
  const uint32_t bytes = s.lanes<uint32_t>(2)[lane];
  if (bytes > form.bytes)
    s.fault(HazardId::H22,
            "src-size is " + std::to_string(bytes) + ", more than the " + std::to_string(form.bytes) + " of cp-size",
            static_cast<int>(lane));
  return bytes;
}

/// Operands: destination, source, and what else there is of the source.
Outcome copy(Step& s) {
  const auto& form = *static_cast<const Form*>(s.inst.detail);
  CopyGroups& groups = CopyGroups::of(s.warp, CopyKind::cp_async);
  auto op = std::make_unique<LaneCopies>(s, s.first_lane(), "cp.async");
  op->flight = groups.issue(s, s.mask);
  for_lanes(s.mask, [&](uint32_t lane) {
    const Step one = only_lane(s, lane);
    Event event = groups.write_event(*op->flight);
    event.lanes = uint32_t{1} << lane;
    const Place to = resolve(s, Space::shared, s.address(0, lane, form.to_offset), form.bytes, lane, form.bytes);
    CopyPart part;
    part.bytes = static_cast<uint8_t>(form.bytes);
    part.count = static_cast<uint8_t>(source_bytes(s, form, lane));
    part.to = to.bytes;
    if (part.count != 0) {
      const Place from = resolve(s, Space::global, s.address(1, lane, form.from_offset), part.count, lane, form.bytes);
      part.from = from.bytes;
      async_read_global(one, from.offset, part.count, event);
    }
    async_write_shared(one, *to.cta, static_cast<uint32_t>(to.offset), form.bytes, event);
    op->written.push_back({to.cta, static_cast<uint32_t>(to.offset), form.bytes, event});
    op->pieces.push_back(part);
    op->bytes += form.bytes;
  });
  launch_copy(s, std::move(op));
  return Outcome::next;
}

Outcome commit(Step& s) {
  CopyGroups::of(s.warp, CopyKind::cp_async).commit(s.mask);
  return Outcome::next;
}

Outcome wait(Step& s) { return wait_copies(s, CopyKind::cp_async, static_cast<uint64_t>(s.inst.imm[0]), false); }

/// "Equivalent to cp.async.commit_group; cp.async.wait_group 0".
Outcome wait_all(Step& s) {
  CopyGroups::of(s.warp, CopyKind::cp_async).commit(s.mask);
  return wait_copies(s, CopyKind::cp_async, 0, false);
}

/// The arrivals of some lanes at an mbarrier, when all that they have copied is there.
class Arrival : public AsyncOp {
 public:
  Arrival(const Step& step, MbarrierPlace place, uint32_t lanes)
      : machine_(step.machine), warp_(step.warp), place_(place), lanes_(lanes) {
    cta = &step.cta;
    issuer = site_of(*step.cta.launch->program, step.inst, step.cta, static_cast<int>(step.warp.index),
                     std::countr_zero(lanes));
    const CopyGroups& groups = CopyGroups::of(step.warp, CopyKind::cp_async);
    for_lanes(lanes, [&](uint32_t lane) {
      CopyFlight last;
      last.tick = groups.issued(lane);
      up_to_ = std::max(up_to_, last.tick);
      const Event event = groups.write_event(last);
      done_.generic.see_lanes(event.cluster, event.actor, event.tick, uint32_t{1} << lane);
    });
  }
  uint32_t parts() const override { return 0; }
  void read(uint32_t) override {}
  void write(uint32_t) override {}
  bool may_start() const override { return CopyGroups::of(warp_, CopyKind::cp_async).done(lanes_, up_to_); }
  void complete() override {
    for_lanes(lanes_, [&](uint32_t) { mbarrier_arrive_async(machine_, place_, done_, issuer); });
  }
  std::string describe() const override {
    return "cp.async.mbarrier.arrive, line " + std::to_string(issuer.line) + ", " + mbarrier_name(place_);
  }

 private:
  Machine& machine_;
  Warp& warp_;
  MbarrierPlace place_;
  uint32_t lanes_;
  Tick up_to_ = 0;
  Clocks done_;  ///< what the copies have written
};

/// imm[1]: .noinc, the arrival is one of those that the mbarrier was initialised for.
Outcome arrive(Step& s) {
  const bool adds = s.inst.imm[1] == 0;
  for_address_groups(s, 0, [&](const MbarrierPlace& place, uint32_t lanes) {
    Step part = s;
    part.mask = lanes;
    auto op = std::make_unique<Arrival>(part, place, lanes);
    if (adds) for_lanes(lanes, [&](uint32_t) { mbarrier_add_pending(s.machine, place, op->issuer); });
    CopyGroups::of(s.warp, CopyKind::cp_async).hand_over(lanes);
    s.machine.async().issue(std::move(op), s.machine.now());
  });
  return Outcome::next;
}

/// {.L2::cache_hint}{.L2::..B} [dst], [src], cp-size{, src-size | ignore-src}{, policy}, behind cp.async.ca or .cg.
void decode_copy(Decode& d, int64_t least) {
  d.must_be_one_of({"shared", "shared::cta"});
  d.must_be_one_of({"global"});
  const bool hint = d.flag("L2::cache_hint");
  d.ignore({"L2::64B", "L2::128B", "L2::256B"});
  Form form;
  form.to_offset = d.address();
  form.from_offset = d.address();
  const int64_t bytes = d.immediate();
  if (bytes < least || (bytes != 4 && bytes != 8 && bytes != 16))
    d.invalid("cp-size is " + std::to_string(bytes) + ", expected " + (least == 16 ? "16" : "4, 8 or 16"));
  form.bytes = static_cast<uint32_t>(bytes);
  if (d.operands_left() > (hint ? 1u : 0u)) {
    if (d.next_is_predicate()) {
      form.source = Source::ignored;
      form.negated = d.in_predicate();
    } else {
      form.source = Source::size;
      d.in(Type::u32);
    }
  }
  if (hint) d.in(Type::b64);
  d.detail(std::make_shared<const Form>(form));
  d.emit(&copy);
}

}  // namespace

void decode_cp_async_ca(Decode& d) { decode_copy(d, 4); }
void decode_cp_async_cg(Decode& d) { decode_copy(d, 16); }

void decode_cp_async_commit(Decode& d) { d.emit(&commit); }

void decode_cp_async_wait(Decode& d) {
  const int64_t newest = d.immediate();
  if (newest < 0) d.invalid("a number of groups cannot be negative");
  d.imm(0, newest);
  d.emit(&wait);
}

void decode_cp_async_wait_all(Decode& d) { d.emit(&wait_all); }

/// cp.async.mbarrier.arrive{.noinc}{.shared{::cta}}.b64 [addr]
void decode_cp_async_mbarrier_arrive(Decode& d) {
  d.imm(1, d.flag("noinc") ? 1 : 0);
  const Space space = mbarrier_space_modifier(d, false);
  d.type({Type::b64});
  mbarrier_address(d, space);
  d.emit(&arrive);
}

}  // namespace ptxsim
