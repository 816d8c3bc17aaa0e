// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/array.hpp>
#include <attend/device.hpp>
#include <attend/dtype.hpp>
#include <attend/executor.hpp>
#include <attend/kv_cache.hpp>
#include <attend/mask.hpp>
#include <attend/memory_traffic.hpp>
#include <attend/status.hpp>
#include <attend/tensor.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attend {

/// Which indices an additive bias has of its own; the others are broadcast. The key index always varies.
struct BiasShape {
  bool batch = false, head = false, row = false;
  bool operator==(const BiasShape&) const = default;
};

/// What a Problem costs, by its mask: exact counts, not estimates.
struct Cost {
  int64_t visible_pairs = 0;  ///< (query, key) pairs kept, summed over batch and query heads
  double flops = 0;           ///< 2 * visible_pairs * (d + dv)
  double bytes = 0;           ///< Q, K, V read once and O (and LSE) written once
};

/// The Problem of one exact forward pass:
///
///   s = scale * q.k;  s = softcap * tanh(s / softcap);  s += -slope * |key_position(q) - k|;  s += bias
///   o = softmax(s over the kept keys, and the sink) . v        lse = log(sum of exp(s), sink included)
///
/// (FlashAttention-2, arXiv:2307.08691, section 2; score terms in the order above.) States what is asked, never how.
/// Positions are counted in each sequence. A row without a key gives o = 0 and lse = -inf (lse = sink when there is
/// one). NaN and infinities in inputs that a row uses reach that row; what lies in masked, padded or past-the-end slots
/// reaches none.
struct AttentionFwd {
  int64_t b = 1;           ///< sequences
  int64_t hq = 1, hk = 1;  ///< query and key/value heads; hq is a multiple of hk, head h reads key head h / (hq / hk)
  int64_t sq = 0, sk = 0;  ///< lengths; with offsets given: the longest length
  Offsets cu_q, cu_k;      ///< cumulative lengths, b + 1 each, or empty for fixed lengths. Each side for itself.
  int64_t d = 0, dv = 0;   ///< columns of q and k, and of v and o: 1 to 512 each

  DType q_type = DType::f32, k_type = DType::f32, v_type = DType::f32, o_type = DType::f32;
  /// Where row r of sequence n, head h begins: n * batch + r * row + h * head; with offsets: (cu[n] + r) * row + h *
  /// head; of k and v in a cache: what KvCache says.
  Strides q_strides, k_strides, v_strides, o_strides;
  /// K and V lie in a cache: it has their lengths (cu_k is empty) and formats. For formats with scales k_type and
  /// v_type say to what a kernel may round a decoded element.
  std::optional<KvCache> cache;

  std::optional<double> scale;  ///< default 1 / sqrt(d)
  double softcap = 0;           ///< 0: none
  bool alibi = false;           ///< slopes are given at run, [hq] or with alibi_per_batch [b, hq]
  bool alibi_per_batch = false;
  bool sink = false;              ///< one logit per query head is given at run, [hq], in the unit of s
  std::optional<BiasShape> bias;  ///< f32 values are given at run, [b or 1][hq or 1][sq or 1][sk], dense
  bool lse = false;               ///< log-sum-exp is written, f32: [b, hq, sq], with cu_q [hq, cu_q[b]]
  Mask mask;

  /// A Problem with dense tensors of one element type; dv = d and fixed lengths.
  static AttentionFwd dense(Layout layout, DType type, int64_t b, int64_t hq, int64_t hk, int64_t sq, int64_t sk,
                            int64_t d);
  /// Sets all four strides to dense ones. `thd` is meant for offsets, `bshd` and `bhsd` for fixed lengths.
  void set_layout(Layout layout);

  int64_t group() const { return hk > 0 ? hq / hk : 0; }  ///< query heads per key head
  double effective_scale() const;
  int64_t query_length(int64_t n) const { return cu_q.empty() ? sq : cu_q[n + 1] - cu_q[n]; }
  int64_t key_length(int64_t n) const { return cache ? cache->lengths[n] : cu_k.empty() ? sk : cu_k[n + 1] - cu_k[n]; }
  Frame frame(int64_t n, int64_t head) const { return {query_length(n), key_length(n), n, head}; }
  int64_t q_offset(int64_t n, int64_t row, int64_t head) const { return offset(q_strides, cu_q, n, row, head); }
  int64_t k_offset(int64_t n, int64_t row, int64_t head) const { return key_offset(k_strides, n, row, head); }
  int64_t v_offset(int64_t n, int64_t row, int64_t head) const { return key_offset(v_strides, n, row, head); }
  int64_t o_offset(int64_t n, int64_t row, int64_t head) const { return offset(o_strides, cu_q, n, row, head); }
  int64_t lse_offset(int64_t n, int64_t row, int64_t head) const;
  int64_t bias_offset(int64_t n, int64_t head, int64_t row) const;  ///< of key 0
  KvFormat k_format() const { return cache ? cache->k_format : KvFormat::plain; }
  KvFormat v_format() const { return cache ? cache->v_format : KvFormat::plain; }
  /// Where the scales of a key or value begin, in scales; only with a cache.
  int64_t k_scale_offset(int64_t n, int64_t row, int64_t head) const;
  int64_t v_scale_offset(int64_t n, int64_t row, int64_t head) const;
  int64_t lse_size() const;   ///< elements of the lse output
  int64_t bias_size() const;  ///< elements of the bias; 0 without one

  /// ok, or invalid_argument: `attention_fwd: <argument> is <found>, expected <what>`.
  Status check() const;
  /// Only for a Problem that check() accepts. Time O(rows + tiles) for interval masks.
  Cost cost() const;
  /// What a schedule of the literature moves, with the largest tiles that a level of so many bytes holds; exact. Plans
  /// have their own. Only for a Problem that check() accepts. Time O(tiles). Error: invalid_argument for a level that
  /// does not hold a row and a key.
  Result<MemoryTraffic> memory_traffic(Schedule schedule, int64_t level_bytes) const;
  /// One line; parse(text()) is the same Problem.
  std::string text() const;
  /// The grammar is in docs/problem-text.md. Error: invalid_argument naming the field. The result has passed check().
  static Result<AttentionFwd> parse(std::string_view line);

 private:
  static int64_t offset(const Strides& s, const Offsets& cu, int64_t n, int64_t row, int64_t head) {
    return (cu.empty() ? n * s.batch : cu[n] * s.row) + row * s.row + head * s.head;
  }
  int64_t key_offset(const Strides& s, int64_t n, int64_t row, int64_t head) const {
    if (!cache) return offset(s, cu_k, n, row, head);
    const KvCache::Slot slot = cache->slot(n, row);
    return slot.entry * s.batch + slot.row * s.row + head * s.head;
  }
};

/// Where a kernel rounds: what its error bound is derived from (docs/numerics.md).
enum class Arithmetic : int32_t {
  f32,         ///< inputs widened exactly; products, scores, probabilities and sums in f32
  bf16_dot,    ///< q, k, v in bf16, probabilities rounded to bf16, pairwise products summed in f32
  f32_scaled,  ///< as f32, but the scale multiplies finished products; rescaled every 32 keys at most
  mma16,       ///< 16-bit elements, products summed in f32, probabilities rounded to the type of v, scale as before
};

/// `f32`, `bf16_dot`, ...; "?" for a value that is no row.
const char* arithmetic_name(Arithmetic arithmetic);

/// Memory of one run, of the plan's device. Pointers to arrays that the Problem does not ask for are ignored.
struct AttentionFwdArgs {
  const void* q = nullptr;
  const void* k = nullptr;
  const void* v = nullptr;
  void* o = nullptr;
  float* lse = nullptr;
  const float* alibi_slopes = nullptr;
  const float* bias = nullptr;
  const float* sink = nullptr;
  const void* k_scales = nullptr;  ///< of formats that have scales, of the type that the format names
  const void* v_scales = nullptr;
  const float* k_mean = nullptr;  ///< [hk][d]
  void* stream = nullptr;         ///< a cudaStream_t; null: the default stream. Plans for the CPU do not look at it.
};

/// What the bits of a row may depend on (docs/determinism.md). In all three a run with the same Problem and inputs
/// gives the same bits, with any number of threads.
enum class Guarantee : int32_t {
  deterministic,    ///< on the Problem
  fast,             ///< on the Problem; leave to round more than the types ask for, of which no row of today makes use
  batch_invariant,  ///< on its own sequence alone: not on the others of the batch, nor on the other queries of a call
};
/// `deterministic`, `fast`, `batch_invariant`; "?" for a value that is no row.
const char* guarantee_name(Guarantee guarantee);
/// Error: invalid_argument naming the text and the names.
Result<Guarantee> parse_guarantee(std::string_view text);

struct PlanOptions {
  Device device{};                     ///< where it runs; every pointer of a run names its memory
  int threads = 0;                     ///< 0: executor->workers, or ATTEND_NUM_THREADS, or what OpenMP says
  const Executor* executor = nullptr;  ///< the caller's threads; must outlive the plan
  std::string kernel{};                ///< ask for this row by id; empty: the fastest that takes the Problem
  Guarantee guarantee = Guarantee::deterministic;
  /// Pages that sequences which follow one another begin with are computed once for all of them and merged. Not with
  /// batch_invariant; only the CPU's rows do.
  bool cascade = true;
};

/// One kernel row's answer to a Problem.
struct Candidate {
  std::string kernel;
  bool accepted = false;
  std::string reason;  ///< why not; for the chosen row: why it
};

/// How a Problem will be run: kernel, tiles, threads, workspace, and why nothing faster. Immutable; may be run from
/// several threads at once, each with its own workspace. Refers to the arrays that the Problem's offsets and masks
/// view.
class AttentionFwdPlan {
 public:
  const AttentionFwd& problem() const;
  const std::string& kernel() const;  ///< id of the row, `attention_fwd.avx512.f32`
  const std::string& isa() const;     ///< `avx512`
  Arithmetic arithmetic() const;
  int threads() const;
  int64_t tile_rows() const;  ///< with tile_keys(): the tiles of which the kernel asks whether the mask skips them
  int64_t tile_keys() const;
  size_t workspace_bytes() const;  ///< what run() needs; any alignment
  const std::vector<Candidate>& candidates() const;
  std::string explain() const;  ///< several lines for a person
  /// What the plan's work list moves when one worker does all of it, in order, through a level of so many bytes; exact
  /// (docs/memory-traffic.md). Time O(tiles). Error: invalid_argument for a level that does not hold a tile of keys and
  /// what a worker computes in.
  Result<MemoryTraffic> memory_traffic(int64_t level_bytes) const;

  /// Computes. Allocates nothing, keeps no state. On a device it returns when the work is in the stream, which must be
  /// done before the plan goes. Errors: invalid_argument for a missing pointer or a small workspace; device.
  Status run(const AttentionFwdArgs& args, std::span<std::byte> workspace) const;
  /// The same with a workspace of its own; on a device, if the plan needs one, it waits until the work is done. Error:
  /// out_of_memory as well.
  Status run(const AttentionFwdArgs& args) const;

  struct Impl;
  explicit AttentionFwdPlan(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const Impl> impl_;
};

/// Chooses a kernel. Errors: what check() says; unsupported with every row and its reason.
Result<AttentionFwdPlan> plan(const AttentionFwd& problem, const PlanOptions& options = {});

/// Optional arguments of attention().
struct AttentionOptions {
  Mask mask{};
  std::optional<double> scale{};
  double softcap = 0;
  const float* alibi_slopes = nullptr;  ///< [hq]
  const float* sink = nullptr;          ///< [hq]
  float* lse = nullptr;                 ///< [b, hq, sq]
  PlanOptions plan{};
};

/// Plan and run in one call, from the tensors' own shapes: q [b, sq, hq, d], k [b, sk, hk, d], v [b, sk, hk, dv], o [b,
/// sq, hq, dv].
Status attention(const ConstTensor& q, const ConstTensor& k, const ConstTensor& v, const Tensor& o,
                 const AttentionOptions& options = {});

}  // namespace attend
