// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.9 "Data movement": prefetch, applypriority, discard, createpolicy. Caches are not modelled; these may
// name any address, as the device drops a prefetch of a bad one. discard promises that the bytes will not be read
// before they are written, which is not checked.
#include "sim/isa/decode.hpp"
#include "sim/machine/step.hpp"

namespace ptxsim {
namespace {

Outcome nothing(Step&) { return Outcome::next; }

/// An opaque policy: no instruction looks at it.
Outcome policy(Step& s) {
  auto d = s.lanes<uint64_t>(0);
  for_lanes(s.mask, [&](uint32_t lane) { d.set(lane, 0); });
  return Outcome::next;
}

void priority(Decode& d) {
  d.must_be_one_of({"L2::evict_last", "L2::evict_normal", "L2::evict_first", "L2::evict_unchanged"});
}

}  // namespace

void decode_prefetch(Decode& d) {
  d.one_of({"global", "local"});
  d.must_be_one_of({"L1", "L2", "L2::evict_last", "L2::evict_normal"});
  d.address();
  d.emit(&nothing);
}

void decode_applypriority(Decode& d) {
  d.flag("global");
  d.must_be_one_of({"L2::evict_normal"});
  d.address();
  d.immediate();
  d.emit(&nothing);
}

void decode_discard(Decode& d) {
  d.flag("global");
  d.must_be_one_of({"L2"});
  d.address();
  d.immediate();
  d.emit(&nothing);
}

void decode_createpolicy(Decode& d) {
  const int kind = d.must_be_one_of({"fractional", "range", "cvt"});
  if (kind == 1) d.flag("global");
  if (kind == 2) {
    d.must_be_one_of({"L2"});
  } else {
    priority(d);
    d.one_of({"L2::evict_first", "L2::evict_unchanged"});
  }
  d.type({Type::b64});
  d.out(Type::b64);
  if (kind == 0 && d.operands_left() > 0) d.in(Type::f32);
  if (kind == 1) {
    d.address();
    d.in(Type::u32);
    d.in(Type::u32);
  }
  if (kind == 2) d.in(Type::b64);
  d.emit(&policy);
}

}  // namespace ptxsim
