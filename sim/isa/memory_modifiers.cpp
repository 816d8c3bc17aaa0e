// SPDX-License-Identifier: Apache-2.0
#include "sim/isa/memory_modifiers.hpp"

#include <array>

namespace ptxsim {
namespace {

template <class T>
struct Named {
  const char* name;
  T value;
};

constexpr std::array kSpaces = {
    Named<Space>{"global", Space::global},      Named<Space>{"shared", Space::shared},
    Named<Space>{"shared::cta", Space::shared}, Named<Space>{"shared::cluster", Space::shared_cluster},
    Named<Space>{"local", Space::local},        Named<Space>{"param", Space::param},
    Named<Space>{"param::entry", Space::param}, Named<Space>{"param::func", Space::param},
    Named<Space>{"const", Space::constant},
};
constexpr std::array kScopeNames = {
    Named<Scope>{"cta", Scope::cta},
    Named<Scope>{"cluster", Scope::cluster},
    Named<Scope>{"gpu", Scope::gpu},
    Named<Scope>{"sys", Scope::sys},
};
constexpr std::array kOrders = {
    Named<Order>{"weak", Order::weak},       Named<Order>{"relaxed", Order::relaxed},
    Named<Order>{"acquire", Order::acquire}, Named<Order>{"release", Order::release},
    Named<Order>{"acq_rel", Order::acq_rel}, Named<Order>{"volatile", Order::is_volatile},
};
constexpr std::array kVectors = {Named<uint32_t>{"v2", 2}, Named<uint32_t>{"v4", 4}, Named<uint32_t>{"v8", 8}};
/// Caching and prefetching, which change no result.
constexpr std::array kHints = {"ca",
                               "cg",
                               "cs",
                               "lu",
                               "cv",
                               "wb",
                               "wt",
                               "L1::evict_normal",
                               "L1::evict_unchanged",
                               "L1::evict_first",
                               "L1::evict_last",
                               "L1::no_allocate",
                               "L2::evict_normal",
                               "L2::evict_first",
                               "L2::evict_last",
                               "L2::64B",
                               "L2::128B",
                               "L2::256B",
                               "mmio",
                               "unified"};

template <class T, size_t n>
bool take(Decode& d, const std::array<Named<T>, n>& names, T& value) {
  for (const auto& each : names) {
    if (!d.flag(each.name)) continue;
    value = each.value;
    return true;
  }
  return false;
}

}  // namespace

bool MemoryModifiers::read(Decode& d) {
  if (take(d, kSpaces, space) || take(d, kVectors, parts)) return true;
  if (take(d, kScopeNames, scope)) return scoped = true;
  if (take(d, kOrders, order)) return ordered = true;
  if (d.flag("nc")) return non_coherent = true;
  if (d.flag("L2::cache_hint")) return cache_policy = true;
  for (const char* hint : kHints)
    if (d.flag(hint)) return true;
  return false;
}

}  // namespace ptxsim
