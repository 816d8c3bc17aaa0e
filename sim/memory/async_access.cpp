// SPDX-License-Identifier: Apache-2.0
// What asynchronous operations do to memory, as far as checks go: everything at their issue but the end of a write.
#include <algorithm>

#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"
#include "sim/memory/access.hpp"
#include "sim/memory/checks.hpp"

namespace ptxsim {
namespace {

/// All ones: not a number in every floating-point format.
constexpr std::byte kPoison{0xff};

bool is_reduction(const Step& step) { return std::string_view(step.inst.row->name).starts_with("cp.reduce"); }

}  // namespace

void async_read_shared(const Step& step, Cta& cta, uint32_t offset, uint32_t bytes, const Event& event) {
  check_shared(step, cta, offset, bytes, async_accessor(step, event), Touch::read);
}

void async_write_shared(const Step& step, Cta& cta, uint32_t offset, uint32_t bytes, const Event& event) {
  Accessor who = async_accessor(step, event);
  who.access.in_flight = true;
  check_shared(step, cta, offset, bytes, who, Touch::write);
  std::fill_n(cta.shared.begin() + (offset - kSharedWindow), bytes, kPoison);
}

void async_write_done(Cta& cta, uint32_t offset, uint32_t bytes, const Event& event, int32_t line) {
  cta.shadow.complete(offset - kSharedWindow, bytes, event, line);
}

void async_read_global(const Step& step, uint64_t address, uint64_t bytes, const Event& event) {
  if (bytes == 0) return;
  if (step.machine.memory().find(address, bytes) == nullptr)
    step.fault(HazardId::H22, std::to_string(bytes) + " bytes: " + step.machine.memory().describe(address));
  check_global(step, address, bytes, async_accessor(step, event), Touch::read);
}

void async_write_global(const Step& step, uint64_t address, uint64_t bytes, const Event& event) {
  if (bytes == 0) return;
  if (step.machine.memory().find(address, bytes) == nullptr)
    step.fault(HazardId::H22, std::to_string(bytes) + " bytes: " + step.machine.memory().describe(address));
  Accessor who = async_accessor(step, event);
  who.access.strong = is_reduction(step);
  who.access.scope = Scope::gpu;
  check_global(step, address, bytes, who, is_reduction(step) ? Touch::read_write : Touch::write);
}

}  // namespace ptxsim
