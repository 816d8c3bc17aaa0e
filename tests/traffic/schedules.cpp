// SPDX-License-Identifier: Apache-2.0
#include "schedules.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <tuple>

#include "cpu/decode_kernel.hpp"
#include "cpu/row_mask.hpp"
#include "plan/memory_traffic.hpp"

namespace attend::test {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

/// The tensors of a run, rows by sequence, head and position.
struct Tensors {
  Tensors(const AttentionFwd& problem, const AttentionFwdArgs& args)
      : p(problem),
        q(p.q_type, args.q),
        k(p.k_type, args.k),
        v(p.v_type, args.v),
        o(p.o_type, args.o),
        lse(DType::f32, args.lse) {}

  void load_q(Tile& to, int64_t at, int64_t n, int64_t head, int64_t row) const {
    to.load(q, p.q_offset(n, row, head), p.d, at * p.d);
  }
  void load_k(Tile& to, int64_t at, int64_t n, int64_t head, int64_t key) const {
    to.load(k, p.k_offset(n, key, head / p.group()), p.d, at * p.d);
  }
  void load_v(Tile& to, int64_t at, int64_t n, int64_t head, int64_t key) const {
    to.load(v, p.v_offset(n, key, head / p.group()), p.dv, at * p.dv);
  }
  void store_o(const Tile& from, int64_t at, int64_t n, int64_t head, int64_t row) const {
    from.store(o, p.o_offset(n, row, head), p.dv, at * p.dv);
  }
  void store_lse(const Tile& from, int64_t at, int64_t n, int64_t head, int64_t row) const {
    if (p.lse) from.store(lse, p.lse_offset(n, row, head), 1, at);
  }

  const AttentionFwd& p;
  MainArray q, k, v, o, lse;
};

/// scale * q.k of a row and a key in the level.
double score(const AttentionFwd& p, const Tile& q, int64_t row, const Tile& k, int64_t key) {
  double sum = 0;
  for (int64_t c = 0; c < p.d; ++c) sum += q[row * p.d + c] * k[key * p.d + c];
  return p.effective_scale() * sum;
}

/// exp(x - m), where a row that has seen nothing yet has m = -inf.
double weight(double x, double m) { return x == -kInf ? 0 : std::exp(x - m); }

/// A matrix in main memory that only a schedule knows.
struct Temporary {
  Temporary(DType type, int64_t count)
      : bytes(static_cast<size_t>(count * dtype_bytes(type))), array(type, bytes.data()) {}
  std::vector<std::byte> bytes;
  MainArray array;
};

/// Rows whose output is summed unnormalised: state [rows][2], the maximum and the sum; out [rows][dv].
struct Rows {
  Rows(Level& level, int64_t rows, int64_t columns)
      : state(level, DType::f32, 2 * rows), out(level, DType::f32, rows * columns), dv(columns) {
    for (int64_t i = 0; i < rows; ++i) state.set(2 * i, -kInf);
  }

  /// FlashAttention-2 (arXiv:2307.08691), algorithm 1, lines 8 to 10, for one row: scores [first, first + keys), -inf
  /// where masked, and values that begin at value_at in `values`.
  void add(int64_t row, const Tile& scores, int64_t first, int64_t keys, const Tile& values, int64_t value_at) {
    double top = state[2 * row];
    for (int64_t i = 0; i < keys; ++i) top = std::max(top, scores[first + i]);
    if (top == -kInf) return;
    const double rescale = weight(state[2 * row], top);
    double sum = rescale * state[2 * row + 1];
    for (int64_t c = 0; c < dv; ++c) out.set(row * dv + c, rescale * out[row * dv + c]);
    for (int64_t i = 0; i < keys; ++i) {
      const double prob = weight(scores[first + i], top);
      if (prob == 0) continue;  // a masked value may be anything
      sum += prob;
      for (int64_t c = 0; c < dv; ++c) out.set(row * dv + c, out[row * dv + c] + prob * values[value_at + i * dv + c]);
    }
    state.set(2 * row, top);
    state.set(2 * row + 1, sum);
  }

  /// Of a row that has seen nothing yet.
  void clear(int64_t row) {
    state.set(2 * row, -kInf);
    state.set(2 * row + 1, 0);
    for (int64_t c = 0; c < dv; ++c) out.set(row * dv + c, 0);
  }

  /// Adds what a chunk of keys left: its maximum, its sum and its output.
  void merge(int64_t row, const Tile& part) {
    const double top = std::max(state[2 * row], part[0]);
    if (top == -kInf) return;
    const double mine = weight(state[2 * row], top), its = weight(part[0], top);
    state.set(2 * row, top);
    state.set(2 * row + 1, mine * state[2 * row + 1] + its * part[1]);
    for (int64_t c = 0; c < dv; ++c) out.set(row * dv + c, mine * out[row * dv + c] + its * part[2 + c]);
  }

  /// Line 12: divides; the first number of the state becomes the log-sum-exp.
  void finish(int64_t row) {
    const double sum = state[2 * row + 1];
    for (int64_t c = 0; c < dv; ++c) out.set(row * dv + c, sum == 0 ? 0 : out[row * dv + c] / sum);
    state.set(2 * row, sum == 0 ? -kInf : state[2 * row] + std::log(sum));
  }

  Tile state, out;
  int64_t dv;
};

void naive_head(const Tensors& t, int64_t n, int64_t head, const plan_detail::NaiveTiles& tiles, Level& level) {
  const AttentionFwd& p = t.p;
  const Frame frame = p.frame(n, head);
  Temporary s(p.q_type, frame.sq * frame.sk), probs(p.v_type, frame.sq * frame.sk);
  for (int64_t first = 0; first < frame.sq; first += tiles.score_rows) {  // S = QK^T
    const int64_t rows = std::min(tiles.score_rows, frame.sq - first);
    Tile q(level, p.q_type, rows * p.d), k(level, p.k_type, p.d), column(level, p.q_type, rows);
    for (int64_t i = 0; i < rows; ++i) t.load_q(q, i, n, head, first + i);
    for (int64_t key = 0; key < frame.sk; ++key) {
      t.load_k(k, 0, n, head, key);
      for (int64_t i = 0; i < rows; ++i) {
        column.set(i, score(p, q, i, k, 0));
        column.store(s.array, (first + i) * frame.sk + key, 1, i);
      }
    }
  }
  for (int64_t row = 0; row < frame.sq; ++row) {  // P = softmax(MASK(S))
    Tile scores(level, p.q_type, tiles.score_row_fits ? frame.sk : 1), prob(level, p.v_type, 1);
    Tile state(level, DType::f32, 2);
    if (tiles.score_row_fits) scores.load(s.array, row * frame.sk, frame.sk);
    const auto masked = [&](int64_t key) {
      if (!tiles.score_row_fits) scores.load(s.array, row * frame.sk + key, 1);
      return p.mask.keep(frame, row, key) ? scores[tiles.score_row_fits ? key : 0] : -kInf;
    };
    double top = -kInf, sum = 0;
    for (int64_t key = 0; key < frame.sk; ++key) {
      const double x = masked(key);
      if (x > top) sum *= weight(top, x);
      top = std::max(top, x);
      sum += weight(x, top);
    }
    for (int64_t key = 0; key < frame.sk; ++key) {
      const double x = masked(key);
      prob.set(0, x == -kInf ? 0 : weight(x, top) / sum);
      prob.store(probs.array, row * frame.sk + key, 1);
    }
    state.set(0, sum == 0 ? -kInf : top + std::log(sum));
    t.store_lse(state, 0, n, head, row);
  }
  for (int64_t first = 0; first < frame.sq; first += tiles.output_rows) {  // O = PV
    const int64_t rows = std::min(tiles.output_rows, frame.sq - first);
    Tile out(level, DType::f32, rows * p.dv), v(level, p.v_type, p.dv), column(level, p.v_type, rows);
    for (int64_t key = 0; key < frame.sk; ++key) {
      t.load_v(v, 0, n, head, key);
      for (int64_t i = 0; i < rows; ++i) {
        column.load(probs.array, (first + i) * frame.sk + key, 1, i);
        if (column[i] == 0) continue;
        for (int64_t c = 0; c < p.dv; ++c) out.set(i * p.dv + c, out[i * p.dv + c] + column[i] * v[c]);
      }
    }
    for (int64_t i = 0; i < rows; ++i) t.store_o(out, i, n, head, first + i);
  }
}

/// FlashAttention-1, algorithm 1, lines 10 to 13, for row i of the tile: O stays normalised.
void flash_row(const AttentionFwd& p, int64_t i, const Tile& s, int64_t keys, const Tile& v, Tile& o, Tile& l,
               Tile& m) {
  double tile_max = -kInf, tile_sum = 0;
  for (int64_t j = 0; j < keys; ++j) tile_max = std::max(tile_max, s[i * keys + j]);
  if (tile_max == -kInf) return;
  for (int64_t j = 0; j < keys; ++j) tile_sum += weight(s[i * keys + j], tile_max);
  const double top = std::max(m[i], tile_max), before = weight(m[i], top) * l[i], now = weight(tile_max, top);
  const double sum = before + now * tile_sum;
  for (int64_t c = 0; c < p.dv; ++c) {
    double product = 0;
    for (int64_t j = 0; j < keys; ++j) {
      const double prob = weight(s[i * keys + j], tile_max);
      if (prob > 0) product += prob * v[j * p.dv + c];
    }
    o.set(i * p.dv + c, (before * o[i * p.dv + c] + now * product) / sum);
  }
  l.set(i, sum);
  m.set(i, top);
}

void flash_head(const Tensors& t, int64_t n, int64_t head, const plan_detail::FlashTiles& tiles, Level& level) {
  const AttentionFwd& p = t.p;
  const Frame frame = p.frame(n, head);
  Temporary l(DType::f32, frame.sq), m(DType::f32, frame.sq);
  for (int64_t row = 0; row < frame.sq; ++row) {  // line 2
    Tile o(level, p.o_type, p.dv), state(level, DType::f32, 2);
    state.set(1, -kInf);
    t.store_o(o, 0, n, head, row);
    state.store(l.array, row, 1, 0);
    state.store(m.array, row, 1, 1);
  }
  const auto live = [&](Range rows, Range keys) {
    return !intersect(p.mask.key_span(frame, rows), keys).empty() &&
           p.mask.classify(frame, rows, keys) != TileClass::skip;
  };
  for (int64_t key = 0; key < frame.sk; key += tiles.keys) {
    const Range keys{key, std::min(key + tiles.keys, frame.sk)};
    std::vector<Range> blocks;
    for (int64_t row = 0; row < frame.sq; row += tiles.rows) {
      const Range rows{row, std::min(row + tiles.rows, frame.sq)};
      if (live(rows, keys)) blocks.push_back(rows);
    }
    if (blocks.empty()) continue;
    Tile k(level, p.k_type, keys.size() * p.d), v(level, p.v_type, keys.size() * p.dv);
    for (int64_t j = 0; j < keys.size(); ++j) {
      t.load_k(k, j, n, head, key + j);
      t.load_v(v, j, n, head, key + j);
    }
    for (const Range& rows : blocks) {
      Tile q(level, p.q_type, rows.size() * p.d), o(level, p.o_type, rows.size() * p.dv);
      Tile li(level, DType::f32, rows.size()), mi(level, DType::f32, rows.size());
      Tile s(level, DType::f32, rows.size() * keys.size());
      for (int64_t i = 0; i < rows.size(); ++i) {
        t.load_q(q, i, n, head, rows.begin + i);
        o.load(t.o, p.o_offset(n, rows.begin + i, head), p.dv, i * p.dv);
      }
      li.load(l.array, rows.begin, rows.size());
      mi.load(m.array, rows.begin, rows.size());
      for (int64_t i = 0; i < rows.size(); ++i) {
        for (int64_t j = 0; j < keys.size(); ++j)
          s.set(i * keys.size() + j, p.mask.keep(frame, rows.begin + i, key + j) ? score(p, q, i, k, j) : -kInf);
        flash_row(p, i, s, keys.size(), v, o, li, mi);
        t.store_o(o, i, n, head, rows.begin + i);
      }
      li.store(l.array, rows.begin, rows.size());
      mi.store(m.array, rows.begin, rows.size());
    }
  }
  for (int64_t row = 0; p.lse && row < frame.sq; ++row) {
    Tile state(level, DType::f32, 2);
    state.load(l.array, row, 1, 0);
    state.load(m.array, row, 1, 1);
    state.set(0, state[0] == 0 ? -kInf : state[1] + std::log(state[0]));
    t.store_lse(state, 0, n, head, row);
  }
}

/// One wave of a work list: panels, then blocks.
class Wave {
 public:
  Wave(const Tensors& tensors, const plan_detail::WorkList& work, const plan_detail::Wave& wave,
       const cpu::Residents& residents, Level& level)
      : t_(tensors),
        work_(work),
        residents_(residents),
        level_(level),
        panel_floats_(residents.panel_bytes / 4),
        packed_(DType::f32, wave.panels * panel_floats_) {
    if (wave.panels * residents.panel_bytes <= level.room() - residents.scratch_bytes)
      resident_.emplace(level, DType::f32, wave.panels * panel_floats_);
    for (int64_t i = wave.first_unit; i < wave.first_unit + wave.units; ++i) pack(work.units[static_cast<size_t>(i)]);
    for (int64_t i = wave.first_task; i < wave.first_task + wave.tasks; ++i) block(work.tasks[static_cast<size_t>(i)]);
  }

 private:
  using Panel = cpu::LivePanel;

  /// K of all 64 keys, then V.
  int64_t values_at() const { return cpu::kPanelKeys * t_.p.d; }

  void pack(const plan_detail::Unit& unit) {
    for (int64_t i = 0; i < unit.panels; ++i) {
      const int64_t at = (unit.first_panel + i) * panel_floats_, first = unit.keys.begin + i * cpu::kPanelKeys;
      std::optional<Tile> leaving;
      if (!resident_) leaving.emplace(level_, DType::f32, panel_floats_);
      Tile& panel = resident_ ? *resident_ : *leaving;
      const int64_t to = resident_ ? at : 0;
      Tile row(level_, DType::f32, std::max(t_.p.d, t_.p.dv));
      for (int64_t j = 0; j < std::min<int64_t>(cpu::kPanelKeys, unit.keys.end - first); ++j) {
        t_.load_k(row, 0, unit.sequence, unit.key_head * t_.p.group(), first + j);
        for (int64_t c = 0; c < t_.p.d; ++c) panel.set(to + j * t_.p.d + c, row[c]);
        t_.load_v(row, 0, unit.sequence, unit.key_head * t_.p.group(), first + j);
        for (int64_t c = 0; c < t_.p.dv; ++c) panel.set(to + values_at() + j * t_.p.dv + c, row[c]);
      }
      if (!resident_) panel.store(packed_.array, at, panel_floats_);
    }
  }

  void block(const plan_detail::Task& task) {
    const AttentionFwd& p = t_.p;
    const plan_detail::Unit& unit = work_.units[static_cast<size_t>(task.unit)];
    const int64_t fold = task.head < 0 ? p.group() : 1, first_head = task.head < 0 ? unit.key_head * fold : task.head;
    std::vector<int64_t> queries, heads;
    for (int64_t r = task.first_row; r < task.first_row + task.rows; ++r) {
      queries.push_back(r / fold);
      heads.push_back(first_head + r % fold);
    }
    const int64_t room = level_.room();
    Tile q(level_, DType::f32, task.rows * p.d), scores(level_, DType::f32, cpu::kPanelKeys);
    Rows rows(level_, task.rows, p.dv);
    const Tile unused(level_, DType::f32, (residents_.scratch_bytes - (room - level_.room())) / 4);
    for (int64_t i = 0; i < task.rows; ++i) t_.load_q(q, i, unit.sequence, heads[i], queries[i]);

    const cpu::RowMask mask(p.mask, p.frame(unit.sequence, first_head), queries.data(), task.rows);
    const auto stripe_sees = [&](int64_t row, const Panel& panel) {
      return panel.full ||
             mask.classify_stripe(static_cast<int>(row / cpu::kStripeRows), panel.keys) != TileClass::skip;
    };
    const auto add_stripe = [&](int64_t first_row, const Panel& panel, const Tile& data, int64_t at) {
      for (int64_t i = first_row; i < std::min<int64_t>(first_row + cpu::kStripeRows, task.rows); ++i) {
        for (int64_t j = 0; j < panel.keys.size(); ++j) {
          double dot = 0;
          for (int64_t c = 0; c < p.d; ++c) dot += q[i * p.d + c] * data[at + j * p.d + c];
          const Frame frame = p.frame(unit.sequence, heads[i]);
          const bool keep = p.mask.keep(frame, queries[i], panel.keys.begin + j);
          scores.set(j, keep ? p.effective_scale() * dot : -kInf);
        }
        rows.add(i, scores, 0, panel.keys.size(), data, at + values_at());
      }
    };
    const auto run_group = [&](const std::vector<Panel>& group) {
      const bool loads_once = !resident_ && level_.room() >= cpu::kGroupPanels * residents_.panel_bytes;
      std::vector<Tile> loaded;
      const auto load = [&](const Panel& panel) {
        loaded.emplace_back(level_, DType::f32, panel_floats_);
        loaded.back().load(packed_.array, (unit.first_panel + panel.index) * panel_floats_, panel_floats_);
      };
      for (size_t i = 0; loads_once && i < group.size(); ++i) load(group[i]);
      for (int64_t row = 0; row < task.rows; row += cpu::kStripeRows)
        for (size_t i = 0; i < group.size(); ++i) {
          if (!stripe_sees(row, group[i])) continue;
          if (resident_) {
            add_stripe(row, group[i], *resident_, (unit.first_panel + group[i].index) * panel_floats_);
          } else if (loads_once) {
            add_stripe(row, group[i], loaded[i], 0);
          } else {
            load(group[i]);
            add_stripe(row, group[i], loaded.back(), 0);
            loaded.pop_back();
          }
        }
    };
    std::vector<Panel> group;
    cpu::for_live_panels(mask, unit.keys, [&](const Panel& panel) {
      group.push_back(panel);
      if (group.size() < size_t{cpu::kGroupPanels}) return;
      run_group(group);
      group.clear();
    });
    run_group(group);
    for (int64_t i = 0; i < task.rows; ++i) {
      rows.finish(i);
      t_.store_o(rows.out, i, unit.sequence, heads[i], queries[i]);
      t_.store_lse(rows.state, 2 * i, unit.sequence, heads[i], queries[i]);
    }
  }

  const Tensors& t_;
  const plan_detail::WorkList& work_;
  const cpu::Residents& residents_;
  Level& level_;
  int64_t panel_floats_;
  Temporary packed_;
  std::optional<Tile> resident_;  ///< the panels, where they stay
};

/// K and V of one tile of keys.
struct KeyTiles {
  KeyTiles(const Tensors& t, int64_t n, int64_t head, Range keys, Level& level)
      : k(level, t.p.k_type, keys.size() * t.p.d), v(level, t.p.v_type, keys.size() * t.p.dv) {
    for (int64_t j = 0; j < keys.size(); ++j) {
      t.load_k(k, j, n, head, keys.begin + j);
      t.load_v(v, j, n, head, keys.begin + j);
    }
  }
  Tile k, v;
};

/// One decoding item; the last part of a merge merges.
void decode_item(const Tensors& t, const plan_detail::DecodeList& list, const plan_detail::DecodeItem& item,
                 const cpu::Residents& residents, std::vector<Temporary>& states, Level& level) {
  const AttentionFwd& p = t.p;
  const int64_t group = p.group(), count = item.heads * item.rows, state_floats = residents.state_bytes / 4;
  const auto head = [&](int64_t i) {
    return (item.key_head + i / item.rows) * group + (item.first_row + i % item.rows) % group;
  };
  const auto query = [&](int64_t i) { return (item.first_row + i % item.rows) / group; };
  const int64_t room = level.room();
  Tile q(level, DType::f32, count * p.d), scores(level, DType::f32, cpu::kDecodeKeys);
  Rows rows(level, count, p.dv);
  Tile state(level, DType::f32, state_floats);
  const Tile unused(level, DType::f32, (residents.scratch_bytes - (room - level.room())) / 4);
  for (int64_t i = 0; i < count && !item.keys.empty(); ++i) t.load_q(q, i, item.sequence, head(i), query(i));
  for (int64_t key = item.keys.begin; key < item.keys.end;) {
    const Range keys{key, std::min((key / cpu::kDecodeKeys + 1) * cpu::kDecodeKeys, item.keys.end)};
    for (int64_t h = 0; h < item.heads; ++h) {
      std::vector<int64_t> seeing;
      for (int64_t first = 0; first < item.rows; first += cpu::kDecodeRows) {
        const int64_t end = std::min<int64_t>(first + cpu::kDecodeRows, item.rows);
        const Range queries{query(first), query(end - 1) + 1};
        bool seen = false;
        for (int64_t i = 0; i < group; ++i)
          seen |= p.mask.classify(p.frame(item.sequence, (item.key_head + h) * group + i), queries, keys) !=
                  TileClass::skip;
        for (int64_t row = first; seen && row < end; ++row) seeing.push_back(h * item.rows + row);
      }
      if (seeing.empty()) continue;
      const KeyTiles tiles(t, item.sequence, (item.key_head + h) * group, keys, level);
      for (const int64_t i : seeing) {
        const Frame frame = p.frame(item.sequence, head(i));
        for (int64_t j = 0; j < keys.size(); ++j)
          scores.set(j, p.mask.keep(frame, query(i), key + j) ? score(p, q, i, tiles.k, j) : -kInf);
        rows.add(i, scores, 0, keys.size(), tiles.v, 0);
      }
    }
    key = keys.end;
  }
  if (item.merge >= 0) {
    Temporary& part = states.emplace_back(DType::f32, count * state_floats);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t c = 0; c < 2; ++c) state.set(c, rows.state[2 * i + c]);
      for (int64_t c = 0; c < p.dv; ++c) state.set(2 + c, rows.out[i * p.dv + c]);
      state.store(part.array, i * state_floats, state_floats);
    }
    if (static_cast<int64_t>(states.size()) < list.merges[static_cast<size_t>(item.merge)].parts) return;
    for (int64_t i = 0; i < count; ++i) rows.clear(i);
    for (const Temporary& each : states)
      for (int64_t i = 0; i < count; ++i) {
        state.load(each.array, i * state_floats, state_floats);
        rows.merge(i, state);
      }
  }
  for (int64_t i = 0; i < count; ++i) {
    rows.finish(i);
    t.store_o(rows.out, i, item.sequence, head(i), query(i));
    t.store_lse(rows.state, 2 * i, item.sequence, head(i), query(i));
  }
}

}  // namespace

void run_naive(const AttentionFwd& problem, const AttentionFwdArgs& args, Level& level) {
  const auto tiles = plan_detail::naive_tiles(problem, level.bytes());
  for (int64_t n = 0; n < problem.b; ++n)
    for (int64_t head = 0; head < problem.hq; ++head) naive_head({problem, args}, n, head, tiles.value(), level);
}

void run_flash_attention_1(const AttentionFwd& problem, const AttentionFwdArgs& args, Level& level) {
  const auto tiles = plan_detail::flash_attention_1_tiles(problem, level.bytes());
  for (int64_t n = 0; n < problem.b; ++n)
    for (int64_t head = 0; head < problem.hq; ++head) flash_head({problem, args}, n, head, tiles.value(), level);
}

void run_work_list(const AttentionFwd& problem, const AttentionFwdArgs& args, const plan_detail::WorkList& work,
                   const plan_detail::DecodeList& decode, const cpu::Residents& residents, Level& level) {
  const Tensors tensors(problem, args);
  for (const plan_detail::Wave& wave : work.waves) Wave(tensors, work, wave, residents, level);
  std::vector<Temporary> states;  // of the parts of a merge so far
  for (const plan_detail::DecodeItem& item : decode.items) {
    if (item.part == 0) states.clear();
    decode_item(tensors, decode, item, residents, states, level);
  }
}

void run_tile_list(const AttentionFwd& p, const AttentionFwdArgs& args, const plan_detail::TileList& list,
                   const plan_detail::TileList::Shape& shape, const std::vector<plan_detail::Section>& sections,
                   Level& level) {
  const Tensors t(p, args);
  for (const plan_detail::Section& section : sections) {
    using Where = std::tuple<int64_t, int64_t, int64_t>;  // sequence, key head, first key
    const auto where = [&](const plan_detail::TileItem& item, int64_t key) {
      return Where(item.sequence, item.head / p.group(), key);
    };
    const auto keys_of = [&](const Where& at) {
      return Range{std::get<2>(at), std::min(std::get<2>(at) + shape.keys, p.key_length(std::get<0>(at)))};
    };
    const auto items = std::span(list.items).subspan(section.first_item, section.items);
    std::map<Where, std::optional<KeyTiles>> visited;
    for (const auto& item : items)
      for (const auto& tile : std::span(list.tiles).subspan(item.first_tile, item.tiles))
        visited[where(item, tile.key)];
    int64_t bytes = 0;
    for (const auto& [at, empty] : visited)
      bytes += keys_of(at).size() * (p.d * dtype_bytes(p.k_type) + p.dv * dtype_bytes(p.v_type));
    const bool stay = bytes <= level.room() - plan_detail::item_bytes(p, shape);

    for (const auto& item : items) {
      const int64_t room = level.room();
      Tile q(level, p.q_type, item.rows * p.d), scores(level, DType::f32, shape.keys);
      Rows rows(level, item.rows, p.dv);
      // The scores of all rows at once, though a row at a time would do here.
      const Tile unused(level, DType::bf16, (plan_detail::item_bytes(p, shape) - (room - level.room())) / 2);
      const auto head = [&](int64_t i) { return item.head + i % shape.pack; };
      const auto query = [&](int64_t i) { return item.first_row + i / shape.pack; };
      for (int64_t i = 0; i < item.rows; ++i) t.load_q(q, i, item.sequence, head(i), query(i));
      for (const auto& tile : std::span(list.tiles).subspan(item.first_tile, item.tiles)) {
        const Where at = where(item, tile.key);
        const Range keys = keys_of(at);
        std::optional<KeyTiles>& loaded = visited[at];
        if (!loaded) loaded.emplace(t, item.sequence, item.head, keys, level);
        for (int64_t i = 0; i < item.rows; ++i) {
          const Frame frame = p.frame(item.sequence, head(i));
          for (int64_t j = 0; j < keys.size(); ++j)
            scores.set(j, p.mask.keep(frame, query(i), keys.begin + j) ? score(p, q, i, loaded->k, j) : -kInf);
          rows.add(i, scores, 0, keys.size(), loaded->v, 0);
        }
        if (!stay) loaded.reset();
      }
      for (int64_t i = 0; i < item.rows; ++i) {
        rows.finish(i);
        t.store_o(rows.out, i, item.sequence, head(i), query(i));
        t.store_lse(rows.state, 2 * i, item.sequence, head(i), query(i));
      }
    }
  }
}

}  // namespace attend::test
