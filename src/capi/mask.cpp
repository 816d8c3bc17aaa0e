// SPDX-License-Identifier: Apache-2.0
#include "capi/mask.hpp"

#include <attend/mask.hpp>

#include "capi/structs.hpp"

namespace attend::capi {
namespace {

/// One term while it is read. Each kind names the fields that it has; finish() refuses the others unless they are 0.
class TermReader {
 public:
  TermReader(std::string_view operation, std::string name, const attend_mask_term& term)
      : operation_(operation), name_(std::move(name)), term_(term), left_(term) {}

  int64_t a() {
    left_.a = 0;
    return term_.a;
  }
  int64_t b() {
    left_.b = 0;
    return term_.b;
  }
  Status per_batch(bool* to) {
    left_.per_batch = 0;
    return read_flag(operation_, name_ + ".per_batch", term_.per_batch, to);
  }
  Status per_head(bool* to) {
    left_.per_head = 0;
    return read_flag(operation_, name_ + ".per_head", term_.per_head, to);
  }
  template <class T>
  Status data(const char* type, Array<T>* to) {
    left_.data = nullptr;
    left_.count = 0;
    return take(".data", term_.data, term_.count, type, to);
  }
  template <class T>
  Status data2(const char* type, Array<T>* to) {
    left_.data2 = nullptr;
    left_.count2 = 0;
    return take(".data2", term_.data2, term_.count2, type, to);
  }
  Status finish() const {
    const std::string why = std::string("not a field of ") + attend_mask_name(term_.kind);
    ATTEND_CAPI_TRY(expect_zero(operation_, name_ + ".per_batch", left_.per_batch, why));
    ATTEND_CAPI_TRY(expect_zero(operation_, name_ + ".per_head", left_.per_head, why));
    ATTEND_CAPI_TRY(expect_zero(operation_, name_ + ".reserved", left_.reserved, "reserved"));
    ATTEND_CAPI_TRY(expect_zero(operation_, name_ + ".a", left_.a, why));
    ATTEND_CAPI_TRY(expect_zero(operation_, name_ + ".b", left_.b, why));
    ATTEND_CAPI_TRY(expect_zero(operation_, name_ + ".data", left_.data, why));
    ATTEND_CAPI_TRY(expect_zero(operation_, name_ + ".count", left_.count, why));
    ATTEND_CAPI_TRY(expect_zero(operation_, name_ + ".data2", left_.data2, why));
    return expect_zero(operation_, name_ + ".count2", left_.count2, why);
  }

 private:
  template <class T>
  Status take(const char* field, const void* data, int64_t count, const char* type, Array<T>* to) {
    Result<Array<T>> array = copy_array<T>(operation_, name_ + field, data, count, type);
    if (!array.ok()) return array.status();
    *to = std::move(array).value();
    return {};
  }

  std::string_view operation_;
  std::string name_;
  const attend_mask_term& term_;
  attend_mask_term left_;  ///< the fields that nobody has asked for
};

// One overload for each row of masks.def; a row without one does not compile.

Status read(TermReader&, const AttentionFwd&, CausalBottomRight*) { return {}; }
Status read(TermReader&, const AttentionFwd&, CausalTopLeft*) { return {}; }

Status read(TermReader& from, const AttentionFwd&, Window* to) {
  to->left = from.a();
  to->right = from.b();
  return {};
}

Status read(TermReader& from, const AttentionFwd&, Chunk* to) {
  to->size = from.a();
  return {};
}

Status read(TermReader& from, const AttentionFwd&, PrefixLm* to) { return from.data("int64_t", &to->prefix); }
Status read(TermReader& from, const AttentionFwd&, Documents* to) { return from.data("int64_t", &to->offsets); }

Status read(TermReader& from, const AttentionFwd& problem, BlockSparse* to) {
  bool per_head = false;
  ATTEND_CAPI_TRY(from.per_head(&per_head));
  to->q_tile = from.a();
  to->k_tile = from.b();
  to->heads = per_head ? problem.hq : 1;
  to->tile_rows = to->q_tile > 0 && problem.sq > 0 ? (problem.sq - 1) / to->q_tile + 1 : 0;
  ATTEND_CAPI_TRY(from.data("int64_t", &to->row_ptr));
  return from.data2("int32_t", &to->columns);
}

Status read(TermReader& from, const AttentionFwd&, Padding* to) {
  ATTEND_CAPI_TRY(from.data("int64_t", &to->end));
  return from.data2("int64_t", &to->begin);
}

Status read(TermReader& from, const AttentionFwd& problem, Tree* to) {
  to->size = from.a();
  to->rows = problem.sq;
  return from.data("uint64_t", &to->bits);
}

Status read(TermReader& from, const AttentionFwd& problem, Dense* to) {
  ATTEND_CAPI_TRY(from.per_batch(&to->per_batch));
  ATTEND_CAPI_TRY(from.per_head(&to->per_head));
  to->heads = to->per_head ? problem.hq : 1;
  to->sq = problem.sq;
  to->sk = problem.sk;
  return from.data("uint8_t", &to->allow);
}

Status read(TermReader& from, const AttentionFwd&, Streaming* to) {
  to->first = from.a();
  to->left = from.b();
  return {};
}

template <class Term>
Status add(TermReader from, const AttentionFwd& problem, Mask* mask) {
  Term term;
  ATTEND_CAPI_TRY(read(from, problem, &term));
  ATTEND_CAPI_TRY(from.finish());
  *mask = *mask & Mask(std::move(term));
  return {};
}

template <class T>
void view(const Array<T>& array, const void** data, int64_t* count) {
  *data = array.empty() ? nullptr : array.data();
  *count = array.size();
}

void describe(const CausalBottomRight&, attend_mask_term*) {}
void describe(const CausalTopLeft&, attend_mask_term*) {}
void describe(const Window& from, attend_mask_term* to) {
  to->a = from.left;
  to->b = from.right;
}
void describe(const Chunk& from, attend_mask_term* to) { to->a = from.size; }
void describe(const PrefixLm& from, attend_mask_term* to) { view(from.prefix, &to->data, &to->count); }
void describe(const Documents& from, attend_mask_term* to) { view(from.offsets, &to->data, &to->count); }
void describe(const BlockSparse& from, attend_mask_term* to) {
  to->a = from.q_tile;
  to->b = from.k_tile;
  to->per_head = from.heads == 1 ? 0 : 1;
  view(from.row_ptr, &to->data, &to->count);
  view(from.columns, &to->data2, &to->count2);
}
void describe(const Padding& from, attend_mask_term* to) {
  view(from.end, &to->data, &to->count);
  view(from.begin, &to->data2, &to->count2);
}
void describe(const Tree& from, attend_mask_term* to) {
  to->a = from.size;
  view(from.bits, &to->data, &to->count);
}
void describe(const Dense& from, attend_mask_term* to) {
  to->per_batch = from.per_batch ? 1 : 0;
  to->per_head = from.per_head ? 1 : 0;
  view(from.allow, &to->data, &to->count);
}
void describe(const Streaming& from, attend_mask_term* to) {
  to->a = from.first;
  to->b = from.left;
}
void describe(const std::monostate&, attend_mask_term*) {}

}  // namespace

Status read_mask(std::string_view operation, const attend_mask_term* terms, int64_t count, const AttentionFwd& problem,
                 Mask* mask) {
  if (count < 0) return refuse(operation, "desc.mask_count", std::to_string(count), "0 or more");
  if (count > 0 && terms == nullptr) {
    return refuse_null(operation, "desc.mask_terms", std::to_string(count) + " terms (= mask_count)");
  }
  size_t stride = 0;  // the caller's idea of sizeof(attend_mask_term)
  const auto* bytes = reinterpret_cast<const unsigned char*>(terms);
  for (int64_t i = 0; i < count; ++i) {
    const std::string name = "desc.mask_terms[" + std::to_string(i) + "]";
    const auto* at = reinterpret_cast<const attend_mask_term*>(bytes + static_cast<size_t>(i) * stride);
    attend_mask_term term = attend_mask_term_init(0);
    ATTEND_CAPI_TRY(read_struct(operation, name, at, &term));
    size_t size = 0;
    std::memcpy(&size, at, sizeof size);
    if (i == 0) stride = size;
    if (size != stride) {
      return refuse(operation, name + ".struct_size", std::to_string(size),
                    std::to_string(stride) + ", as the first term's");
    }
    const TermReader reader(operation, name, term);
    switch (static_cast<MaskKind>(term.kind)) {
#define ATTEND_MASK(Type, kind_name, doc)              \
  case MaskKind::kind_name:                            \
    ATTEND_CAPI_TRY(add<Type>(reader, problem, mask)); \
    break;
#include <attend/mask/masks.def>
#undef ATTEND_MASK
      default: {
        std::string rows;
        for (int32_t kind = 0; kind < static_cast<int32_t>(std::variant_size_v<MaskTerm>) - 1; ++kind) {
          rows += (kind > 0 ? ", " : "") + std::to_string(kind) + " (" + attend_mask_name(kind) + ")";
        }
        return refuse(operation, name + ".kind", std::to_string(term.kind), "one of " + rows);
      }
    }
  }
  return {};
}

std::vector<attend_mask_term> describe_mask(const Mask& mask) {
  std::vector<attend_mask_term> terms;
  terms.reserve(mask.terms().size());
  for (const MaskTerm& term : mask.terms()) {
    // A row's index in the variant is its number: both count the rows of masks.def.
    attend_mask_term described = attend_mask_term_init(static_cast<attend_mask_kind>(term.index()));
    std::visit([&](const auto& known) { describe(known, &described); }, term);
    terms.push_back(described);
  }
  return terms;
}

}  // namespace attend::capi
