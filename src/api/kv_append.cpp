// SPDX-License-Identifier: Apache-2.0
// Public calls that write into a cache: rotation of rows, and new keys and values.
#include <attend/kv_append.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>

#include "base/text.hpp"
#include "cpu/kernel.hpp"
#include "cpu/parallel.hpp"
#include "cpu/rotate.hpp"
#include "ops/argument.hpp"

namespace attend {
namespace {

Status check_rope(std::string_view operation, const Rope& rope, int64_t columns) {
  if (rope.dims() <= columns) return {};
  return wrong(operation, "rope.frequencies", print_number(rope.frequencies.size()) + " numbers",
               "at most half of " + print_number(columns) + " columns");
}

Status check_threads(std::string_view operation, int threads, const Executor* executor) {
  if (threads < 0) return wrong(operation, "options.threads", print_number(threads), "0 or more");
  if (executor != nullptr && (executor->parallel == nullptr || executor->workers < 1))
    return wrong(operation, "options.executor", "without a function or workers", "a function and at least 1 worker");
  return {};
}

int threads_of(int threads, const Executor* executor) {
  if (threads > 0) return threads;
  return executor != nullptr ? executor->workers : cpu::default_threads();
}

const std::byte* at(const void* data, int64_t bytes) { return static_cast<const std::byte*>(data) + bytes; }
std::byte* at(void* data, int64_t bytes) { return static_cast<std::byte*>(data) + bytes; }

/// One new token on its way into the cache.
class Token {
 public:
  Token(const AttentionFwd& problem, const KvAppendArgs& args, int64_t n, int64_t row, int64_t position)
      : p_(problem),
        args_(args),
        n_(n),
        row_(row),
        key_(problem.key_length(n) - problem.query_length(n) + row),
        position_(position) {}

  void store() const {
    store_keys();
    for (int64_t head = 0; head < p_.hk; ++head) {
      float values[cpu::kMaxColumns];
      load(args_.new_v, args_.new_v_strides, head, p_.dv, values);
      encode(p_.v_format(), p_.v_type, values, p_.dv, args_.v, p_.v_offset(n_, key_, head), args_.v_scales,
             p_.v_scale_offset(n_, key_, head));
    }
  }

 private:
  void store_keys() const {
    static const Rope kNone;
    const cpu::Turn turn(args_.rope != nullptr ? *args_.rope : kNone, position_);
    for (int64_t head = 0; head < p_.hk; ++head) {
      float key[cpu::kMaxColumns];
      load(args_.new_k, args_.new_k_strides, head, p_.d, key);
      if (args_.rope != nullptr) turn.apply(key);
      for (int64_t c = 0; p_.cache->k_mean && c < p_.d; ++c) key[c] -= args_.k_mean[head * p_.d + c];
      encode(p_.k_format(), p_.k_type, key, p_.d, args_.k, p_.k_offset(n_, key_, head), args_.k_scales,
             p_.k_scale_offset(n_, key_, head));
    }
  }
  void load(const void* data, const Strides& s, int64_t head, int64_t columns, float* to) const {
    const int64_t begin = p_.cu_q.empty() ? n_ * s.batch : p_.cu_q[n_] * s.row;
    widen(args_.type, at(data, (begin + row_ * s.row + head * s.head) * dtype_bytes(args_.type)), columns, to);
  }
  static void encode(KvFormat format, DType type, const float* values, int64_t columns, void* data, int64_t offset,
                     void* scales, int64_t scale_offset) {
    void* here =
        format == KvFormat::plain ? nullptr : at(scales, scale_offset * dtype_bytes(kv_format_row(format).scale_type));
    kv_encode(format, type, values, columns, at(data, kv_bytes(format, type, offset)), here);
  }

  const AttentionFwd& p_;
  const KvAppendArgs& args_;
  int64_t n_, row_, key_, position_;
};

/// New tokens of a sequence in rows behind one another.
struct Place {
  int64_t entry, row, n, token, count;
};

/// Each new token has a place of its own: of sequences that share a page, one at most grows in it.
Status check_places(const AttentionFwd& p) {
  std::vector<Place> places;
  for (int64_t n = 0; n < p.b; ++n)
    for (int64_t token = p.key_length(n) - p.query_length(n); token < p.key_length(n); ++token) {
      const KvCache::Slot slot = p.cache->slot(n, token);
      Place* last = places.empty() ? nullptr : &places.back();
      if (last != nullptr && last->n == n && last->entry == slot.entry && last->row + last->count == slot.row)
        ++last->count;
      else
        places.push_back({slot.entry, slot.row, n, token, 1});
    }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return std::tie(a.entry, a.row, a.n, a.token) < std::tie(b.entry, b.row, b.n, b.token);
  });
  const bool paged = p.cache->placement == KvPlacement::paged;
  const auto of = [](int64_t token, int64_t n) {
    return "token " + print_number(token) + " of sequence " + print_number(n);
  };
  for (size_t i = 1; i < places.size(); ++i) {
    const Place &a = places[i - 1], &b = places[i];
    if (a.entry == b.entry && a.row + a.count > b.row)
      return wrong("kv_append", paged ? "cache.pages" : "cache.entry",
                   "row " + print_number(b.row) + (paged ? " of page " : " of entry ") + print_number(b.entry) +
                       " for " + of(a.token + b.row - a.row, a.n) + " and " + of(b.token, b.n),
                   "a place of its own for each new token");
  }
  return {};
}

Status check_append(const AttentionFwd& p, const KvAppendArgs& args, int64_t tokens) {
  constexpr std::string_view kOperation = "kv_append";
  if (Status status = p.check(); !status.ok()) return status;
  if (!p.cache) return wrong(kOperation, "problem.cache", "none", "a cache");
  for (int64_t n = 0; n < p.b; ++n)
    if (p.query_length(n) > p.key_length(n))
      return wrong(kOperation, "cache.lengths[" + print_number(n) + "]", print_number(p.key_length(n)),
                   "at least the " + print_number(p.query_length(n)) + " tokens that are added");
  if (dtype_bytes(args.type) == 0)
    return wrong(kOperation, "args.type", print_number(static_cast<int32_t>(args.type)), "f32, f16 or bf16");
  if (!args.positions.empty() && args.positions.size() != tokens)
    return wrong(kOperation, "args.positions", print_number(args.positions.size()) + " numbers",
                 print_number(tokens) + ", one for each new token");
  if (args.rope != nullptr)
    if (Status status = check_rope(kOperation, *args.rope, p.d); !status.ok()) return status;
  const struct {
    const char* name;
    const void* pointer;
    bool needed;
  } pointers[] = {{"new_k", args.new_k, true},
                  {"new_v", args.new_v, true},
                  {"k", args.k, true},
                  {"v", args.v, true},
                  {"k_scales", args.k_scales, p.k_format() != KvFormat::plain},
                  {"v_scales", args.v_scales, p.v_format() != KvFormat::plain},
                  {"k_mean", args.k_mean, p.cache->k_mean}};
  for (const auto& each : pointers)
    if (each.needed && each.pointer == nullptr && tokens > 0)
      return wrong(kOperation, std::string("args.") + each.name, "null", "a pointer, as " + p.text() + " asks for it");
  return check_places(p);
}

}  // namespace

Status rotate(const Rope& rope, const ConstTensor& from, const Array<int32_t>& positions, const Tensor& to,
              const RotateOptions& options) {
  constexpr std::string_view kOperation = "rotate";
  const struct {
    const char* field;
    int64_t found, expected;
  } equal[] = {{"batch", to.batch, from.batch},
               {"rows", to.rows, from.rows},
               {"heads", to.heads, from.heads},
               {"cols", to.cols, from.cols}};
  for (const auto& each : equal)
    if (each.found != each.expected)
      return wrong(kOperation, std::string("to.") + each.field, print_number(each.found),
                   print_number(each.expected) + " (= from." + each.field + ")");
  for (const int64_t size : {from.batch, from.rows, from.heads})
    if (size < 0) return wrong(kOperation, "from", "a tensor of negative size", "sizes of 0 or more");
  if (from.cols < 1 || from.cols > cpu::kMaxColumns)
    return wrong(kOperation, "from.cols", print_number(from.cols), "1 to " + print_number(cpu::kMaxColumns));
  if (dtype_bytes(from.dtype) == 0 || dtype_bytes(to.dtype) == 0)
    return wrong(kOperation, "dtype", "no row of dtypes.def", "f32, f16 or bf16");
  if (Status status = check_rope(kOperation, rope, from.cols); !status.ok()) return status;
  if (Status status = check_threads(kOperation, options.threads, options.executor); !status.ok()) return status;
  const int64_t tokens = from.batch * from.rows;
  if (positions.size() != tokens)
    return wrong(kOperation, "positions", print_number(positions.size()) + " numbers",
                 print_number(tokens) + " (= batch * rows)");
  if (tokens * from.heads > 0 && (from.data == nullptr || to.data == nullptr))
    return wrong(kOperation, from.data == nullptr ? "from.data" : "to.data", "null", "a pointer");
  cpu::parallel_for(options.executor, threads_of(options.threads, options.executor), tokens, [&](int64_t i, int) {
    const int64_t n = i / from.rows, row = i % from.rows;
    const cpu::Turn turn(rope, positions[i]);
    for (int64_t head = 0; head < from.heads; ++head) {
      float values[cpu::kMaxColumns];
      const auto offset = [&](const Strides& s) { return n * s.batch + row * s.row + head * s.head; };
      widen(from.dtype, at(from.data, offset(from.strides) * dtype_bytes(from.dtype)), from.cols, values);
      turn.apply(values);
      narrow(to.dtype, values, to.cols, at(to.data, offset(to.strides) * dtype_bytes(to.dtype)));
    }
  });
  return {};
}

Status kv_append(const AttentionFwd& p, const KvAppendArgs& args, const KvAppendOptions& options) {
  int64_t tokens = 0;
  if (Status status = check_threads("kv_append", options.threads, options.executor); !status.ok()) return status;
  std::vector<int64_t> first;  // token of each sequence's first row
  if (p.check().ok())
    for (int64_t n = 0; n < p.b; ++n) {
      first.push_back(tokens);
      tokens += p.query_length(n);
    }
  if (Status status = check_append(p, args, tokens); !status.ok()) return status;
  cpu::parallel_for(options.executor, threads_of(options.threads, options.executor), tokens, [&](int64_t i, int) {
    const int64_t n = std::upper_bound(first.begin(), first.end(), i) - first.begin() - 1, row = i - first[n];
    const int64_t own = p.key_length(n) - p.query_length(n) + row;
    Token(p, args, n, row, args.positions.empty() ? own : args.positions[i]).store();
  });
  return {};
}

}  // namespace attend
