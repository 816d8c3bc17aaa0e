// SPDX-License-Identifier: Apache-2.0
#include "sim/parse/slots.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace ptxsim {
namespace {

/// The slot of `key`, made by `make` when it is new.
template <class Map, class Key, class Make>
uint32_t once(Map& map, const Key& key, Make make, bool* is_new = nullptr) {
  const auto [place, added] = map.try_emplace(key, 0);
  if (added) place->second = make();
  if (is_new != nullptr) *is_new = added;
  return place->second;
}

struct SpecialRow {
  std::string_view name;
  uint32_t bytes;
  bool vector;  ///< with components x, y, z, w
};
constexpr std::array kSpecials = {
    SpecialRow{"%tid", 4, true},
    SpecialRow{"%ntid", 4, true},
    SpecialRow{"%laneid", 4, false},
    SpecialRow{"%warpid", 4, false},
    SpecialRow{"%nwarpid", 4, false},
    SpecialRow{"%ctaid", 4, true},
    SpecialRow{"%nctaid", 4, true},
    SpecialRow{"%smid", 4, false},
    SpecialRow{"%nsmid", 4, false},
    SpecialRow{"%gridid", 8, false},
    SpecialRow{"%is_explicit_cluster", 1, false},
    SpecialRow{"%clusterid", 4, true},
    SpecialRow{"%nclusterid", 4, true},
    SpecialRow{"%cluster_ctaid", 4, true},
    SpecialRow{"%cluster_nctaid", 4, true},
    SpecialRow{"%cluster_ctarank", 4, false},
    SpecialRow{"%cluster_nctarank", 4, false},
    SpecialRow{"%lanemask_eq", 4, false},
    SpecialRow{"%lanemask_le", 4, false},
    SpecialRow{"%lanemask_lt", 4, false},
    SpecialRow{"%lanemask_ge", 4, false},
    SpecialRow{"%lanemask_gt", 4, false},
    SpecialRow{"%clock", 4, false},
    SpecialRow{"%clock_hi", 4, false},
    SpecialRow{"%clock64", 8, false},
    SpecialRow{"%globaltimer", 8, false},
    SpecialRow{"%globaltimer_lo", 4, false},
    SpecialRow{"%globaltimer_hi", 4, false},
    SpecialRow{"%dynamic_smem_size", 4, false},
    SpecialRow{"%total_smem_size", 4, false},
    SpecialRow{"%aggr_smem_size", 4, false},
    SpecialRow{"%reserved_smem_offset_begin", 4, false},
    SpecialRow{"%reserved_smem_offset_end", 4, false},
    SpecialRow{"%reserved_smem_offset_cap", 4, false},
    SpecialRow{"%reserved_smem_offset_0", 4, false},
    SpecialRow{"%reserved_smem_offset_1", 4, false},
    SpecialRow{"%current_graph_exec", 8, false},
};

/// %envreg0 to %envreg31, %pm0 to %pm7 and %pm0_64 to %pm7_64.
uint32_t numbered_bytes(std::string_view name) {
  struct Row {
    std::string_view prefix;
    uint32_t count;
  };
  for (const Row& row : {Row{"%envreg", 32}, Row{"%pm", 8}}) {
    if (!name.starts_with(row.prefix)) continue;
    std::string_view digits = name.substr(row.prefix.size());
    const bool wide = row.prefix == "%pm" && digits.ends_with("_64");
    if (wide) digits.remove_suffix(3);
    uint32_t number = 0;
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc() && stop == digits.data() + digits.size() && number < row.count) return wide ? 8 : 4;
  }
  return 0;
}

}  // namespace

Operand Slots::fresh(uint8_t units) {
  Operand operand;
  operand.slot = (function_.units + units - 1) / units * units;
  operand.units = units;
  operand.is_register = true;
  function_.units = operand.slot + units;
  return operand;
}

Operand Slots::sink(uint8_t units) {
  return {once(sinks_, units, [&] { return fresh(units).slot; }), units, false, true};
}

Operand Slots::carry() {
  return {once(carry_, uint8_t{1}, [&] { return fresh(1).slot; }), 1, true};
}

Operand Slots::constant(uint8_t units, uint64_t value) {
  if (units == 1) value = static_cast<uint32_t>(value);
  return {once(constants_, std::pair(units, value),
               [&] {
                 const uint32_t slot = fresh(units).slot;
                 function_.constants.push_back({slot, units, value});
                 return slot;
               }),
          units};
}

Operand Slots::special(const std::string& name, uint8_t units) {
  return {once(specials_, std::pair(name, units),
               [&] {
                 const uint32_t slot = fresh(units).slot;
                 function_.specials.push_back({slot, units, name});
                 return slot;
               }),
          units};
}

Operand Slots::symbol(const std::string& name, int64_t addend) {
  return {once(symbols_, std::pair(name, addend),
               [&] {
                 const uint32_t slot = fresh(2).slot;
                 function_.symbols.push_back({slot, name, addend});
                 return slot;
               }),
          2};
}

Operand Slots::local(uint32_t offset, bool param, uint8_t units) {
  return {once(locals_, std::tuple(offset, param, units),
               [&] {
                 const uint32_t slot = fresh(units).slot;
                 function_.locals.push_back({slot, units, offset, param});
                 return slot;
               }),
          units};
}

Operand Slots::shared(uint32_t variable, int64_t addend, uint8_t units, bool& is_new) {
  return {once(
              shared_, std::tuple(variable, addend, units), [&] { return fresh(units).slot; }, &is_new),
          units};
}

uint32_t special_register_bytes(const std::string& name) {
  std::string_view base = name;
  std::string_view component;
  if (const size_t dot = base.find('.'); dot != std::string_view::npos) {
    component = base.substr(dot + 1);
    base = base.substr(0, dot);
    if (component != "x" && component != "y" && component != "z" && component != "w") return 0;
  }
  const auto row =
      std::find_if(kSpecials.begin(), kSpecials.end(), [&](const SpecialRow& each) { return each.name == base; });
  if (row == kSpecials.end()) return component.empty() ? numbered_bytes(base) : 0;
  return row->vector == !component.empty() ? row->bytes : 0;
}

bool is_clock_register(const std::string& name) {
  return name.starts_with("%clock") || name.starts_with("%globaltimer");
}

}  // namespace ptxsim
