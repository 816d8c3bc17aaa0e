// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "base/rng.hpp"
#include "reference/gradient_head.hpp"
#include "reference/tally.hpp"

namespace attend {
namespace {

using Head = GradientHead<Bound>;

class GradientComparer {
 public:
  GradientComparer(const AttentionBwd& problem, const AttentionBwdArgs& args, Arithmetic arithmetic)
      : p_(problem), f_(problem.forward), args_(args), round_(problem, arithmetic) {
    if (p_.dbias) bias_.resize(static_cast<size_t>(f_.bias_size()));
    if (p_.dsink) sink_.resize(static_cast<size_t>(f_.hq));
  }

  void head(int64_t n, int64_t key_head, const Head::Wanted& wanted) {
    const Head found(
        p_, args_, n, key_head, round_, wanted, [&](int64_t head, int64_t row) { return given(n, head, row); }, &bias_,
        &sink_);
    const int64_t rows = f_.query_length(n), group = f_.group();
    const double scale = f_.effective_scale();
    for (int64_t i = 0; i < group * rows; ++i) {
      if (wanted.rows[static_cast<size_t>(i)] == 0) continue;
      const int64_t head = key_head * group + i / rows, row = i % rows;
      compare("dq", {n, head, row}, p_.dq_type, args_.dq, p_.dq_offset(n, row, head),
              &found.dq[static_cast<size_t>(i * f_.d)], f_.d, scale);
    }
    for (int64_t key = 0; key < f_.key_length(n); ++key) {
      if (wanted.keys[static_cast<size_t>(key)] == 0) continue;
      compare("dk", {n, key_head, key}, p_.dk_type, args_.dk, p_.dk_offset(n, key, key_head),
              &found.dk[static_cast<size_t>(key * f_.d)], f_.d, scale);
      compare("dv", {n, key_head, key}, p_.dv_type, args_.dv, p_.dv_offset(n, key, key_head),
              &found.dv[static_cast<size_t>(key * f_.dv)], f_.dv, 1);
    }
  }

  /// After the last head of the last sequence.
  void sums() {
    if (!bias_.empty())
      compare("dbias", {}, DType::f32, args_.dbias, 0, bias_.data(), static_cast<int64_t>(bias_.size()), 1);
    if (!sink_.empty())
      compare("dsink", {}, DType::f32, args_.dsink, 0, sink_.data(), static_cast<int64_t>(sink_.size()), 1);
  }

  Comparison finish() { return tally_.finish(); }

 private:
  struct Place {
    int64_t n = -1, head = 0, row = 0;
  };

  ForwardRow<Bound> given(int64_t n, int64_t head, int64_t row) const {
    ForwardRow<Bound> forward;
    forward.lse = static_cast<double>(args_.lse[f_.lse_offset(n, row, head)]);
    if (forward.lse.value == -std::numeric_limits<double>::infinity()) return forward;
    std::vector<float> o(static_cast<size_t>(f_.dv));
    widen(f_.o_type, static_cast<const char*>(args_.o) + f_.o_offset(n, row, head) * dtype_bytes(f_.o_type), f_.dv,
          o.data());
    forward.o.assign(o.begin(), o.end());
    return forward;
  }

  void compare(const char* tensor, Place at, DType type, const void* data, int64_t offset,
               const Gathered<Bound>* expected, int64_t columns, double factor) {
    std::vector<float> found(static_cast<size_t>(columns));
    widen(type, static_cast<const char*>(data) + offset * dtype_bytes(type), columns, found.data());
    for (int64_t c = 0; c < columns; ++c) {
      const Bound x = round_.output(round_.sum(expected[c].sum, expected[c].count), factor, type, expected[c].count);
      const bool sound = std::isfinite(x.value) && x.error >= 0;
      const double bound = sound ? x.error : std::numeric_limits<double>::infinity();
      const double got = found[static_cast<size_t>(c)];
      tally_.note(error_ratio(got, x.value, bound, largest_finite(type)), got, x.value, bound, [&] {
        std::string place = tensor;
        if (at.n >= 0)
          place +=
              " at batch " + print_number(at.n) + ", head " + print_number(at.head) + ", row " + print_number(at.row);
        return place + (at.n >= 0 ? ", column " : " at element ") + print_number(c);
      });
      tally_.error(got, x.value);
    }
    tally_.row();
  }

  const AttentionBwd& p_;
  const AttentionFwd& f_;
  const AttentionBwdArgs& args_;
  GradientRounding<Bound> round_;
  std::vector<Gathered<Bound>> bias_, sink_;
  Tally tally_;
};

/// Chosen rows of dQ and of dK, by sequence and key head.
std::map<std::pair<int64_t, int64_t>, Head::Wanted> sampled(const AttentionFwd& f, int64_t sample, uint64_t seed) {
  std::map<std::pair<int64_t, int64_t>, Head::Wanted> chosen;
  const auto at = [&](int64_t n, int64_t key_head) -> Head::Wanted& {
    Head::Wanted& wanted = chosen[{n, key_head}];
    wanted.rows.resize(static_cast<size_t>(f.group() * f.query_length(n)));
    wanted.keys.resize(static_cast<size_t>(f.key_length(n)));
    return wanted;
  };
  Rng rng(seed);
  for (int64_t i = 0; i < sample && f.b > 0; ++i) {
    const int64_t n = rng.below(f.b), head = rng.below(f.hq), key_head = rng.below(f.hk);
    const int64_t rows = f.query_length(n), keys = f.key_length(n);
    // The first and the last one of a sequence before any others.
    const auto pick = [&](int64_t length) { return i % 3 == 0 ? 0 : i % 3 == 1 ? length - 1 : rng.below(length); };
    if (rows > 0) at(n, head / f.group()).rows[static_cast<size_t>(head % f.group() * rows + pick(rows))] = 1;
    if (keys > 0) at(n, key_head).keys[static_cast<size_t>(pick(keys))] = 1;
  }
  return chosen;
}

}  // namespace

Comparison compare_gradients_with_reference(const AttentionBwd& problem, const AttentionBwdArgs& args,
                                            Arithmetic arithmetic, int64_t sample, uint64_t seed) {
  GradientComparer comparer(problem, args, arithmetic);
  const AttentionFwd& f = problem.forward;
  if (sample >= 0) {
    for (const auto& [at, wanted] : sampled(f, sample, seed)) comparer.head(at.first, at.second, wanted);
    return comparer.finish();
  }
  for (int64_t n = 0; n < f.b; ++n) {
    const auto wanted = Head::Wanted::all(problem, n);
    for (int64_t key_head = 0; key_head < f.hk; ++key_head) comparer.head(n, key_head, wanted);
  }
  comparer.sums();
  return comparer.finish();
}

}  // namespace attend
