// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.12 "Control flow instructions", and trap, brkpt, nanosleep of 9.7.19.
#include <algorithm>
#include <cstring>

#include "sim/isa/decode.hpp"
#include "sim/machine/cta.hpp"
#include "sim/machine/frame.hpp"
#include "sim/machine/machine.hpp"

namespace ptxsim {
namespace {

Split other_lanes(const Split& split, uint32_t mask, int32_t pc) {
  Split other;
  other.mask = mask;
  other.pc = pc;
  other.frame = split.frame;
  return other;
}

Outcome bra(Step& s) {
  const uint32_t stay = s.split.mask & ~s.mask;
  s.split.mask = s.mask;
  const int32_t behind = s.split.pc + 1;
  s.split.pc = s.inst.target;
  if (stay != 0) s.warp.splits.push_back(other_lanes(s.split, stay, behind));
  return Outcome::jumped;
}

/// brx.idx: a table of targets, one split per target that some lane takes.
Outcome brx(Step& s) {
  const auto& targets = *static_cast<const std::vector<int32_t>*>(s.inst.detail);
  const auto index = s.lanes<uint32_t>(0);
  const int32_t behind = s.split.pc + 1;
  const uint32_t stay = s.split.mask & ~s.mask;
  std::vector<Split> more;
  if (stay != 0) more.push_back(other_lanes(s.split, stay, behind));
  bool first = true;
  uint32_t rest = s.mask;
  while (rest != 0) {
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(rest));
    const uint32_t choice = index[lane];
    if (choice >= targets.size())
      s.fault(HazardId::fault,
              "brx.idx: index " + std::to_string(choice) + " of " + std::to_string(targets.size()) + " targets",
              static_cast<int>(lane));
    uint32_t group = 0;
    for_lanes(rest, [&](uint32_t l) { group |= uint32_t{index[l] == choice} << l; });
    rest &= ~group;
    if (first) {
      s.split.mask = group;
      s.split.pc = targets[choice];
    } else {
      more.push_back(other_lanes(s.split, group, targets[choice]));
    }
    first = false;
  }
  for (Split& split : more) s.warp.splits.push_back(std::move(split));
  return Outcome::jumped;
}

/// Copies a parameter or result between two frames of the lanes' local memory, and with it which bytes were ever
/// written.
void copy_local(Step& s, uint32_t to, uint32_t from, uint64_t bytes) {
  const auto size = static_cast<ptrdiff_t>(bytes);
  s.cta.local_written.resize(s.cta.local.size());
  for_lanes(s.mask, [&](uint32_t lane) {
    const size_t thread = size_t{s.warp.index} * kLanes + lane;
    auto& local = s.cta.local[thread];
    auto& written = s.cta.local_written[thread];
    written.resize(local.size());
    std::copy_n(local.begin() + from, size, local.begin() + to);
    std::copy_n(written.begin() + from, size, written.begin() + to);
  });
}

/// The text at the address that the first lane passes as a parameter.
std::string text_param(Step& s, uint32_t param) {
  const auto& local = s.cta.local[size_t{s.warp.index} * kLanes + s.first_lane()];
  uint64_t address = 0;
  std::memcpy(&address, local.data() + s.split.frame->local_base + param, sizeof address);
  const DeviceMemory::Block* block = s.machine.memory().find(address, 1);
  if (block == nullptr) return "a text that is not in memory";
  std::string text;
  for (uint64_t at = address - block->address; at < block->bytes && block->data[at] != std::byte{0}; ++at)
    text += static_cast<char>(block->data[at]);
  return text;
}

/// Functions that the device's runtime library has, and a simulated kernel may call.
Outcome call_builtin(Step& s, const CallDetail& detail) {
  if (detail.name == "__assertfail" && !detail.params.empty())
    s.fault(HazardId::fault, "an assertion failed: " + text_param(s, detail.params[0]),
            static_cast<int>(s.first_lane()));
  if (detail.name != "vprintf")
    s.fault(HazardId::fault, "calls " + detail.name + ", which the simulator does not have");
  // Nothing is printed, so the number of arguments that were is zero.
  s.cta.local_written.resize(s.cta.local.size());
  for_lanes(s.mask, [&](uint32_t lane) {
    const size_t thread = size_t{s.warp.index} * kLanes + lane;
    auto& written = s.cta.local_written[thread];
    written.resize(s.cta.local[thread].size());
    for (const uint32_t result : detail.results) {
      const auto at = static_cast<ptrdiff_t>(s.split.frame->local_base + result);
      std::fill_n(s.cta.local[thread].begin() + at, sizeof(int32_t), std::byte{0});
      std::fill_n(written.begin() + at, sizeof(int32_t), uint8_t{1});
    }
  });
  return Outcome::next;
}

/// call: a frame of the callee for the lanes that call, whose parameters are copies of the caller's .param variables.
Outcome call(Step& s) {
  const auto& detail = *static_cast<const CallDetail*>(s.inst.detail);
  if (s.inst.target < 0) return call_builtin(s, detail);
  const Program& program = *s.cta.launch->program;
  const Function& callee = program.functions[static_cast<size_t>(s.inst.target)];
  const uint32_t stay = s.split.mask & ~s.mask;
  const int32_t behind = s.split.pc + 1;
  const Frame& caller = *s.split.frame;
  if (caller.depth == kMaxCalls || uint64_t{local_base_of(caller, callee)} + callee.local_bytes > kMaxStackBytes)
    s.fault(HazardId::fault,
            "the stack overflows: " + detail.name + " is called " + std::to_string(caller.depth + 1) +
                " calls deep, with " + std::to_string(caller.local_base + caller.function->local_bytes) +
                " bytes of local memory in use",
            static_cast<int>(s.first_lane()));
  auto frame = new_frame(s.machine, s.cta, s.warp.index, callee, s.split.frame);
  frame->return_pc = behind;
  frame->call = &s.inst;
  for (size_t i = 0; i < detail.params.size(); ++i) {
    const Variable& to = callee.params[i];
    copy_local(s, frame->local_base + static_cast<uint32_t>(to.offset), s.split.frame->local_base + detail.params[i],
               to.bytes);
  }
  Split others = other_lanes(s.split, stay, behind);
  s.split.mask = s.mask;
  s.split.frame = std::move(frame);
  s.split.pc = callee.first_pc;
  if (stay != 0) s.warp.splits.push_back(std::move(others));
  return Outcome::jumped;
}

Outcome leave(Step& s) {
  s.warp.live &= ~s.mask;
  s.split.mask &= ~s.mask;
  if (s.split.mask != 0) ++s.split.pc;
  s.machine.event();
  return Outcome::jumped;
}

/// ret: back to the caller, results copied into its .param variables; in an entry the thread ends.
Outcome ret(Step& s) {
  const std::shared_ptr<Frame> frame = s.split.frame;
  if (!frame->caller) return leave(s);
  const auto& detail = *static_cast<const CallDetail*>(frame->call->detail);
  const Function& callee = *frame->function;
  for (size_t i = 0; i < detail.results.size(); ++i) {
    const Variable& from = callee.results[i];
    copy_local(s, frame->caller->local_base + detail.results[i], frame->local_base + static_cast<uint32_t>(from.offset),
               from.bytes);
  }
  const uint32_t stay = s.split.mask & ~s.mask;
  Split back;
  back.mask = s.mask;
  back.pc = frame->return_pc;
  back.frame = frame->caller;
  if (stay == 0) {
    s.split = std::move(back);
  } else {
    s.split.mask = stay;
    ++s.split.pc;
    s.warp.splits.push_back(std::move(back));
  }
  return Outcome::jumped;
}

Outcome trap(Step& s) { s.fault(HazardId::fault, "trap", static_cast<int>(s.first_lane())); }

/// nanosleep: time passes; here, other warps get their turn.
Outcome nanosleep(Step& s) {
  s.split.wait.kind = Wait::Kind::sleep;
  s.split.wait.value[0] = s.machine.now();
  s.split.wait.ready = [](Machine& machine, Warp&, Split& split) {
    // The second question is asked after another warp's turn, or when there is no other warp.
    return machine.now() > split.wait.value[0] || split.wait.value[1]++ > 1;
  };
  return Outcome::blocked;
}

Outcome nothing(Step&) { return Outcome::next; }

}  // namespace

void decode_bra(Decode& d) {
  d.ignore({"uni"});
  d.label();
  d.emit(&bra);
}

void decode_brx(Decode& d) {
  d.ignore({"uni"});
  d.in(Type::u32);
  d.label_list();
  d.emit(&brx);
}

void decode_call(Decode& d) {
  d.ignore({"uni"});
  d.call();
  d.emit(&call);
}

void decode_ret(Decode& d) {
  d.ignore({"uni"});
  d.emit(&ret);
}

void decode_exit(Decode& d) { d.emit(&leave); }
void decode_trap(Decode& d) { d.emit(&trap); }
void decode_brkpt(Decode& d) { d.emit(&nothing); }

void decode_nanosleep(Decode& d) {
  d.type({Type::u32});
  d.in(Type::u32);
  d.emit(&nanosleep);
}

void decode_pmevent(Decode& d) {
  d.ignore({"mask"});
  d.immediate();
  d.emit(&nothing);
}

}  // namespace ptxsim
