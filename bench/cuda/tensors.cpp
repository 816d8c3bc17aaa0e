// SPDX-License-Identifier: Apache-2.0
#include "tensors.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <utility>

#include "verify/element.hpp"

namespace attend::bench::cuda {
namespace {

constexpr int64_t kPool = int64_t{1} << 21, kStretch = 4096, kMostSets = 16;

const std::vector<uint16_t>& pool_of(DType type, Distribution distribution) {
  static std::map<std::pair<DType, Distribution>, std::vector<uint16_t>> pools;
  std::vector<uint16_t>& pool = pools[{type, distribution}];
  if (!pool.empty()) return pool;
  pool.resize(static_cast<size_t>(kPool));
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal(0, 1), wide(0, 10);
  std::bernoulli_distribution rare(0.001);
  for (int64_t i = 0; i < kPool; ++i) {
    double value = normal(random);
    if (distribution == Distribution::outliers && rare(random)) value += wide(random);
    verify::store_element(type, pool.data(), i, value);
  }
  return pool;
}

}  // namespace

std::vector<uint16_t> drawn(DType type, Distribution distribution, int64_t count, uint64_t seed) {
  const std::vector<uint16_t>& pool = pool_of(type, distribution);
  std::vector<uint16_t> values(static_cast<size_t>(count));
  std::mt19937_64 random(seed);
  for (int64_t i = 0; i < count; i += kStretch) {
    const auto from = static_cast<int64_t>(random() % static_cast<uint64_t>(kPool - kStretch));
    std::copy_n(pool.begin() + from, std::min(kStretch, count - i), values.begin() + i);
  }
  return values;
}

Result<Tensors> Tensors::make(const Device& device, const AttentionFwd& p, Distribution distribution,
                              int64_t cache_bytes) {
  for (const DType type : {p.q_type, p.k_type, p.v_type, p.o_type})
    if (dtype_bytes(type) != 2 || type != p.q_type)
      return unsupported("bench: the elements are not all of one 16-bit type");
  Tensors tensors;
  tensors.device_ = device;
  const int64_t q_rows = p.cu_q.empty() ? p.b * p.sq : p.cu_q[p.b], k_rows = p.cu_k.empty() ? p.b * p.sk : p.cu_k[p.b];
  const std::array<int64_t, kTensors> counts = {q_rows * p.hq * p.d, k_rows * p.hk * p.d, k_rows * p.hk * p.dv,
                                                q_rows * p.hq * p.dv};
  for (int i = 0; i < kTensors; ++i) {
    if (i == kO)
      tensors.host_[i].assign(static_cast<size_t>(counts[kO]), static_cast<uint16_t>(verify::output_poison(p.o_type)));
    else
      tensors.host_[i] = drawn(p.q_type, distribution, counts[static_cast<size_t>(i)], static_cast<uint64_t>(i) + 1);
  }
  const int64_t wanted = 1 + 3 * cache_bytes / std::max<int64_t>(tensors.bytes(), 1);
  tensors.sets_.resize(static_cast<size_t>(std::clamp<int64_t>(wanted, 1, kMostSets)));
  for (Set& set : tensors.sets_)
    for (int i = 0; i < kTensors; ++i) {
      const std::vector<uint16_t>& values = tensors.host_[i];
      if (Status status = set.memory[i].allocate(device, 2 * values.size()); !status.ok()) return status;
      if (Status status = device.copy_to_device(set.memory[i].data(), values.data(), 2 * values.size()); !status.ok())
        return status;
    }
  return tensors;
}

int64_t Tensors::bytes() const {
  int64_t elements = 0;
  for (const auto& values : host_) elements += static_cast<int64_t>(values.size());
  return 2 * elements;
}

AttentionFwdArgs Tensors::host() {
  AttentionFwdArgs args;
  args.q = host_[kQ].data();
  args.k = host_[kK].data();
  args.v = host_[kV].data();
  args.o = host_[kO].data();
  return args;
}

AttentionFwdArgs Tensors::on_device(int64_t set) const {
  const Set& chosen = sets_[static_cast<size_t>(set % sets())];
  AttentionFwdArgs args;
  args.q = chosen.memory[kQ].data();
  args.k = chosen.memory[kK].data();
  args.v = chosen.memory[kV].data();
  args.o = chosen.memory[kO].data();
  return args;
}

Status Tensors::poison_output() {
  const DType type = DType::bf16;  // NaN in both 16-bit types
  std::fill(host_[kO].begin(), host_[kO].end(), static_cast<uint16_t>(verify::output_poison(type)));
  return device_.copy_to_device(sets_[0].memory[kO].data(), host_[kO].data(), 2 * host_[kO].size());
}

Status Tensors::read_output() {
  return device_.copy_to_host(host_[kO].data(), sets_[0].memory[kO].data(), 2 * host_[kO].size());
}

}  // namespace attend::bench::cuda
