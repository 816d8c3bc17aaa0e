// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

#include "base/rng.hpp"
#include "element.hpp"
#include "guarded_buffer.hpp"
#include "verify.hpp"

namespace attend::verify {
namespace {

enum Buffer : int { kQ, kK, kV, kO, kLse, kAlibi, kBias, kSink, kKScales, kVScales, kKMean, kBuffers };

/// Gaps of a buffer larger than this stay zero: it stands for a sparse region, of which only the rows are touched.
constexpr int64_t kLargestPoisonedBytes = int64_t{1} << 30;

/// The rows of q, k, v or o in memory.
struct Rows {
  const AttentionFwd& problem;
  Buffer buffer;

  bool keys() const { return buffer == kK || buffer == kV; }
  int64_t heads() const { return keys() ? problem.hk : problem.hq; }
  int64_t columns() const { return buffer == kQ || buffer == kK ? problem.d : problem.dv; }
  int64_t length(int64_t n) const { return keys() ? problem.key_length(n) : problem.query_length(n); }
  int64_t offset(int64_t n, int64_t row, int64_t head) const {
    switch (buffer) {
      case kQ: return problem.q_offset(n, row, head);
      case kK: return problem.k_offset(n, row, head);
      case kV: return problem.v_offset(n, row, head);
      default: return problem.o_offset(n, row, head);
    }
  }
  KvFormat format() const {
    return buffer == kK ? problem.k_format() : buffer == kV ? problem.v_format() : KvFormat::plain;
  }
  /// Elements from the start to the end of the farthest row.
  int64_t extent() const {
    int64_t end = 0;
    for (int64_t n = 0; n < problem.b; ++n) {
      // In a cache any token may be the farthest.
      for (int64_t row = keys() && problem.cache ? 0 : length(n) - 1; row >= 0 && row < length(n); ++row)
        end = std::max(end, offset(n, row, heads() - 1) + kv_row_elements(format(), columns()));
    }
    return end;
  }
  int64_t scale_offset(int64_t n, int64_t row, int64_t head) const {
    return buffer == kK ? problem.k_scale_offset(n, row, head) : problem.v_scale_offset(n, row, head);
  }
  /// Scales from the first to the end of the farthest ones; 0 without scales.
  int64_t scale_extent() const {
    if (format() == KvFormat::plain) return 0;
    int64_t end = 0;
    for_each([&](int64_t n, int64_t head, int64_t row, int64_t) {
      end = std::max(end, scale_offset(n, row, head) + kv_row_scales(format(), columns()));
    });
    return end;
  }
  template <class F>  // f(n, head, row, offset)
  void for_each(F f) const {
    for (int64_t n = 0; n < problem.b; ++n) {
      for (int64_t head = 0; head < heads(); ++head) {
        for (int64_t row = 0; row < length(n); ++row) f(n, head, row, offset(n, row, head));
      }
    }
  }
};

/// Which rows of q and k (v alike), and which slots of the bias, some visible pair uses.
class Usage {
 public:
  explicit Usage(const AttentionFwd& problem)
      : hq_(problem.hq),
        hk_(problem.hk),
        sq_(problem.sq),
        sk_(problem.sk),
        queries_(problem.b * problem.hq * problem.sq),
        keys_(problem.b * problem.hk * problem.sk),
        bias_(problem.bias_size()) {
    std::vector<uint64_t> bits(static_cast<size_t>((problem.sk + 63) / 64));
    for (int64_t n = 0; n < problem.b; ++n) {
      const Range all{0, problem.key_length(n)};
      const int64_t words = (all.end + 63) / 64;
      for (int64_t head = 0; head < problem.hq; ++head) {
        const Frame frame = problem.frame(n, head);
        for (int64_t row = 0; row < frame.sq; ++row) {
          problem.mask.row_bits(frame, row, all, bits.data());
          if (std::all_of(bits.begin(), bits.begin() + words, [](uint64_t word) { return word == 0; })) continue;
          queries_[query_slot(n, head, row)] = true;
          for (int64_t key = 0; key < all.end; ++key) {
            if ((bits[key / 64] >> (key % 64) & 1) == 0) continue;
            keys_[key_slot(n, head / problem.group(), key)] = true;
            if (problem.bias) bias_[problem.bias_offset(n, head, row) + key] = true;
          }
        }
      }
    }
  }
  bool query(int64_t n, int64_t head, int64_t row) const { return queries_[query_slot(n, head, row)]; }
  bool key(int64_t n, int64_t key_head, int64_t row) const { return keys_[key_slot(n, key_head, row)]; }
  bool bias(int64_t slot) const { return bias_[slot]; }

 private:
  int64_t query_slot(int64_t n, int64_t head, int64_t row) const { return (n * hq_ + head) * sq_ + row; }
  int64_t key_slot(int64_t n, int64_t head, int64_t row) const { return (n * hk_ + head) * sk_ + row; }

  int64_t hq_, hk_, sq_, sk_;
  std::vector<bool> queries_, keys_, bias_;
};

/// Fills the buffer and the lead before it.
void fill(const GuardedBuffer& buffer, DType type, uint32_t bits) {
  const int64_t lead = static_cast<int64_t>(buffer.lead()) / dtype_bytes(type);
  const int64_t count = static_cast<int64_t>(buffer.size()) / dtype_bytes(type);
  for (int64_t i = -lead; i < count; ++i) set_element_bits(type, buffer.data(), i, bits);
}

bool sparse(const GuardedBuffer& buffer) { return static_cast<int64_t>(buffer.size()) > kLargestPoisonedBytes; }

}  // namespace

struct Inputs::State {
  AttentionFwd problem;
  FillOptions options;
  std::array<GuardedBuffer, kBuffers> buffers;
  std::array<int64_t, kBuffers> counts{};

  DType type(Buffer buffer) const {
    switch (buffer) {
      case kQ: return problem.q_type;
      case kK: return problem.k_type;
      case kV: return problem.v_type;
      case kO: return problem.o_type;
      case kKScales: return kv_format_row(problem.k_format()).scale_type;
      case kVScales: return kv_format_row(problem.v_format()).scale_type;
      default: return DType::f32;
    }
  }
  /// Codes of K or V: bytes without a NaN, so that what nobody may use is poisoned by its scale.
  void allocate_codes(Buffer buffer, int64_t bytes) {
    counts[buffer] = bytes;
    buffers[buffer] = GuardedBuffer(static_cast<size_t>(bytes), options.guard_pages);
  }
  void allocate(Buffer buffer, int64_t count) {
    counts[buffer] = count;
    buffers[buffer] = GuardedBuffer(static_cast<size_t>(count) * dtype_bytes(type(buffer)), options.guard_pages);
    if (options.poison && !sparse(buffers[buffer])) fill(buffers[buffer], type(buffer), input_poison(type(buffer)));
  }
  /// Each buffer has numbers of its own, whichever others the Problem asks for.
  Rng numbers_of(Buffer buffer) const { return Rng(options.seed, static_cast<uint64_t>(buffer) << 56); }
  double draw(Rng& rng) const {
    return options.magnitude * (options.ties ? static_cast<double>(rng.below(5) - 2) / 2 : rng.normal());
  }
  /// Rows that `used(n, head, row)` does not name keep the poison; they take their numbers all the same, so that the
  /// values of the others do not depend on the mask.
  template <class Used>
  void fill_rows(Buffer buffer, Used used) {
    const Rows rows{problem, buffer};
    if (rows.format() != KvFormat::plain) return encode_rows(rows, used);
    Rng rng = numbers_of(buffer);
    rows.for_each([&](int64_t n, int64_t head, int64_t row, int64_t offset) {
      const bool write = !options.poison || used(n, head, row);
      for (int64_t c = 0; c < rows.columns(); ++c) {
        const double value = draw(rng);
        if (write) store_element(type(buffer), buffers[buffer].data(), offset + c, value);
      }
    });
  }
  template <class Used>
  void encode_rows(const Rows& rows, Used used) {
    const Buffer scales = rows.buffer == kK ? kKScales : kVScales;
    const KvFormatRow format = kv_format_row(rows.format());
    Rng rng = numbers_of(rows.buffer);
    if (format.scales == KvScales::channel) {
      for (int64_t i = 0; i < counts[scales]; ++i)
        store_element(DType::f32, buffers[scales].data(), i, options.magnitude * (1 + 3 * rng.uniform()) / 127);
    }
    std::vector<float> values(static_cast<size_t>(rows.columns()));
    rows.for_each([&](int64_t n, int64_t head, int64_t row, int64_t offset) {
      for (float& value : values) value = static_cast<float>(draw(rng));
      if (options.poison && !used(n, head, row)) return;
      kv_encode(rows.format(), DType::f32, values.data(), rows.columns(),
                buffers[rows.buffer].data() + kv_bytes(rows.format(), DType::f32, offset),
                buffers[scales].data() + rows.scale_offset(n, row, head) * dtype_bytes(format.scale_type));
    });
  }
  template <class Draw>
  void fill_list(Buffer buffer, Draw value) {
    Rng rng = numbers_of(buffer);
    for (int64_t i = 0; i < counts[buffer]; ++i) store_element(DType::f32, buffers[buffer].data(), i, value(rng));
  }
};

Inputs::Inputs(std::unique_ptr<State> state) : state_(std::move(state)) {}
Inputs::Inputs(Inputs&&) noexcept = default;
Inputs& Inputs::operator=(Inputs&&) noexcept = default;
Inputs::~Inputs() = default;

Inputs Inputs::make(const AttentionFwd& problem, const FillOptions& options) {
  auto state = std::make_unique<State>();
  state->problem = problem;
  state->options = options;
  for (Buffer buffer : {kQ, kK, kV, kO}) {
    const Rows rows{problem, buffer};
    if (rows.format() == KvFormat::plain) {
      state->allocate(buffer, rows.extent());
    } else {
      state->allocate_codes(buffer, kv_bytes(rows.format(), DType::f32, rows.extent()));
      state->allocate(buffer == kK ? kKScales : kVScales, rows.scale_extent());
    }
  }
  if (problem.cache && problem.cache->k_mean) state->allocate(kKMean, problem.hk * problem.d);
  if (problem.lse) state->allocate(kLse, problem.lse_size());
  if (problem.alibi) state->allocate(kAlibi, problem.alibi_per_batch ? problem.b * problem.hq : problem.hq);
  if (problem.bias) state->allocate(kBias, problem.bias_size());
  if (problem.sink) state->allocate(kSink, problem.hq);

  const Usage usage(problem);
  state->fill_rows(kQ, [&](int64_t n, int64_t head, int64_t row) { return usage.query(n, head, row); });
  for (Buffer buffer : {kK, kV}) {
    state->fill_rows(buffer, [&](int64_t n, int64_t head, int64_t row) { return usage.key(n, head, row); });
  }
  state->fill_list(kAlibi, [](Rng& rng) { return rng.uniform() / 2; });
  state->fill_list(kKMean, [&](Rng& rng) { return 2 * options.magnitude * rng.normal(); });
  state->fill_list(kSink, [](Rng& rng) { return rng.normal(); });
  int64_t slot = 0;
  state->fill_list(kBias, [&](Rng& rng) {
    const double value = rng.normal();
    return options.poison && !usage.bias(slot++) ? std::numeric_limits<double>::quiet_NaN() : value;
  });

  Inputs inputs(std::move(state));
  inputs.poison_outputs();
  return inputs;
}

AttentionFwdArgs Inputs::args() const {
  AttentionFwdArgs args;
  args.q = data(kQ);
  args.k = data(kK);
  args.v = data(kV);
  args.o = data(kO);
  args.lse = static_cast<float*>(data(kLse));
  args.alibi_slopes = static_cast<const float*>(data(kAlibi));
  args.bias = static_cast<const float*>(data(kBias));
  args.sink = static_cast<const float*>(data(kSink));
  args.k_scales = data(kKScales);
  args.v_scales = data(kVScales);
  args.k_mean = static_cast<const float*>(data(kKMean));
  return args;
}

int64_t Inputs::elements(int buffer) const { return state_->counts[buffer]; }
size_t Inputs::bytes(int buffer) const { return state_->buffers[buffer].size(); }
void* Inputs::data(int buffer) const { return state_->buffers[buffer].data(); }

std::string Inputs::output_bytes() const {
  std::string bytes;
  for (Buffer buffer : {kO, kLse}) {
    const GuardedBuffer& memory = state_->buffers[buffer];
    bytes.append(reinterpret_cast<const char*>(memory.data()), memory.size());
  }
  return bytes;
}

void Inputs::poison_outputs() {
  const GuardedBuffer& o = state_->buffers[kO];
  const DType type = state_->type(kO);
  if (!sparse(o)) {
    fill(o, type, output_poison(type));
  } else {
    const Rows rows{state_->problem, kO};
    rows.for_each([&](int64_t, int64_t, int64_t, int64_t offset) {
      for (int64_t c = 0; c < rows.columns(); ++c) set_element_bits(type, o.data(), offset + c, output_poison(type));
    });
  }
  fill(state_->buffers[kLse], DType::f32, output_poison(DType::f32));
}

std::string Inputs::output_fault() const {
  const GuardedBuffer& o = state_->buffers[kO];
  const DType type = state_->type(kO);
  const Rows rows{state_->problem, kO};
  const auto written = [&](int64_t i) { return element_bits(type, o.data(), i) != output_poison(type); };
  std::string fault;
  std::vector<bool> in_row(sparse(o) ? 0 : static_cast<size_t>(state_->counts[kO]));
  rows.for_each([&](int64_t n, int64_t head, int64_t row, int64_t offset) {
    for (int64_t c = 0; c < rows.columns(); ++c) {
      if (!in_row.empty()) in_row[offset + c] = true;
      if (!fault.empty() || written(offset + c)) continue;
      fault = "o[batch " + std::to_string(n) + ", row " + std::to_string(row) + ", head " + std::to_string(head) +
              ", column " + std::to_string(c) + "] was not written";
    }
  });
  const int64_t lead = in_row.empty() ? 0 : static_cast<int64_t>(o.lead()) / dtype_bytes(type);
  for (int64_t i = -lead; i < static_cast<int64_t>(in_row.size()) && fault.empty(); ++i) {
    if ((i < 0 || !in_row[i]) && written(i))
      fault = "element " + std::to_string(i) + " of o lies in no row and was written";
  }
  const void* lse = state_->buffers[kLse].data();
  for (int64_t i = 0; i < state_->counts[kLse] && fault.empty(); ++i) {
    if (element_bits(DType::f32, lse, i) == output_poison(DType::f32))
      fault = "lse[" + std::to_string(i) + "] was not written";
  }
  return fault;
}

}  // namespace attend::verify
