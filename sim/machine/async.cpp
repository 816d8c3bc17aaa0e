// SPDX-License-Identifier: Apache-2.0
#include "sim/machine/async.hpp"

#include <algorithm>

#include "sim/trace/trace.hpp"

namespace ptxsim {
namespace {

/// Delays are drawn between nothing and this many warp instructions, short and long ones equally often.
constexpr uint32_t kLongestDelayLog2 = 12;

uint64_t draw_delay(std::mt19937_64& random) {
  const uint64_t range = uint64_t{1} << (random() % (kLongestDelayLog2 + 1));
  return random() % range;
}

}  // namespace

void AsyncEngine::issue(std::unique_ptr<AsyncOp> op, uint64_t now) {
  Pending pending;
  pending.op = std::move(op);
  if (recorder_.timeline(pending.op->issuer.cta)) pending.span = recorder_.begin_flight(*pending.op, now);
  pending.due = policy_ == AsyncPolicy::latest ? UINT64_MAX : now;
  if (policy_ == AsyncPolicy::random || policy_ == AsyncPolicy::split) pending.due += draw_delay(random_);
  pending.read.assign(pending.op->parts(), 0);
  pending.written.assign(pending.op->parts(), 0);
  ops_.push_back(std::move(pending));
  if (policy_ == AsyncPolicy::eager) pump(now, false);
}

/// Does what is left of the operation and lets it go.
void AsyncEngine::finish(size_t index, uint64_t now) {
  Pending pending = std::move(ops_[index]);
  ops_.erase(ops_.begin() + static_cast<ptrdiff_t>(index));
  const uint32_t parts = static_cast<uint32_t>(pending.read.size());
  for (uint32_t part = 0; part < parts; ++part) {
    if (pending.read[part] == 0) pending.op->read(part);
    if (pending.written[part] == 0) pending.op->write(part);
  }
  pending.op->complete();
  if (pending.span != kNoSpan) recorder_.close(pending.span, now);
}

/// Before its time, a split operation reads some parts and writes some of those it has read.
void AsyncEngine::advance(Pending& pending) {
  const uint32_t parts = static_cast<uint32_t>(pending.read.size());
  for (uint32_t count = static_cast<uint32_t>(random_() % 8); count > 0; --count) {
    const uint32_t part = static_cast<uint32_t>(random_() % parts);
    if (pending.read[part] == 0) {
      pending.op->read(part);
      pending.read[part] = 1;
    } else if (pending.written[part] == 0) {
      pending.op->write(part);
      pending.written[part] = 1;
    }
  }
}

bool AsyncEngine::pump(uint64_t now, bool idle) {
  bool any = false;
  // An operation that finishes may let one behind it start: each round looks at all of them again.
  for (size_t i = 0; i < ops_.size();) {
    if (ops_[i].op->may_start() && ops_[i].due <= now) {
      finish(i, now);
      any = true;
      i = 0;
    } else {
      ++i;
    }
  }
  if (policy_ == AsyncPolicy::split && !idle)
    for (Pending& pending : ops_)
      if (pending.op->may_start() && !pending.read.empty()) advance(pending);
  if (!idle || any) return any;
  // Nothing else can run: one operation that can start is next, whatever its time.
  std::vector<size_t> ready;
  for (size_t i = 0; i < ops_.size(); ++i)
    if (ops_[i].op->may_start()) ready.push_back(i);
  if (ready.empty()) return false;
  finish(ready[random_() % ready.size()], now);
  return true;
}

std::vector<const AsyncOp*> AsyncEngine::pending() const {
  std::vector<const AsyncOp*> out;
  for (const Pending& pending : ops_) out.push_back(pending.op.get());
  return out;
}

void AsyncEngine::end(const Cta& cta, uint64_t now) {
  const auto own = [&](const Pending& pending) { return pending.op->cta == &cta; };
  for (;;) {
    const auto next =
        std::find_if(ops_.begin(), ops_.end(), [&](const Pending& p) { return own(p) && p.op->may_start(); });
    if (next == ops_.end()) break;
    finish(static_cast<size_t>(next - ops_.begin()), now);
  }
  std::erase_if(ops_, own);
}

}  // namespace ptxsim
