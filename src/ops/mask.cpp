// SPDX-License-Identifier: Apache-2.0
#include <attend/mask.hpp>

#include <algorithm>
#include <array>
#include <bit>

#include "ops/argument.hpp"
#include "ops/mask/bits.hpp"
#include "ops/mask/terms.hpp"

namespace attend {
namespace {

/// Calls f with the term as its own type.
template <class F>
auto visit_term(const MaskTerm& term, F&& f) {
  using R = decltype(f(*std::get_if<0>(&term)));
  switch (static_cast<MaskKind>(term.index())) {
#define ATTEND_MASK(Type, name, doc) \
  case MaskKind::name:               \
    return f(*std::get_if<Type>(&term));
#include <attend/mask/masks.def>
#undef ATTEND_MASK
  }
  return R{};  // monostate, which Mask's constructor cannot make
}

template <class Term>
TileClass classify_term(const Term& term, const Frame& frame, Range q, Range k) {
  if constexpr (IntervalMask<Term>) {
    return interval_classify(term, frame, q, k);
  } else {
    return term.classify(frame, q, k);
  }
}

/// Keys that any query of the range sees, by one term.
template <class Term>
Range term_span(const Term& term, const Frame& frame, Range q) {
  if constexpr (IntervalMask<Term>) {
    return {term.keys(frame, q.begin).begin, term.keys(frame, q.end - 1).end};
  } else if constexpr (requires { term.key_span(frame, q); }) {
    return term.key_span(frame, q);
  } else {
    return {0, frame.sk};
  }
}

bool is_interval(const MaskTerm& term) {
  return visit_term(term, []<class Term>(const Term&) { return IntervalMask<Term>; });
}

/// Keys of one row that all interval terms keep.
Range interval_of_row(const std::vector<MaskTerm>& terms, const Frame& frame, int64_t q) {
  Range kept{0, frame.sk};
  for (const MaskTerm& each : terms) {
    kept = intersect(kept, visit_term(each, [&]<class Term>(const Term& term) {
                       if constexpr (IntervalMask<Term>) {
                         return term.keys(frame, q);
                       } else {
                         return Range{0, frame.sk};
                       }
                     }));
  }
  return kept;
}

}  // namespace

bool Mask::per_head() const {
  return std::any_of(terms_.begin(), terms_.end(), [](const MaskTerm& each) {
    return visit_term(each, [](const auto& term) {
      if constexpr (requires { term.differs_by_head(); }) {
        return term.differs_by_head();
      } else {
        return false;
      }
    });
  });
}

bool differs_by_batch(const Mask& mask) {
  return std::any_of(mask.terms().begin(), mask.terms().end(), [](const MaskTerm& each) {
    return visit_term(each, [](const auto& term) {
      if constexpr (requires { term.differs_by_batch(); }) {
        return term.differs_by_batch();
      } else {
        return false;
      }
    });
  });
}

TileClass Mask::classify(const Frame& frame, Range q, Range k) const {
  const Range inside = intersect(k, {0, frame.sk});
  if (q.empty() || inside.empty()) return TileClass::skip;
  TileClass answer = inside == k ? TileClass::full : TileClass::partial;
  for (const MaskTerm& each : terms_) {
    answer = both(answer, visit_term(each, [&](const auto& term) { return classify_term(term, frame, q, inside); }));
    if (answer == TileClass::skip) break;
  }
  return answer;
}

bool Mask::keep(const Frame& frame, int64_t q, int64_t k) const {
  if (k < 0 || k >= frame.sk) return false;
  return std::all_of(terms_.begin(), terms_.end(), [&](const MaskTerm& each) {
    return visit_term(each, [&]<class Term>(const Term& term) {
      if constexpr (IntervalMask<Term>) {
        return interval_keep(term, frame, q, k);
      } else {
        return term.keep(frame, q, k);
      }
    });
  });
}

void Mask::row_bits(const Frame& frame, int64_t q, Range k, uint64_t* bits) const {
  if (k.empty()) return;
  const Range kept = interval_of_row(terms_, frame, q);
  write_interval(bits, k, kept);
  // Other terms look only at words that may still hold a key.
  const Range seen = intersect(k, kept);
  if (seen.empty()) return;
  const int64_t first_word = (seen.begin - k.begin) / 64;
  const Range rest{k.begin + 64 * first_word, seen.end};
  for (const MaskTerm& each : terms_) {
    visit_term(each, [&]<class Term>(const Term& term) {
      if constexpr (!IntervalMask<Term>) term.restrict_row(frame, q, rest, bits + first_word);
      return true;
    });
  }
}

Range Mask::key_span(const Frame& frame, Range q) const {
  if (q.empty()) return {};
  Range span{0, frame.sk};
  for (const MaskTerm& each : terms_) {
    span = intersect(span, visit_term(each, [&](const auto& term) { return term_span(term, frame, q); }));
  }
  return span.empty() ? Range{} : span;
}

Status Mask::check(const AttentionFwd& problem) const {
  for (const MaskTerm& each : terms_) {
    if (each.index() >= std::variant_size_v<MaskTerm> - 1)
      return wrong_argument("mask", "no mask", "a row of masks.def");
    if (Status status = visit_term(each, [&](const auto& term) { return check_term(term, problem); }); !status.ok()) {
      return status;
    }
  }
  return {};
}

int64_t count_pairs(const Mask& mask, const Frame& frame) {
  if (mask.none()) return frame.sq * frame.sk;
  int64_t pairs = 0;
  if (std::all_of(mask.terms().begin(), mask.terms().end(), is_interval)) {
    for (int64_t q = 0; q < frame.sq; ++q) pairs += interval_of_row(mask.terms(), frame, q).size();
    return pairs;
  }
  constexpr int64_t kWords = 64;
  std::array<uint64_t, kWords> bits;
  for (int64_t q = 0; q < frame.sq; ++q) {
    const Range span = mask.key_span(frame, {q, q + 1});
    for (int64_t at = span.begin; at < span.end; at += 64 * kWords) {
      const Range k = intersect({at, at + 64 * kWords}, span);
      mask.row_bits(frame, q, k, bits.data());
      for (int64_t i = 0; i < words_of(k.size()); ++i) pairs += std::popcount(bits[i]);
    }
  }
  return pairs;
}

}  // namespace attend
