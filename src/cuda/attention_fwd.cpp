// SPDX-License-Identifier: Apache-2.0
// Exact forward attention on a device: at plan the mask becomes lists of tiles, which go to the device once.
#include "cuda/attention_fwd.hpp"

#include <climits>
#include <iterator>

#include "cuda/attention_fwd_mma16.hpp"

namespace attend::cuda {
namespace {

using plan_detail::KernelRow;

/// The lists count in 32 bits.
std::string refuse_simple(const KernelRow&, const AttentionFwd& p) {
  if (p.cache) return kNoCache;
  constexpr int64_t kLongest = INT_MAX - 1024;
  if (p.sq > kLongest || p.sk > kLongest) return "sequences of 2^31 tokens or more";
  return {};
}

KernelRow simple_row(const DeviceFacts& facts) {
  KernelRow row;
  row.id = "attention_fwd.cuda.simple";
  row.isa = "cuda";
  row.arithmetic = Arithmetic::f32_scaled;
  row.why = "any Problem, in f32";
  const KernelImage* image = find_image(kSimpleImage);
  if (image == nullptr)
    row.unavailable = "built without nvcc";
  else if (facts.major < image->major)
    row.unavailable = needs_capability(facts, "8.0");
  row.refuse = refuse_simple;
  row.prepare = [](const KernelRow&, const AttentionFwd& problem, const PlanOptions& options) {
    return prepare_simple(options.device.context(), problem);
  };
  return row;
}

}  // namespace

std::vector<KernelRow> attention_fwd_rows(const Device& device) {
  const DeviceFacts& facts = device.context()->facts();
  std::vector<KernelRow> rows = {simple_row(facts)};
  for (KernelRow& row : sm80_rows(facts)) rows.push_back(std::move(row));
  for (KernelRow& row : sm90_rows(facts)) rows.push_back(std::move(row));
  return rows;
}

}  // namespace attend::cuda
