// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "sim/isa/decode.hpp"
#include "sim/parse/symbols.hpp"

namespace ptxsim {
namespace {

constexpr uint32_t kDynamicAlign = 16;

uint64_t aligned(uint64_t at, uint64_t align) { return (at + align - 1) / align * align; }

/// Addresses of variables, one behind the other, and behind those of `below`.
class Layout {
 public:
  explicit Layout(const std::vector<SharedVariable>& variables, const Layout* below = nullptr)
      : variables_(variables), below_(below) {
    if (below == nullptr) return;
    end_ = below->end_;
    dynamic_align_ = below->dynamic_align_;
    has_dynamic_ = below->has_dynamic_;
  }

  void place(const std::set<uint32_t>& wanted) {
    for (const uint32_t index : wanted) {
      const SharedVariable& variable = variables_[index];
      if (variable.dynamic) {
        dynamic_align_ = std::max(dynamic_align_, variable.align);
        has_dynamic_ = true;
      } else if (!has(index)) {
        const uint64_t at = aligned(end_, variable.align);
        places_.emplace(index, at);
        end_ = at + variable.bytes;
      }
    }
  }
  uint64_t bytes() const { return end_ - kSharedWindow; }
  uint64_t dynamic() const { return aligned(end_, dynamic_align_); }
  bool has_dynamic() const { return has_dynamic_; }
  uint64_t at(uint32_t variable) const {
    return places_.count(variable) == 0 ? below_->at(variable) : places_.at(variable);
  }

 private:
  bool has(uint32_t variable) const {
    return places_.count(variable) != 0 || (below_ != nullptr && below_->has(variable));
  }

  const std::vector<SharedVariable>& variables_;
  const Layout* below_;
  std::map<uint32_t, uint64_t> places_;
  uint64_t end_ = kSharedWindow;
  uint32_t dynamic_align_ = kDynamicAlign;
  bool has_dynamic_ = false;
};

}  // namespace

void place_shared(Program& program, const ModuleSymbols& symbols) {
  Layout common(symbols.shared);
  for (size_t i = 0; i < program.functions.size(); ++i)
    if (!program.functions[i].is_entry) common.place(symbols.used_shared[i]);

  std::vector<Layout> layouts(program.functions.size(), Layout(symbols.shared, &common));
  uint64_t last_dynamic = common.dynamic();
  for (size_t i = 0; i < program.functions.size(); ++i) {
    Function& function = program.functions[i];
    if (!function.is_entry) continue;
    layouts[i].place(symbols.used_shared[i]);
    if (layouts[i].bytes() > kMaxSharedBytes)
      throw PtxError{attend::StatusCode::invalid_argument, 0,
                     "entry " + function.name + " has " + std::to_string(layouts[i].bytes()) +
                         " bytes of static shared memory, more than " + std::to_string(kMaxSharedBytes)};
    last_dynamic = std::max(last_dynamic, layouts[i].dynamic());
  }
  // A function that names dynamic shared memory finds it at the same place from whichever entry it is called.
  const auto dynamic_of = [&](size_t i) { return common.has_dynamic() ? last_dynamic : layouts[i].dynamic(); };
  for (size_t i = 0; i < program.functions.size(); ++i) {
    Function& function = program.functions[i];
    if (!function.is_entry) continue;
    function.static_shared_bytes = static_cast<uint32_t>(layouts[i].bytes());
    function.dynamic_shared_offset = static_cast<uint32_t>(dynamic_of(i));
    function.entry.static_shared_bytes = function.static_shared_bytes;
    function.entry.uses_dynamic_shared = layouts[i].has_dynamic();
  }
  for (const SharedAddress& address : symbols.addresses) {
    const bool dynamic = symbols.shared[address.variable].dynamic;
    const uint64_t base = dynamic ? dynamic_of(address.function) : layouts[address.function].at(address.variable);
    uint64_t value = base + static_cast<uint64_t>(address.addend);
    if (address.units == 1) value = static_cast<uint32_t>(value);
    program.functions[address.function].constants.push_back({address.slot, address.units, value});
  }
}

}  // namespace ptxsim
