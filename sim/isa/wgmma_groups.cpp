// SPDX-License-Identifier: Apache-2.0
#include "sim/isa/wgmma_groups.hpp"

#include <algorithm>
#include <cstring>

#include "sim/isa/hooks.hpp"
#include "sim/isa/wgmma_checks.hpp"
#include "sim/isa/wgmma_operands.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/site.hpp"
#include "sim/memory/access.hpp"

namespace ptxsim {
namespace {

constexpr size_t kRegisterBytes = kLanes * 4;
/// A quiet NaN as f32 and as two f16.
constexpr uint32_t kPoison = 0x7fff7fff;

uint32_t member_of(const Warp& warp) { return warp.index % kGroupWarps; }

}  // namespace

Warpgroup::Warpgroup(Cta& cta, uint32_t first_warp)
    : cta_(cta), first_warp_(first_warp), actor_(cta.cluster->new_actor()) {}

Warpgroup& Warpgroup::of(const Step& step) {
  Warp& warp = step.warp;
  if (warp.wgmma == nullptr) {
    const uint32_t first = warp.index / kGroupWarps * kGroupWarps;
    if (first + kGroupWarps > step.cta.warps.size())
      step.fault(HazardId::H20, "warp " + std::to_string(warp.index) + " belongs to no warpgroup: the CTA has " +
                                    std::to_string(step.cta.warps.size()) + " warps");
    const std::shared_ptr<Warpgroup> group(new Warpgroup(step.cta, first));
    for (uint32_t w = 0; w < kGroupWarps; ++w) step.cta.warps[first + w].wgmma = group;
  }
  return *static_cast<Warpgroup*>(warp.wgmma.get());
}

/// The wgmma that is the warp's next: a new one for the first warp that comes.
WgmmaOp& Warpgroup::next(const Step& step) {
  const uint64_t sequence = members_[member_of(step.warp)].next++;
  const size_t index = sequence - oldest_;
  if (index == progress_.size()) {
    progress_.emplace_back();
    progress_.back().gathering = std::make_unique<WgmmaOp>(step.machine, *this, sequence);
    begin(step, *progress_.back().gathering);
  } else {
    compare(step, *progress_[index].gathering);
  }
  return *progress_[index].gathering;
}

void Warpgroup::begin(const Step& step, WgmmaOp& op) {
  op.inst = &step.inst;
  op.form = static_cast<const WgmmaForm*>(step.inst.detail);
  op.cta = &cta_;
  op.issuer = site_of(*cta_.launch->program, step.inst, cta_, static_cast<int>(step.warp.index));
  op.issued_at = step.machine.now();
  op.descriptor = wgmma_descriptors(step, *op.form);
  op.chunks = wgmma_chunks(step, *op.form, op.descriptor);
  op.scale_d = wgmma_scale_d(step, *op.form);
  op.accumulator = &accumulator_of(step, *op.form);
  op.accumulator->order.push_back(op.sequence());
}

/// PTX ISA: all threads of the warpgroup execute the same wgmma.mma_async, with the same descriptors.
void Warpgroup::compare(const Step& step, const WgmmaOp& op) const {
  if (op.inst != &step.inst)
    step.fault(HazardId::H20,
               "another warp of the warpgroup runs the wgmma at line " + std::to_string(op.inst->line) + " instead");
  if (wgmma_descriptors(step, *op.form) != op.descriptor)
    step.hazard(HazardId::H16, "a descriptor differs from that of warp " + std::to_string(op.issuer.warp), -1,
                &op.issuer);
  if (wgmma_scale_d(step, *op.form) != op.scale_d)
    step.hazard(HazardId::H20, "scale-d differs from that of warp " + std::to_string(op.issuer.warp), -1, &op.issuer);
}

Accumulator& Warpgroup::accumulator_of(const Step& step, const WgmmaForm& form) {
  const auto same = [&](const std::unique_ptr<Accumulator>& each) {
    if (each->function != step.split.frame->function || each->slots.size() != form.d_registers) return false;
    for (uint32_t i = 0; i < form.d_registers; ++i)
      if (each->slots[i] != step.operands[i].slot) return false;
    return true;
  };
  const auto found = std::find_if(accumulators_.begin(), accumulators_.end(), same);
  if (found != accumulators_.end()) return **found;
  auto fresh = std::make_unique<Accumulator>();
  fresh->function = step.split.frame->function;
  for (uint32_t i = 0; i < form.d_registers; ++i) fresh->slots.push_back(step.operands[i].slot);
  fresh->image.reserve(size_t{kGroupWarps} * form.d_registers * kLanes);
  accumulators_.push_back(std::move(fresh));
  return *accumulators_.back();
}

void Warpgroup::issue(const Step& step) {
  WgmmaOp& op = next(step);
  const uint32_t member = member_of(step.warp);
  if (step.machine.checker().checks().registers) check_wgmma_registers(step, *op.form, op.accumulator->members[member]);
  take_registers(step, op);
  Clocks known = step.warp.clocks;
  known.generic.see(cta_.cluster->uid, step.warp.actor, step.warp.tick);
  if (std::all_of(op.frames.begin(), op.frames.end(), [](const auto& frame) { return frame == nullptr; })) {
    op.known = std::move(known);
  } else {
    op.known.generic.limit(known.generic);
    op.known.async_.limit(known.async_);
  }
  op.frames[member] = step.split.frame;
  if (std::all_of(op.frames.begin(), op.frames.end(), [](const auto& frame) { return frame != nullptr; }))
    launch(step, std::move(progress_[op.sequence() - oldest_].gathering));
}

/// The warp's registers of D go into the accumulator and those of D and A are in flight from here on.
void Warpgroup::take_registers(const Step& step, WgmmaOp& op) {
  const uint32_t member = member_of(step.warp);
  const WgmmaForm& form = *op.form;
  Accumulator& accumulator = *op.accumulator;
  Accumulator::Member& mine = accumulator.members[member];
  float* image = accumulator.image.data() + size_t{member} * form.d_registers * kLanes;
  for (uint32_t i = 0; mine.in_flight == 0 && i < form.d_registers; ++i) {
    std::byte* at = step.registers + accumulator.slots[i] * kRegisterBytes;
    if (op.scale_d) std::memcpy(image + i * kLanes, at, kRegisterBytes);
    std::fill_n(reinterpret_cast<uint32_t*>(at), kLanes, kPoison);
  }
  ++mine.in_flight;
  ++mine.held;
  mine.epoch = step.warp.wgmma_epoch;
  mine.form = &form;
  std::vector<RegisterState>& state = step.split.frame->state;
  for (const uint32_t slot : accumulator.slots) {
    ++state[slot].wgmma_writes;
    state[slot].wgmma_line = step.inst.line;
    state[slot].initialised = kAllLanes;
  }
  for (uint32_t j = 0; form.a_in_registers && j < 4; ++j) {
    RegisterState& fragment = state[step.operands[form.a_operand() + j].slot];
    ++fragment.wgmma_reads;
    fragment.wgmma_line = step.inst.line;
  }
  members_[member].held.push_back({op.sequence(), &step.inst, &form, &accumulator, step.split.frame});
}

/// All four warps have issued it. What it reads of shared memory must be known to each of them.
void Warpgroup::launch(const Step& step, std::unique_ptr<WgmmaOp> op) {
  const Event event{cta_.cluster->uid, actor_, static_cast<Tick>(op->sequence() + 1), kAllLanes};
  std::swap(step.warp.clocks, op->known);
  for (const auto& [address, bytes] : merged_ranges(op->chunks[0], op->chunks[1]))
    async_read_shared(step, cta_, address, bytes, event);
  std::swap(step.warp.clocks, op->known);
  RunCounts& counts = step.machine.counts();
  ++counts.matrix_instructions;
  counts.multiply_adds += uint64_t{kGroupRows} * op->form->n * op->form->k;
  step.machine.async().issue(std::move(op), step.machine.now());
}

void Warpgroup::commit(const Warp& warp) {
  Member& member = members_[member_of(warp)];
  member.groups.push_back(member.next);
}

uint64_t Warpgroup::limit(const Warp& warp, uint32_t newest) const {
  const std::deque<uint64_t>& groups = members_[member_of(warp)].groups;
  return groups.size() > newest ? groups[groups.size() - 1 - newest] : 0;
}

bool Warpgroup::done(uint64_t limit) const {
  for (uint64_t each = oldest_; each < limit; ++each)
    if (each - oldest_ >= progress_.size() || !progress_[each - oldest_].done) return false;
  return true;
}

void Warpgroup::pass(Warp& warp, uint64_t limit) {
  Member& member = members_[member_of(warp)];
  while (!member.groups.empty() && member.groups.front() <= limit) member.groups.pop_front();
  for (; !member.held.empty() && member.held.front().sequence < limit; member.held.pop_front()) {
    const Held& held = member.held.front();
    std::vector<RegisterState>& state = held.frame->state;
    for (const uint32_t slot : held.accumulator->slots) --state[slot].wgmma_writes;
    const Operand* operands = cta_.launch->program->operands.data() + held.inst->first_operand;
    for (uint32_t j = 0; held.form->a_in_registers && j < 4; ++j)
      --state[operands[held.form->a_operand() + j].slot].wgmma_reads;
    --held.accumulator->members[member_of(warp)].held;
  }
  if (limit == 0) return;
  warp.clocks.generic.see(cta_.cluster->uid, actor_, static_cast<Tick>(limit));
  warp.clocks.async_.see(cta_.cluster->uid, actor_, static_cast<Tick>(limit));
}

void Warpgroup::completed(uint64_t sequence) {
  progress_[sequence - oldest_].done = true;
  for (; !progress_.empty() && progress_.front().done; ++oldest_) progress_.pop_front();
}

void Warpgroup::exit(Machine& machine, Cta& cta) const {
  for (uint32_t w = 0; w < kGroupWarps; ++w) {
    if (members_[w].held.empty()) continue;
    Hazard hazard;
    hazard.id = HazardId::H06;
    hazard.kernel = cta.launch->entry->name;
    hazard.site = site_of(*cta.launch->program, *members_[w].held.front().inst, cta, static_cast<int>(first_warp_ + w));
    hazard.what = "no wgmma.wait_group covers it before the CTA ends";
    machine.checker().note(std::move(hazard));
  }
}

void WgmmaOp::read(uint32_t) {
  const float scale = form->negative ? -1.0f : 1.0f;
  const MatrixElement& a = matrix_element(form->a);
  const MatrixElement& b = matrix_element(form->b);
  a_.reserve(size_t{kGroupRows} * form->k * 4);
  b_.reserve(size_t{form->n} * form->k);
  std::vector<std::byte> dense;
  const auto fetch = [&](uint32_t which, uint32_t extent, bool mn_major) {
    dense.resize(chunks[which].size() * 16);
    const std::byte* shared = group_.cta().shared.data();
    for (size_t i = 0; i < chunks[which].size(); ++i)
      std::memcpy(dense.data() + i * 16, shared + (chunks[which][i] - kSharedWindow), 16);
    return DenseMatrix{dense.data(), mn_major, extent, form->k};
  };
  if (form->a_in_registers) {
    const Operand* operands = cta->launch->program->operands.data() + inst->first_operand + form->a_operand();
    for (uint32_t w = 0; w < kGroupWarps; ++w)
      a.a_from_registers({frames[w]->registers, operands, 4, 16, form->k}, scale, a_.data() + size_t{w} * form->k * 64);
  } else {
    a.a_from_memory(fetch(0, kGroupRows, form->a_mn_major), scale, a_.data());
  }
  b.b_from_memory(fetch(1, form->n, form->b_mn_major), b_.data());
}

void WgmmaOp::write(uint32_t) {
  const size_t member_floats = size_t{form->d_registers} * kLanes;
  float* image = accumulator->image.data();
  if (!scale_d) std::fill_n(image, kGroupWarps * member_floats, 0.0f);
  const FragmentProduct product{kGroupWarps, form->n, form->k, a_.data(), b_.data(), nullptr};
  accumulate(product, form->d, form->satfinite, product_mode(machine_.schedule().accumulate, is_float8(form->a)),
             image);
  for (uint32_t w = 0; w < kGroupWarps; ++w) {
    if (accumulator->members[w].in_flight > 1) continue;  // a later wgmma of the warp goes on with the image
    for (uint32_t i = 0; i < form->d_registers; ++i)
      std::memcpy(frames[w]->registers + accumulator->slots[i] * kRegisterBytes, image + w * member_floats + i * kLanes,
                  kRegisterBytes);
  }
}

void WgmmaOp::complete() {
  accumulator->order.pop_front();
  for (Accumulator::Member& member : accumulator->members) --member.in_flight;
  group_.completed(sequence_);
  machine_.event();
}

std::string WgmmaOp::describe() const {
  return "wgmma " + form->text() + " of warps " + std::to_string(group_.first_warp()) + "-" +
         std::to_string(group_.first_warp() + kGroupWarps - 1) + ", line " + std::to_string(inst->line);
}

void wgmma_exit(Machine& machine, Cta& cta) {
  for (uint32_t first = 0; first + kGroupWarps <= cta.warps.size(); first += kGroupWarps)
    if (cta.warps[first].wgmma != nullptr) static_cast<Warpgroup*>(cta.warps[first].wgmma.get())->exit(machine, cta);
}

}  // namespace ptxsim
