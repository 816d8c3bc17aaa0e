// SPDX-License-Identifier: Apache-2.0
#include "sim/isa/wgmma_checks.hpp"

#include <algorithm>
#include <bit>

#include "sim/isa/wgmma_operands.hpp"
#include "sim/machine/cta.hpp"

namespace ptxsim {
namespace {

template <class T>
bool same_in_all_lanes(const Lanes<T>& values) {
  for (uint32_t lane = 1; lane < kLanes; ++lane)
    if (values[lane] != values[0]) return false;
  return true;
}

/// Notes each rule once per instruction: one report names the first register that breaks it.
class RegisterReport {
 public:
  explicit RegisterReport(const Step& step) : step_(step) {}
  void note(HazardId id, const std::string& what) {
    const uint64_t bit = uint64_t{1} << static_cast<uint32_t>(id);
    if ((noted_ & bit) == 0) step_.hazard(id, what);
    noted_ |= bit;
  }

 private:
  const Step& step_;
  uint64_t noted_ = 0;
};

std::string line_of(const RegisterState& state) { return std::to_string(state.wgmma_line); }

/// PTX ISA, wgmma.fence: accesses to the registers since the last fence are not ordered before the wgmma.
void check_fenced(RegisterReport& report, const Step& step, const RegisterState& state, const std::string& name) {
  if (state.touched == step.warp.wgmma_epoch)
    report.note(HazardId::H03, "register " + name + " was accessed since the last wgmma.fence");
}

void check_written(RegisterReport& report, RegisterState& state, const std::string& name) {
  if (state.initialised == kAllLanes) return;
  report.note(HazardId::H11,
              name + " is a register that lanes " + lane_list(~state.initialised) + " have never written");
  state.initialised = kAllLanes;
}

}  // namespace

std::array<uint64_t, 2> wgmma_descriptors(const Step& step, const WgmmaForm& form) {
  std::array<uint64_t, 2> out{};
  for (uint32_t which = form.a_in_registers ? 1 : 0; which < 2; ++which) {
    const auto lanes = step.lanes<uint64_t>(static_cast<int>(which == 0 ? form.a_operand() : form.b_operand()));
    if (!same_in_all_lanes(lanes))
      step.hazard(HazardId::H16, std::string("the descriptor of ") + (which == 0 ? "A" : "B") +
                                     " differs between the lanes of the warp");
    out[which] = lanes[0];
  }
  return out;
}

std::array<std::vector<uint32_t>, 2> wgmma_chunks(const Step& step, const WgmmaForm& form,
                                                  const std::array<uint64_t, 2>& descriptors) {
  std::array<std::vector<uint32_t>, 2> out;
  const uint32_t end = kSharedWindow + static_cast<uint32_t>(step.cta.shared.size());
  for (uint32_t which = form.a_in_registers ? 1 : 0; which < 2; ++which) {
    const std::string name = which == 0 ? "the descriptor of A" : "the descriptor of B";
    const SharedOperand operand{MatrixDescriptor(descriptors[which]), which == 0 ? kGroupRows : form.n,
                                which == 0 ? form.a_mn_major : form.b_mn_major};
    const std::string fault = operand.descriptor.fault();
    if (!fault.empty()) step.hazard(HazardId::H16, name + " " + fault);
    out[which] = operand.chunks();
    const auto [first, last] = std::minmax_element(out[which].begin(), out[which].end());
    if (*first < kSharedWindow || *last + 16 > end)
      step.fault(HazardId::H16, name + " names bytes " + std::to_string(*first) + " to " + std::to_string(*last + 16) +
                                    ", the CTA's shared memory is " + std::to_string(kSharedWindow) + " to " +
                                    std::to_string(end));
  }
  return out;
}

bool wgmma_scale_d(const Step& step, const WgmmaForm& form) {
  if (form.scale_d >= 0) return form.scale_d != 0;
  const auto lanes = step.lanes<uint32_t>(static_cast<int>(form.b_operand() + 1));
  if (!same_in_all_lanes(lanes)) step.hazard(HazardId::H20, "scale-d differs between the lanes of the warp");
  return (lanes[0] != 0) != form.scale_d_negated;
}

void check_wgmma_registers(const Step& step, const WgmmaForm& form, const Accumulator::Member& last) {
  RegisterReport report(step);
  std::vector<RegisterState>& state = step.split.frame->state;
  if (!step.warp.wgmma_fenced) report.note(HazardId::H03, "no wgmma.fence stands before the first wgmma");
  if (last.held > 0 && last.epoch == step.warp.wgmma_epoch && !last.form->same_shape(form))
    report.note(HazardId::H03, "accumulates into the registers of a wgmma of another shape (" + last.form->text() +
                                   ") without a wgmma.fence between");
  const bool accumulates = wgmma_scale_d(step, form);
  for (uint32_t i = 0; i < form.d_registers; ++i) {
    RegisterState& d = state[step.operands[i].slot];
    const std::string name =
        d.touched == step.warp.wgmma_epoch || d.initialised != kAllLanes ? std::to_string(i) + " of D" : std::string();
    if (d.wgmma_writes > last.held)
      report.note(HazardId::H01, "accumulates into registers that the wgmma at line " + line_of(d) +
                                     " names in another place, before wgmma.wait_group");
    if (d.wgmma_reads != 0)
      report.note(HazardId::H02,
                  "accumulates into an A fragment of the wgmma at line " + line_of(d) + " before wgmma.wait_group");
    check_fenced(report, step, d, name);
    if (accumulates) check_written(report, d, name);
  }
  for (uint32_t j = 0; form.a_in_registers && j < 4; ++j) {
    RegisterState& a = state[step.operands[form.a_operand() + j].slot];
    if (a.wgmma_writes != 0)
      report.note(HazardId::H01,
                  "reads an accumulator of the wgmma at line " + line_of(a) + " as A fragment before wgmma.wait_group");
    check_fenced(report, step, a, std::to_string(j) + " of A");
    check_written(report, a, std::to_string(j) + " of A");
  }
  for (uint32_t i = form.a_operand() + (form.a_in_registers ? 4 : 0); i < step.inst.operand_count; ++i)
    if (step.operands[i].is_register)
      check_written(report, state[step.operands[i].slot], "operand " + std::to_string(i));
}

}  // namespace ptxsim
