// SPDX-License-Identifier: Apache-2.0
#include "sim/hazard/history.hpp"

#include <algorithm>
#include <array>

#include "sim/hazard/order.hpp"

namespace ptxsim {
namespace {

/// What a cell holds: 0 for nothing, else a record's number plus 1, or with kSet the number of a set of such codes; a
/// cell's `write` with kSplit is the number of a Quad.
using Code = uint32_t;
constexpr Code kSplit = 1u << 31, kSet = 1u << 30, kNobody = 1;

struct Cell {
  Code write = 0, reads = 0;
};
/// A cell whose bytes have histories of their own.
struct Quad {
  std::array<Cell, 4> bytes;
  bool uniform() const {
    return std::all_of(bytes.begin() + 1, bytes.end(),
                       [&](const Cell& c) { return c.write == bytes[0].write && c.reads == bytes[0].reads; });
  }
};

constexpr uint64_t kPageCells = 1024;
constexpr size_t kLargestSet = 64;  ///< more parties than that share a byte in no kernel; the oldest is forgotten
constexpr size_t kFirstCollection = 1 << 17;

bool same(const Access& a, const Access& b) {
  return a.event.cluster == b.event.cluster && a.event.actor == b.event.actor && a.event.tick == b.event.tick &&
         a.event.lanes == b.event.lanes && a.lane_bytes == b.lane_bytes && a.first_lane == b.first_lane &&
         a.async == b.async && a.proxy == b.proxy && a.in_flight == b.in_flight && a.bulk == b.bulk &&
         a.strong == b.strong && a.scope == b.scope && a.line == b.line;
}

}  // namespace

struct History::Impl {
  uint64_t bytes = 0;
  bool reports_unwritten = false;
  std::vector<std::unique_ptr<std::array<Cell, kPageCells>>> pages;
  std::vector<Record> records;  ///< by code less 1; the first is nobody
  std::vector<std::vector<Code>> sets;
  std::vector<Quad> quads;
  std::vector<uint32_t> free_quads;
  size_t next_collection = kFirstCollection;

  /// One access to a range, and what it has found out about the cells it met.
  struct Pass {
    const Accessor* who;  ///< null: nothing is checked
    bool writes;
    Code code;
    Record now;
    Finding worst;
    Cell met{~0u, ~0u}, leaves;      ///< cells like `met` become `leaves`, and all is well
    Code added_to = ~0u, added = 0;  ///< the last result of add()
  };

  std::array<Cell, kPageCells>& page(uint64_t index) {
    auto& at = pages[index];
    if (at == nullptr) at = std::make_unique<std::array<Cell, kPageCells>>();
    return *at;
  }

  Code intern(const Access& access, uint64_t base) {
    if (access.lane_bytes == 0) base = 0;
    if (records.size() > 1 && records.back().base == base && same(records.back().access, access))
      return static_cast<Code>(records.size());
    records.push_back({access, base});
    return static_cast<Code>(records.size());
  }

  /// Calls f(record) for the records of a code, nobody excepted.
  template <class F>
  void for_records(Code code, F&& f) const {
    if (code == 0 || code == kNobody) return;
    if ((code & kSet) == 0) {
      f(records[code - 1]);
    } else {
      for (const Code each : sets[code & ~kSet]) f(records[each - 1]);
    }
  }

  /// Whether `old` need not be kept beside `now`: whatever will be ordered after `now` is ordered after `old`, too.
  static bool covered(const Record& old, const Pass& pass) {
    const Access& access = pass.now.access;
    if (old.access.async != access.async || (access.strong && !old.access.strong)) return false;
    const bool same_actor =
        old.access.event.cluster == access.event.cluster && old.access.event.actor == access.event.actor;
    if (access.async) return same_actor && old.access.event.tick <= access.event.tick;
    if (same_actor) return old.access.event.tick < pass.who->converged || same_lanes(old, pass.now);
    Event event = old.access.event;
    event.lanes = ~0u;
    return pass.who->clocks->generic.knows(access.event.cluster, event);
  }

  Code add(Code to, Pass& pass) {
    if (to == 0 || to == kNobody) return pass.code;
    if (to == pass.added_to) return pass.added;
    std::vector<Code> kept;
    const auto keep = [&](Code each) {
      if (each != pass.code && !covered(records[each - 1], pass)) kept.push_back(each);
    };
    if ((to & kSet) == 0) {
      keep(to);
    } else {
      for (const Code each : sets[to & ~kSet]) keep(each);
    }
    pass.added_to = to;
    if (kept.empty()) return pass.added = pass.code;
    if (kept.size() >= kLargestSet) kept.erase(kept.begin());
    kept.push_back(pass.code);
    sets.push_back(std::move(kept));
    return pass.added = static_cast<Code>(sets.size() - 1) | kSet;
  }

  void note(Pass& pass, Race race, const Record* other, uint64_t offset) {
    if (race <= pass.worst.race) return;
    pass.worst.race = race;
    pass.worst.offset = offset;
    pass.worst.lanes = lanes_at(pass.now.access, pass.now.base, offset);
    if (other == nullptr) return;
    pass.worst.other = other->access;
    pass.worst.other_lanes = lanes_at(other->access, other->base, offset);
  }

  /// Judges a byte; false when other bytes of the same history may fare differently, or worse was found.
  bool check(const Cell& cell, Pass& pass, uint64_t offset) {
    bool uniform = true;
    const auto against = [&](bool old_writes) {
      return [&, old_writes](const Record& old) {
        const Verdict verdict = judge(old, old_writes, pass.now, pass.writes, *pass.who, offset);
        uniform = uniform && verdict.uniform;
        if (verdict.race != Race::none) note(pass, verdict.race, &old, offset);
      };
    };
    for_records(cell.write, against(true));
    if (pass.writes) for_records(cell.reads, against(false));
    if (!pass.writes && cell.write == 0 && reports_unwritten) {
      note(pass, Race::never_written, nullptr, offset);
      uniform = false;
    }
    return uniform;
  }

  Cell updated(const Cell& cell, Pass& pass) {
    if (!pass.writes) return {cell.write, add(cell.reads, pass)};
    if (pass.who == nullptr) return {pass.code, cell.reads};
    return {pass.now.access.strong ? add(cell.write, pass) : pass.code, 0};
  }

  uint32_t new_quad(const Cell& cell) {
    uint32_t index = static_cast<uint32_t>(quads.size());
    if (free_quads.empty()) {
      quads.emplace_back();
    } else {
      index = free_quads.back();
      free_quads.pop_back();
    }
    quads[index].bytes.fill(cell);
    return index;
  }

  /// A cell that is split, touched in part, or like none met before in this pass.
  void slow(Cell& cell, uint64_t offset, uint32_t byte_mask, Pass& pass) {
    if ((cell.write & kSplit) == 0 && byte_mask == 0xf) {
      bool uniform = pass.who == nullptr || check(cell, pass, offset);
      if (!uniform)
        for (uint64_t byte = 1; byte < 4; ++byte) check(cell, pass, offset + byte);
      const Cell before = cell;
      cell = updated(cell, pass);
      if (uniform) pass.met = before, pass.leaves = cell;
      return;
    }
    const uint32_t index = (cell.write & kSplit) == 0 ? new_quad(cell) : cell.write & ~kSplit;
    for (uint32_t byte = 0; byte < 4; ++byte) {
      if ((byte_mask >> byte & 1) == 0) continue;
      const Cell part = quads[index].bytes[byte];
      if (pass.who != nullptr) check(part, pass, offset + byte);
      quads[index].bytes[byte] = updated(part, pass);
    }
    if (quads[index].uniform()) {
      cell = quads[index].bytes[0];
      free_quads.push_back(index);
    } else {
      cell = {index | kSplit, 0};
    }
  }

  void run(uint64_t offset, uint64_t count, Pass& pass) {
    const uint64_t first = offset / 4, last = (offset + count - 1) / 4;
    const uint32_t first_mask = 0xfu << (offset % 4) & 0xf, last_mask = 0xfu >> (3 - (offset + count - 1) % 4);
    for (uint64_t at = first; at <= last;) {
      auto& cells = page(at / kPageCells);
      const uint64_t end = std::min(last + 1, (at / kPageCells + 1) * kPageCells);
      for (; at < end; ++at) {
        Cell& cell = cells[at % kPageCells];
        const uint32_t mask = (at == first ? first_mask : 0xf) & (at == last ? last_mask : 0xf);
        if (cell.write == pass.met.write && cell.reads == pass.met.reads && mask == 0xf)
          cell = pass.leaves;
        else
          slow(cell, at * 4, mask, pass);
      }
    }
  }

  Finding access(uint64_t offset, uint64_t count, const Accessor& who, bool writes) {
    if (count == 0) return {};
    if (records.size() + sets.size() > next_collection) collect();
    Pass pass{};
    pass.who = &who;
    pass.writes = writes;
    pass.code = intern(who.access, offset);
    pass.now = {who.access, who.access.lane_bytes == 0 ? 0 : offset};
    run(offset, count, pass);
    return pass.worst;
  }

  void put(uint64_t offset, uint64_t count, Code code) {
    if (count == 0) return;
    Pass pass{};
    pass.who = nullptr;
    pass.writes = true;
    pass.code = code;
    run(offset, count, pass);
  }

  template <class F>
  void for_cells(F&& f) {
    for (auto& at : pages) {
      if (at == nullptr) continue;
      for (Cell& cell : *at)
        if ((cell.write & kSplit) == 0) f(cell);
    }
    for (Quad& quad : quads)
      for (Cell& cell : quad.bytes) f(cell);
  }

  /// Drops the records and sets that no cell names any more.
  void collect() {
    for (const uint32_t index : free_quads) quads[index].bytes.fill(Cell{});
    std::vector<Code> record_now(records.size() + 1, 0), set_now(sets.size(), 0);
    const auto mark = [&](Code code) {
      if ((code & kSet) == 0) {
        record_now[code] = 1;
      } else if (set_now[code & ~kSet] == 0) {
        set_now[code & ~kSet] = 1;
        for (const Code each : sets[code & ~kSet]) record_now[each] = 1;
      }
    };
    for_cells([&](const Cell& cell) { mark(cell.write), mark(cell.reads); });
    record_now[0] = 0;
    record_now[kNobody] = 1;
    std::vector<Record> live_records;
    for (Code code = 1; code < record_now.size(); ++code) {
      if (record_now[code] == 0) continue;
      live_records.push_back(records[code - 1]);
      record_now[code] = static_cast<Code>(live_records.size());
    }
    std::vector<std::vector<Code>> live_sets;
    for (size_t i = 0; i < sets.size(); ++i) {
      if (set_now[i] == 0) continue;
      for (Code& each : sets[i]) each = record_now[each];
      live_sets.push_back(std::move(sets[i]));
      set_now[i] = static_cast<Code>(live_sets.size() - 1) | kSet;
    }
    const auto renumber = [&](Code& code) { code = (code & kSet) == 0 ? record_now[code] : set_now[code & ~kSet]; };
    for_cells([&](Cell& cell) { renumber(cell.write), renumber(cell.reads); });
    records = std::move(live_records);
    sets = std::move(live_sets);
    next_collection = std::max(kFirstCollection, 2 * (records.size() + sets.size()));
  }

  Code write_of(uint64_t offset) const {
    const auto& at = pages[offset / 4 / kPageCells];
    if (at == nullptr) return 0;
    const Cell& cell = (*at)[offset / 4 % kPageCells];
    return (cell.write & kSplit) == 0 ? cell.write : quads[cell.write & ~kSplit].bytes[offset % 4].write;
  }
};

History::History() : impl_(std::make_unique<Impl>()) {}
History::~History() = default;
History::History(History&&) noexcept = default;
History& History::operator=(History&&) noexcept = default;

void History::reset(uint64_t bytes, bool reports_unwritten) {
  *impl_ = Impl{};
  impl_->bytes = bytes;
  impl_->reports_unwritten = reports_unwritten;
  impl_->pages.resize((bytes + 4 * kPageCells - 1) / (4 * kPageCells));
  impl_->records.emplace_back();
}

Finding History::read(uint64_t offset, uint64_t bytes, const Accessor& who) {
  return impl_->access(offset, bytes, who, false);
}

Finding History::write(uint64_t offset, uint64_t bytes, const Accessor& who) {
  return impl_->access(offset, bytes, who, true);
}

void History::overwrite(uint64_t offset, uint64_t bytes, const Access& who) {
  impl_->put(offset, bytes, impl_->intern(who, offset));
}

void History::set_written(uint64_t offset, uint64_t bytes, bool written) {
  impl_->put(offset, bytes, written ? kNobody : 0);
}

bool History::written(uint64_t offset, uint64_t bytes) const {
  for (uint64_t at = offset; at < offset + bytes; ++at)
    if (impl_->write_of(at) == 0) return false;
  return true;
}

const Access* History::last_write(uint64_t offset) const {
  const Access* last = nullptr;
  impl_->for_records(impl_->write_of(offset), [&](const Record& record) { last = &record.access; });
  return last;
}

size_t History::memory() const {
  size_t total = impl_->records.capacity() * sizeof(Record) + impl_->quads.capacity() * sizeof(Quad) +
                 impl_->sets.capacity() * sizeof(std::vector<Code>);
  for (const auto& set : impl_->sets) total += set.capacity() * sizeof(Code);
  for (const auto& page : impl_->pages) total += page == nullptr ? 0 : sizeof *page;
  return total;
}

}  // namespace ptxsim
