// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.13 "Parallel synchronization": fence, membar. The fences between proxies are in isa/proxy.cpp.
#include "sim/isa/decode.hpp"
#include "sim/memory/access.hpp"

namespace ptxsim {
namespace {

// imm[0]: Order, imm[1]: Scope.
Outcome fence_of(Step& s) {
  fence(s, static_cast<Order>(s.inst.imm[0]), static_cast<Scope>(s.inst.imm[1]));
  return Outcome::next;
}

// imm[1]: Scope.
Outcome fence_of_all(Step& s) {
  fence_sc(s, static_cast<Scope>(s.inst.imm[1]));
  return Outcome::next;
}

void emit(Decode& d, Order order, Scope scope) {
  d.imm(0, static_cast<int64_t>(order));
  d.imm(1, static_cast<int64_t>(scope));
  d.emit(&fence_of);
}

void emit_sc(Decode& d, Scope scope) {
  d.imm(1, static_cast<int64_t>(scope));
  d.emit(&fence_of_all);
}

Scope scope_of(Decode& d) {
  constexpr Scope kScopes[] = {Scope::cta, Scope::cluster, Scope::gpu, Scope::sys};
  return kScopes[d.must_be_one_of({"cta", "cluster", "gpu", "sys"})];
}

}  // namespace

void decode_fence(Decode& d) {
  constexpr Order kOrders[] = {Order::acq_rel, Order::acq_rel, Order::acquire, Order::release};
  const int sem = d.one_of({"sc", "acq_rel", "acquire", "release"});
  if (sem == 0) return emit_sc(d, scope_of(d));
  const Order order = sem < 0 ? Order::acq_rel : kOrders[sem];
  // Restricted to shared memory: taken for the whole, so what relies on more is not noticed.
  if (order == Order::acquire) d.flag("sync_restrict::shared::cluster");
  if (order == Order::release) d.flag("sync_restrict::shared::cta");
  emit(d, order, scope_of(d));
}

/// The same as fence.sc.
void decode_membar(Decode& d) {
  constexpr Scope kLevels[] = {Scope::cta, Scope::gpu, Scope::sys};
  emit_sc(d, kLevels[d.must_be_one_of({"cta", "gl", "sys"})]);
}

}  // namespace ptxsim
