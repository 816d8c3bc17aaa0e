// SPDX-License-Identifier: Apache-2.0
#include "sim/memory/banks.hpp"

#include <algorithm>

#include "sim/machine/machine.hpp"

namespace ptxsim {
namespace {

constexpr uint32_t kBanks = 32, kWord = 4;

/// Words by bank, each counted once however many lanes want it.
class Wavefront {
 public:
  void add(uint64_t word) {
    const uint32_t bank = static_cast<uint32_t>(word % kBanks);
    for (uint32_t i = 0; i < count_[bank]; ++i)
      if (words_[bank][i] == word) return;
    words_[bank][count_[bank]++] = word;
    most_ = std::max(most_, count_[bank]);
  }
  uint32_t most() const { return most_; }

 private:
  std::array<std::array<uint64_t, kLanes>, kBanks> words_;
  std::array<uint32_t, kBanks> count_{};
  uint32_t most_ = 0;
};

}  // namespace

BankCost bank_cost(const WarpAccess& access) {
  BankCost cost;
  const uint32_t lanes = kLanes / std::max(1u, access.bytes / kWord);
  for (uint32_t first = 0; first < kLanes; first += lanes) {
    const uint32_t group = access.mask >> first & (lanes == kLanes ? kAllLanes : (uint32_t{1} << lanes) - 1);
    if (group == 0) continue;
    Wavefront wavefront;
    for (uint32_t rest = group; rest != 0; rest &= rest - 1) {
      const uint64_t address = access.address[first + static_cast<uint32_t>(std::countr_zero(rest))];
      for (uint64_t word = address / kWord; word <= (address + access.bytes - 1) / kWord; ++word) wavefront.add(word);
    }
    ++cost.groups;
    cost.wavefronts += wavefront.most();
  }
  return cost;
}

void count_banks(const Step& step, const WarpAccess& access) {
  const BankCost cost = bank_cost(access);
  RunCounts& counts = step.machine.counts();
  counts.shared_accesses += cost.groups;
  counts.shared_wavefronts += cost.wavefronts;
  if (!step.machine.recorder().options().bank_conflicts) return;
  Trace::Conflicts& line = step.machine.recorder().trace().banks[step.inst.line];
  line.accesses += cost.groups;
  line.wavefronts += cost.wavefronts;
}

}  // namespace ptxsim
