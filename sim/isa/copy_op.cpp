// SPDX-License-Identifier: Apache-2.0
#include "sim/isa/copy_op.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "sim/machine/site.hpp"
#include "sim/memory/access.hpp"
#include "sim/memory/checks.hpp"

namespace ptxsim {

CopyOp::CopyOp(const Step& step, uint32_t lane, const char* name) : machine_(step.machine), name_(name) {
  cta = &step.cta;
  issuer = site_of(*step.cta.launch->program, step.inst, step.cta, static_cast<int>(step.warp.index),
                   static_cast<int>(lane));
}

void CopyOp::read(uint32_t part) {
  if (buffer_ == nullptr) {
    buffer_ = std::make_unique_for_overwrite<std::byte[]>(pieces.size() * 16);
    reads_left_ = parts();
  }
  const CopyPart& piece = pieces[part];
  std::byte* to = buffer_.get() + size_t{part} * 16;
  if (clips_destination || piece.count == piece.bytes) {
    std::memcpy(to, piece.from, piece.bytes);
  } else {
    std::memcpy(to, fill.data(), piece.bytes);
    if (piece.count != 0) std::memcpy(to + piece.first, piece.from, piece.count);
  }
  if (convert != nullptr) convert(to);
  if (--reads_left_ != 0 || flight == nullptr) return;
  flight->read = true;
  machine_.event();
}

void CopyOp::write(uint32_t part) {
  const CopyPart& piece = pieces[part];
  const std::byte* from = buffer_.get() + size_t{part} * 16;
  const uint32_t count = clips_destination ? piece.count : piece.bytes;
  if (clips_destination) from += piece.first;
  if (count == 0) return;
  const auto put = [&](std::byte* to) {
    if (reduce != nullptr)
      reduce(to, from, count);
    else
      std::memcpy(to, from, count);
  };
  if (targets.empty()) put(piece.to);
  for (const CopyTarget& target : targets) put(piece.to + target.from_first);
}

void CopyOp::complete() {
  if (flight != nullptr) {
    flight->read = flight->done = true;
    machine_.event();
  }
  for (const CopyTarget& target : targets) {
    // Who ends without having waited has been reported at its end, whether the bytes have landed or not.
    if (target.mbarrier.cta->exited) continue;
    if (reduce == nullptr)
      async_write_done(*target.mbarrier.cta, target.offset, bytes, mbarrier_event(target.mbarrier), issuer.line);
    mbarrier_complete_tx(machine_, target.mbarrier, bytes, issuer);
  }
}

std::string CopyOp::describe() const {
  std::string text =
      std::string(name_) + " of " + std::to_string(bytes) + " bytes, line " + std::to_string(issuer.line);
  for (const CopyTarget& target : targets) {
    char offset[16];
    std::snprintf(offset, sizeof offset, "0x%x", target.offset);
    text += std::string(", to shared ") + offset + ", " + mbarrier_name(target.mbarrier);
  }
  return text;
}

Step only_lane(const Step& step, uint32_t lane) {
  Step one = step;
  one.mask = uint32_t{1} << lane;
  return one;
}

void add_parts(CopyOp& op, const std::byte* from, std::byte* to, uint64_t bytes) {
  op.pieces.reserve(op.pieces.size() + bytes / 16);
  for (uint64_t at = 0; at < bytes; at += 16) op.pieces.push_back({from + at, to + at, 16, 0, 16});
}

void add_target(const Step& step, CopyOp& op, const MbarrierPlace& mbarrier, uint32_t offset) {
  CopyTarget target{mbarrier, offset, 0};
  if (!op.targets.empty()) {
    const CopyTarget& first = op.targets.front();
    target.from_first = mbarrier.cta->shared.data() - first.mbarrier.cta->shared.data();
  }
  Mbarrier& object = mbarrier_at(mbarrier);
  object.last_bytes = std::max(object.last_bytes, object.tick);
  object.last_bytes_at = op.issuer;
  const Event event = mbarrier_event(mbarrier);
  if (op.reduce == nullptr) {
    async_write_shared(step, *mbarrier.cta, offset, op.bytes, event);
  } else {
    Accessor who = async_accessor(step, event);
    who.access.strong = true;
    who.access.scope = Scope::cluster;
    check_shared(step, *mbarrier.cta, offset, op.bytes, who, Touch::read_write);
  }
  op.targets.push_back(target);
}

void launch_copy(const Step& step, std::unique_ptr<CopyOp> op) {
  step.machine.counts().async_copied_bytes += uint64_t{op->bytes} * std::max<size_t>(1, op->targets.size());
  step.machine.async().issue(std::move(op), step.machine.now());
}

}  // namespace ptxsim
