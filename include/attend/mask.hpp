// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/mask/block_sparse.hpp>
#include <attend/mask/causal.hpp>
#include <attend/mask/chunk.hpp>
#include <attend/mask/dense.hpp>
#include <attend/mask/documents.hpp>
#include <attend/mask/padding.hpp>
#include <attend/mask/prefix_lm.hpp>
#include <attend/mask/streaming.hpp>
#include <attend/mask/tile.hpp>
#include <attend/mask/tree.hpp>
#include <attend/mask/window.hpp>
#include <attend/status.hpp>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace attend {

struct AttentionFwd;

/// The rows of mask/masks.def, in order; the numbers are those of the C ABI. `none` is a Mask without terms.
enum class MaskKind : int32_t {
#define ATTEND_MASK(Type, name, doc) name,
#include <attend/mask/masks.def>
#undef ATTEND_MASK
};

/// One row of masks.def with its numbers.
using MaskTerm = std::variant<
#define ATTEND_MASK(Type, name, doc) Type,
#include <attend/mask/masks.def>
#undef ATTEND_MASK
    std::monostate>;

/// Intersection of any number of terms: a pair counts when every term keeps it. No term: every pair counts.
class Mask {
 public:
  Mask() = default;
  template <class Term>
  requires std::is_constructible_v<MaskTerm, Term> Mask(Term term)
      : terms_{MaskTerm(std::move(term))} {}  // NOLINT: a term is a mask

  static Mask causal() { return CausalBottomRight{}; }
  static Mask window(int64_t left, int64_t right) { return Window{left, right}; }

  friend Mask operator&(Mask a, const Mask& b) {
    a.terms_.insert(a.terms_.end(), b.terms_.begin(), b.terms_.end());
    return a;
  }

  const std::vector<MaskTerm>& terms() const { return terms_; }
  bool none() const { return terms_.empty(); }
  /// Whether heads of the same sequence may see different keys.
  bool per_head() const;

  TileClass classify(const Frame& frame, Range q, Range k) const;
  bool keep(const Frame& frame, int64_t q, int64_t k) const;
  /// Bit i of `bits` ([ceil(k.size() / 64)] words) becomes keep(q, k.begin + i); bits past the range become 0.
  void row_bits(const Frame& frame, int64_t q, Range k, uint64_t* bits) const;
  /// An interval that holds every key that any query of the range sees.
  Range key_span(const Frame& frame, Range q) const;

  /// ok, or invalid_argument naming the mask, its field, found and expected.
  Status check(const AttentionFwd& problem) const;

 private:
  std::vector<MaskTerm> terms_;
};

}  // namespace attend
