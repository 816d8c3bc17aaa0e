// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.13 "membar, fence": fence.proxy, membar.proxy, fence.mbarrier_init.
#include "sim/isa/decode.hpp"
#include "sim/isa/mbarrier.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"
#include "sim/memory/access.hpp"

namespace ptxsim {
namespace {

Outcome nothing(Step&) { return Outcome::next; }

Outcome fence_async(Step& s) {
  fence_async_proxy(s);
  mbarrier_publish_inits(s);
  return Outcome::next;
}

/// A release of the warp's mbarrier inits alone: a relaxed arrive at the cluster barrier passes them on.
Outcome fence_mbarrier_init(Step& s) {
  const uint32_t uid = s.cta.cluster->uid;
  mbarrier_publish_inits(s);
  for (const auto& [address, object] : s.cta.mbarriers) {
    if (!object.valid || object.init_warp != s.warp.actor) continue;
    s.warp.fenced_inits.generic.see(uid, object.actor, object.init_tick);
    s.warp.fenced_inits.async_.see(uid, object.actor, object.init_tick);
  }
  return Outcome::next;
}

/// fence.proxy.tensormap::generic.release.scope; .acquire.scope [addr], 128. Copies see the bytes of a tensor map as
/// they are (isa/tensor_map.cpp), so there is nothing to order: the address is checked.
Outcome fence_tensormap(Step& s) {
  for_lanes(s.mask,
            [&](uint32_t lane) { resolve(s, Space::generic, s.address(0, lane, s.inst.imm[0]), 128, lane, 128); });
  return Outcome::next;
}

void decode_tensormap(Decode& d) {
  const bool acquire = d.must_be_one_of({"release", "acquire"}) == 1;
  d.must_be_one_of({"cta", "cluster", "gpu", "sys"});
  if (!acquire) {
    d.emit(&nothing);
    return;
  }
  d.imm(0, d.address());
  if (d.immediate() != 128) d.invalid("fence.proxy.tensormap covers 128 bytes");
  d.emit(&fence_tensormap);
}

/// fence.proxy.async::generic.acquire.sync_restrict::shared::cluster.cluster and .release.sync_restrict::shared::cta:
/// one-sided forms of fence.proxy.async for mbarriers that a cluster shares.
void decode_restricted(Decode& d) {
  if (d.must_be_one_of({"acquire", "release"}) == 0) {
    d.must_be_one_of({"sync_restrict::shared::cluster"});
  } else {
    d.must_be_one_of({"sync_restrict::shared::cta"});
  }
  d.must_be_one_of({"cluster"});
  d.emit(&fence_async);
}

}  // namespace

void decode_fence_proxy(Decode& d) {
  switch (d.must_be_one_of({"async", "alias", "tensormap::generic", "async::generic"})) {
    case 0:
      // Which state space is handed over makes no difference to the clocks, which are those of threads.
      d.one_of({"global", "shared::cta", "shared::cluster"});
      d.emit(&fence_async);
      break;
    case 1: d.emit(&nothing); break;
    case 2: decode_tensormap(d); break;
    default: decode_restricted(d); break;
  }
}

void decode_membar_proxy(Decode& d) {
  d.must_be_one_of({"alias"});
  d.emit(&nothing);
}

void decode_fence_mbarrier_init(Decode& d) {
  d.must_be_one_of({"release"});
  d.must_be_one_of({"cluster"});
  d.emit(&fence_mbarrier_init);
}

}  // namespace ptxsim
