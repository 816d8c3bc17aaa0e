// SPDX-License-Identifier: Apache-2.0
#include "sim/machine/async.hpp"

#include <algorithm>
#include <limits>

#include "sim/trace/trace.hpp"

namespace ptxsim {
namespace {

constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();
/// Delays are below 2^kDelayBits warp instructions: longer than a tile's work.
constexpr uint64_t kDelayBits = 13;

}  // namespace

/// Of any order of magnitude with the same probability.
uint64_t AsyncEngine::delay() {
  const uint64_t magnitude = random_() % kDelayBits;
  return random_() % (uint64_t{1} << magnitude);
}

void AsyncEngine::issue(std::unique_ptr<AsyncOp> op, uint64_t now) {
  op->issued_at = now;
  Pending pending;
  pending.op = std::move(op);
  if (recorder_.timeline(pending.op->issuer.cta)) pending.span = recorder_.begin_flight(*pending.op, now);
  switch (policy_) {
    case AsyncPolicy::eager: pending.read_due = pending.write_due = now; break;
    case AsyncPolicy::random:
      pending.read_due = now + delay();
      pending.write_due = pending.read_due + delay();
      break;
    case AsyncPolicy::latest: pending.read_due = pending.write_due = kNever; break;
    case AsyncPolicy::split:
      pending.read_due = now;
      pending.write_due = now + delay();
      break;
  }
  next_look_ = std::min(next_look_, pending.read_due);
  ops_.push_back(std::move(pending));
  if (policy_ == AsyncPolicy::eager) step(ops_.size() - 1, now);
}

/// `split`: some, all or none of the parts are read at once; the writes have an order of their own.
void AsyncEngine::start(Pending& pending) {
  pending.started = true;
  if (policy_ != AsyncPolicy::split) return;
  const uint32_t parts = pending.op->parts();
  pending.read.assign(parts, 0);
  pending.order.resize(parts);
  for (uint32_t part = 0; part < parts; ++part) pending.order[part] = part;
  std::shuffle(pending.order.begin(), pending.order.end(), random_);
  const uint64_t how_many = random_() % 3;
  uint64_t coins = 0;
  for (uint32_t part = 0; part < parts; ++part) {
    if (part % 64 == 0) coins = how_many == 0 ? 0 : how_many == 1 ? random_() : ~uint64_t{0};
    if ((coins >> part % 64 & 1) == 0) continue;
    pending.op->read(part);
    pending.read[part] = 1;
  }
}

void AsyncEngine::read_rest(Pending& pending) {
  if (pending.read_all) return;
  const uint32_t parts = pending.op->parts();
  for (uint32_t part = 0; part < parts; ++part)
    if (pending.read.empty() || pending.read[part] == 0) pending.op->read(part);
  pending.read_all = true;
}

void AsyncEngine::write_some(Pending& pending, size_t parts) {
  const size_t end = std::min(pending.order.size(), pending.written + parts);
  for (; pending.written < end; ++pending.written) {
    const uint32_t part = pending.order[pending.written];
    if (!pending.read_all && pending.read[part] == 0) {
      pending.op->read(part);
      pending.read[part] = 1;
    }
    pending.op->write(part);
  }
}

void AsyncEngine::finish(size_t index, uint64_t now) {
  Pending pending = std::move(ops_[index]);
  ops_.erase(ops_.begin() + static_cast<ptrdiff_t>(index));
  if (!pending.started) start(pending);
  read_rest(pending);
  if (policy_ == AsyncPolicy::split) {
    write_some(pending, pending.order.size());
  } else {
    const uint32_t parts = pending.op->parts();
    for (uint32_t part = 0; part < parts; ++part) pending.op->write(part);
  }
  pending.op->complete();
  if (pending.span != kNoSpan) recorder_.close(pending.span, now);
}

/// What is due happens; true when the operation is complete and gone.
bool AsyncEngine::step(size_t index, uint64_t now) {
  Pending& pending = ops_[index];
  if (now < pending.read_due || !may_progress(pending)) return false;
  if (!pending.started) start(pending);
  if (now >= pending.write_due) {
    finish(index, now);
    return true;
  }
  if (policy_ == AsyncPolicy::split) {
    if (random_() % 2 == 0) write_some(pending, 1 + random_() % (pending.order.size() / 4 + 1));
  } else {
    read_rest(pending);
  }
  return false;
}

bool AsyncEngine::pump(uint64_t now, bool idle) {
  if (!idle) {
    if (policy_ == AsyncPolicy::latest || ops_.empty() || now < next_look_) return false;
    next_look_ = kNever;
    bool any = false;
    for (size_t i = 0; i < ops_.size();) {
      if (step(i, now)) {
        any = true;
        continue;
      }
      // One that must not start yet, or goes on in pieces, is due at once.
      next_look_ = std::min(next_look_, std::max(ops_[i++].due(), now));
    }
    return any;
  }
  size_t chosen = ops_.size(), candidates = 0;
  for (size_t i = 0; i < ops_.size(); ++i) {
    if (!may_progress(ops_[i])) continue;
    ++candidates;
    const bool take = policy_ == AsyncPolicy::random ? chosen == ops_.size() || ops_[i].due() < ops_[chosen].due()
                                                     : random_() % candidates == 0;
    if (take) chosen = i;
  }
  if (candidates == 0) return false;
  // First the reads alone; the writes when that has not let anyone go on.
  Pending& pending = ops_[chosen];
  if (!pending.started) start(pending);
  if (!pending.read_all && pending.op->parts() != 0)
    read_rest(pending);
  else
    finish(chosen, now);
  return true;
}

std::vector<const AsyncOp*> AsyncEngine::pending() const {
  std::vector<const AsyncOp*> out;
  for (const Pending& each : ops_) out.push_back(each.op.get());
  return out;
}

void AsyncEngine::end(const Cta& cta, uint64_t now) {
  const auto own = [&](const Pending& pending) { return pending.op->cta == &cta; };
  for (size_t i = 0; i < ops_.size();) {
    if (own(ops_[i]) && may_progress(ops_[i])) {
      finish(i, now);
      i = 0;  // its end may let others start
    } else {
      ++i;
    }
  }
  std::erase_if(ops_, own);
}

}  // namespace ptxsim
