// SPDX-License-Identifier: Apache-2.0
#include "decode/decode_run.hpp"

#include <algorithm>
#include <attend/reference.hpp>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/rng.hpp"
#include "cpu/row_mask.hpp"
#include "cpu/targets/target.hpp"

namespace attend::test {
namespace {

/// Memory that begins at a multiple of 64 bytes.
class Aligned {
 public:
  explicit Aligned(int64_t bytes) : bytes_(static_cast<size_t>(bytes) + 64) {}
  void* data() { return bytes_.data() + (-reinterpret_cast<uintptr_t>(bytes_.data()) & 63); }
  float* floats() { return static_cast<float*>(data()); }

 private:
  std::vector<std::byte> bytes_;
};

constexpr float kInf = std::numeric_limits<float>::infinity();

}  // namespace

void PrintTo(const DecodeCase& each, std::ostream* out) { *out << each.name(); }

const std::vector<DecodeCase>& decode_cases() {
  static const std::vector<DecodeCase> cases = {
#define ATTEND_CPU_DECODE(target, arithmetic, why) {#target, #arithmetic, &cpu::target::kDecode_##arithmetic},
#include "cpu/kernels.def"
  };
  return cases;
}

std::string missing(const DecodeCase& each) {
  for (const IsaInfo& isa : machine_info().isas)
    if (isa.name == each.target) return isa.available ? "" : isa.reason;
  return std::string("no target ") + each.target;
}

DecodeInputs DecodeInputs::random(int hq, int sq, int keys, int d, int dv, cpu::DecodeFormat k_format,
                                  cpu::DecodeFormat v_format, uint64_t seed) {
  DecodeInputs inputs;
  inputs.problem = AttentionFwd::dense(Layout::bshd, DType::f32, 1, hq, 1, sq, keys, d);
  inputs.problem.dv = dv;
  inputs.problem.lse = true;
  inputs.problem.set_layout(Layout::bshd);
  Rng rng(seed);
  inputs.q.resize(static_cast<size_t>(hq * sq * d));
  for (float& x : inputs.q) x = static_cast<float>(rng.normal());
  inputs.k = StoredRows::random(k_format, keys, d, rng.next());
  inputs.v = StoredRows::random(v_format, keys, dv, rng.next());
  inputs.slopes.resize(static_cast<size_t>(hq));
  for (float& x : inputs.slopes) x = static_cast<float>(rng.uniform());
  inputs.bias.resize(static_cast<size_t>(hq * sq * keys));
  for (float& x : inputs.bias) x = static_cast<float>(rng.normal());
  inputs.decode();
  return inputs;
}

void DecodeInputs::decode() {
  k_decoded = k.decoded();
  v_decoded = v.decoded();
}

AttentionFwdArgs DecodeInputs::args() const {
  AttentionFwdArgs args;
  args.q = q.data();
  args.k = k_decoded.data();
  args.v = v_decoded.data();
  args.alibi_slopes = slopes.data();
  args.bias = bias.data();
  return args;
}

cpu::DecodeShape DecodeInputs::shape() const {
  return {static_cast<int32_t>(problem.d), static_cast<int32_t>(problem.dv), k.format, v.format};
}

DecodeOutput run_decode(const cpu::DecodeKernel& kernel, const DecodeInputs& inputs, const DecodeOptions& options) {
  const AttentionFwd& p = inputs.problem;
  const int first = options.first_row, rows = options.rows < 0 ? inputs.rows() - first : options.rows;
  const cpu::DecodeShape shape = inputs.shape();
  const bool terms = p.softcap > 0 || p.alibi || p.bias.has_value();
  const double unit = !terms ? 1.4426950408889634 : p.softcap > 0 ? 1 / p.softcap : 1;

  const void* q[cpu::kDecodeRows];
  int64_t query[cpu::kDecodeRows], position[cpu::kDecodeRows];
  float slopes[cpu::kDecodeRows];
  const float* bias[cpu::kDecodeRows];
  for (int i = 0; i < rows; ++i) {
    const int64_t head = (first + i) % p.hq;
    query[i] = (first + i) / p.hq;
    q[i] = inputs.q.data() + p.q_offset(0, query[i], head);
    position[i] = p.frame(0, head).key_position(query[i]);
    slopes[i] = inputs.slopes[static_cast<size_t>(head)];
    bias[i] = p.bias ? inputs.bias.data() + p.bias_offset(0, head, query[i]) : nullptr;
  }
  Aligned packed(kernel.q_bytes(shape, rows));
  kernel.pack_q(shape, packed.data(), q, cpu::Element::f32, rows, static_cast<float>(p.effective_scale() * unit),
                inputs.k.channel_scales.empty() ? nullptr : inputs.k.channel_scales.data(),
                inputs.k.mean.empty() ? nullptr : inputs.k.mean.data());

  const int64_t stride = kernel.out_stride(shape);
  DecodeOutput result;
  result.max.assign(static_cast<size_t>(rows), -kInf);
  Aligned sum(rows * cpu::kMaxLanes * 4), out(rows * stride * 4);
  cpu::StripeTerms stripe_terms{static_cast<float>(p.softcap), p.alibi ? slopes : nullptr, position,
                                p.bias ? bias : nullptr};
  const cpu::RowMask mask(p.mask, p.frame(0, 0), query, rows);
  const int keys = static_cast<int>(p.sk);
  for (int key = 0; key < keys; key += options.block_keys) {
    cpu::DecodeBlock block;
    block.shape = shape;
    block.rows = rows;
    block.keys = std::min(options.block_keys, keys - key);
    block.first_key = key;
    block.q = packed.data();
    block.k = inputs.k.side(key);
    block.v = inputs.v.side(key);
    uint64_t bits[cpu::kDecodeRows];
    const Range range{key, key + block.keys};
    const TileClass tile = mask.classify_block(range);
    if (tile == TileClass::skip) continue;
    for (int i = 0; i < rows; ++i) bits[i] = mask.bits(i, range);
    if (tile == TileClass::partial) block.bits = bits;
    if (terms) block.terms = &stripe_terms;
    const int next = key + block.keys, next_keys = std::min(options.block_keys, keys - next);
    cpu::DecodeFetch fetch[2 * cpu::kDecodeKeys];
    if (options.fetch) {
      block.fetch = fetch;
      for (const StoredRows* stored : {&inputs.k, &inputs.v}) {
        const cpu::DecodeSide side = stored->side(next);
        for (int i = 0; i < next_keys; ++i)
          fetch[block.fetches++] = {static_cast<const char*>(side.rows[i]) + side.offset,
                                    static_cast<int64_t>(stored->rows[0].size())};
      }
    }
    block.max = result.max.data();
    block.sum = sum.floats();
    block.out = out.floats();
    block.out_stride = stride;
    kernel.run_block(block);
  }
  result.sum.assign(sum.floats(), sum.floats() + rows * cpu::kMaxLanes);
  result.out.assign(out.floats(), out.floats() + rows * stride);
  result.o.resize(static_cast<size_t>(rows * p.dv));
  for (int i = 0; i < rows; ++i) {
    double total = 0;
    for (int lane = 0; lane < cpu::kMaxLanes; ++lane)
      total += result.sum[static_cast<size_t>(i * cpu::kMaxLanes + lane)];
    kernel.store_row(shape, result.o.data() + i * p.dv, cpu::Element::f32, out.floats() + i * stride,
                     total == 0 ? 0.0F : static_cast<float>(1 / total),
                     inputs.v.channel_scales.empty() ? nullptr : inputs.v.channel_scales.data());
    result.lse.push_back(
        static_cast<float>((result.max[static_cast<size_t>(i)] + std::log2(total)) * 0.6931471805599453));
  }
  return result;
}

double expect_within_bound(const DecodeCase& each, const DecodeInputs& inputs, const DecodeOptions& options) {
  const DecodeOutput found = run_decode(*each.kernel, inputs, options);
  const AttentionFwd& p = inputs.problem;
  double worst = 0;
  const auto check = [&](double value, double exact, double bound, int row, int column) {
    const double error = value == exact ? 0 : std::fabs(value - exact);
    const double ratio = error == 0 ? 0 : error / bound;
    EXPECT_LE(ratio, 1) << each.name() << " k " << format_name(inputs.k.format) << " v " << format_name(inputs.v.format)
                        << " " << p.text() << " row " << row << " column " << column << ": " << value << ", expected "
                        << exact << " within " << bound;
    worst = std::max(worst, ratio);
    return ratio <= 1;
  };
  for (size_t i = 0; i < found.lse.size(); ++i) {
    const int row = options.first_row + static_cast<int>(i);
    const ReferenceRow exact = reference_row(p, inputs.args(), Arithmetic::f32, 0, row % p.hq, row / p.hq);
    bool ok = check(found.lse[i], exact.lse, exact.lse_bound, row, -1);
    for (int64_t c = 0; ok && c < p.dv; ++c)
      ok = check(found.o[i * static_cast<size_t>(p.dv) + static_cast<size_t>(c)], exact.o[static_cast<size_t>(c)],
                 exact.o_bound[static_cast<size_t>(c)], row, static_cast<int>(c));
    if (!ok) break;
  }
  return worst;
}

}  // namespace attend::test
