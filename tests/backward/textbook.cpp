// SPDX-License-Identifier: Apache-2.0
#include "textbook.hpp"

#include "base/float16.hpp"

namespace attend::test {
namespace {

/// One query row: what the forward pass leaves, and its pairs.
struct Row {
  std::vector<int64_t> keys;
  std::vector<double> p, slope;  ///< of each key
  std::vector<double> o;
  double lse = 0, delta = 0;
};

class Textbook {
 public:
  Textbook(GradientMemory& memory, GradientFault fault)
      : m_(memory), f_(memory.forward), p_(memory.forward.problem), fault_(fault) {}

  void run() {
    std::vector<double> dq(m_.dq.size()), dk(m_.dk.size()), dv(m_.dv.size()), dbias(m_.dbias.size()),
        dsink(m_.dsink.size());
    for (int64_t n = 0; n < p_.b; ++n)
      for (int64_t head = 0; head < p_.hq; ++head) {
        double before = 0;
        for (int64_t r = 0; r < p_.query_length(n); ++r) {
          Row row = forward_row(n, head, r);
          const double own = row.delta;
          if (fault_ == GradientFault::no_delta) row.delta = 0;
          if (fault_ == GradientFault::neighbours_delta && r > 0) row.delta = before;
          before = own;
          if (p_.sink && row.lse > -INFINITY)
            dsink[static_cast<size_t>(head)] -= std::exp(sink(head) - row.lse) * row.delta;
          add(n, head, r, row, dq, dk, dv, dbias);
        }
      }
    const auto store = [](const std::vector<double>& from, std::vector<float>& to) {
      for (size_t i = 0; i < from.size(); ++i) to[i] = static_cast<float>(from[i]);
    };
    store(dq, m_.dq);
    store(dk, m_.dk);
    store(dv, m_.dv);
    store(dbias, m_.dbias);
    store(dsink, m_.dsink);
  }

 private:
  double sink(int64_t head) const { return f_.sink[static_cast<size_t>(head)]; }
  double dout(int64_t n, int64_t head, int64_t r, int64_t c) const {
    return m_.dout[static_cast<size_t>(m_.problem.do_offset(n, r, head) + c)];
  }

  Row forward_row(int64_t n, int64_t head, int64_t r) {
    const Frame frame = p_.frame(n, head);
    const int64_t key_head = head / p_.group();
    Row row;
    double sum = p_.sink ? std::exp(sink(head)) : 0;
    row.o.resize(static_cast<size_t>(p_.dv));
    for (int64_t key = 0; key < frame.sk; ++key) {
      if (!p_.mask.keep(frame, r, key)) continue;
      double s = 0, slope = 1;
      for (int64_t c = 0; c < p_.d; ++c) s += double{f_.q(n, head, r, c)} * f_.k(n, key_head, key, c);
      s *= p_.effective_scale();
      if (p_.softcap > 0) {
        const double t = std::tanh(s / p_.softcap);
        s = p_.softcap * t;
        if (fault_ != GradientFault::cap_slope_forgotten) slope = 1 - t * t;
      }
      const auto at = static_cast<size_t>((p_.alibi_per_batch ? n * p_.hq : 0) + head);
      if (p_.alibi) s -= f_.slopes[at] * std::abs(static_cast<double>(frame.key_position(r) - key));
      if (p_.bias) s += f_.bias[static_cast<size_t>(p_.bias_offset(n, head, r) + key)];
      row.keys.push_back(key);
      row.p.push_back(std::exp(s));
      row.slope.push_back(slope);
      sum += std::exp(s);
    }
    row.lse = std::log(sum);
    for (size_t i = 0; i < row.keys.size(); ++i) {
      row.p[i] /= sum;
      for (int64_t c = 0; c < p_.dv; ++c) row.o[static_cast<size_t>(c)] += row.p[i] * f_.v(n, key_head, row.keys[i], c);
    }
    for (int64_t c = 0; c < p_.dv; ++c) f_.set_o(n, head, r, c, static_cast<float>(row.o[static_cast<size_t>(c)]));
    f_.lse[static_cast<size_t>(p_.lse_offset(n, r, head))] = static_cast<float>(row.lse);
    for (int64_t c = 0; c < p_.dv; ++c) row.delta += dout(n, head, r, c) * f_.o(n, head, r, c);
    return row;
  }

  void add(int64_t n, int64_t head, int64_t r, const Row& row, std::vector<double>& dq, std::vector<double>& dk,
           std::vector<double>& dv, std::vector<double>& dbias) {
    const int64_t key_head = head / p_.group();
    const double scale = p_.effective_scale();
    const bool keys_wanted = !(fault_ == GradientFault::dropped_row && r + 1 == p_.query_length(n)) &&
                             !(fault_ == GradientFault::group_not_summed && head % p_.group() != 0);
    for (size_t i = 0; i < row.keys.size(); ++i) {
      const int64_t key = row.keys[i];
      if (fault_ == GradientFault::mask_off_by_one && i + 1 == row.keys.size()) continue;
      double product = 0, p = row.p[i];
      for (int64_t c = 0; c < p_.dv; ++c) product += dout(n, head, r, c) * f_.v(n, key_head, key, c);
      if (fault_ == GradientFault::probs_in_bf16) p = bf16_to_f32(f32_to_bf16(static_cast<float>(p)));
      const double ds = p * (product - row.delta), dz = ds * row.slope[i];
      if (p_.bias) dbias[static_cast<size_t>(p_.bias_offset(n, head, r) + key)] += ds;
      for (int64_t c = 0; c < p_.d && !(fault_ == GradientFault::dropped_key && i == row.keys.size() / 2); ++c)
        dq[static_cast<size_t>(m_.problem.dq_offset(n, r, head) + c)] +=
            (fault_ == GradientFault::scale_forgotten ? 1 : scale) * dz * f_.k(n, key_head, key, c);
      for (int64_t c = 0; c < p_.d && keys_wanted; ++c)
        dk[static_cast<size_t>(m_.problem.dk_offset(n, key, key_head) + c)] +=
            (fault_ == GradientFault::scale_wrong ? 1.01 : 1) * scale * dz * f_.q(n, head, r, c);
      for (int64_t c = 0; c < p_.dv && keys_wanted; ++c)
        dv[static_cast<size_t>(m_.problem.dv_offset(n, key, key_head) + c)] += p * dout(n, head, r, c);
    }
  }

  GradientMemory& m_;
  Memory& f_;
  const AttentionFwd& p_;
  GradientFault fault_;
};

}  // namespace

void textbook_gradients(GradientMemory& memory, GradientFault fault) { Textbook(memory, fault).run(); }

}  // namespace attend::test
