// SPDX-License-Identifier: Apache-2.0
// Links every out-of-line function of the C++ headers: one that the version script forgot does not link.
#include <attend/attend.hpp>
#include <cstdio>
#include <cstring>

namespace {

// The bytes of the pointers depend on their values, so the linker must find each one.
template <class... Functions>
unsigned mix(Functions... functions) {
  unsigned sum = 0;
  const auto add = [&sum](auto function) {
    unsigned char bytes[sizeof function];
    std::memcpy(bytes, &function, sizeof function);
    for (unsigned char byte : bytes) sum += byte;
  };
  (add(functions), ...);
  return sum;
}

}  // namespace

int main() {
  using namespace attend;
  unsigned sum =
      mix(&AttentionFwd::dense, &AttentionFwd::set_layout, &AttentionFwd::effective_scale, &AttentionFwd::lse_offset,
          &AttentionFwd::bias_offset, &AttentionFwd::lse_size, &AttentionFwd::bias_size, &AttentionFwd::check,
          &AttentionFwd::cost, &AttentionFwd::memory_traffic, &AttentionFwd::text, &AttentionFwd::parse);
  sum += mix(&AttentionFwdPlan::problem, &AttentionFwdPlan::kernel, &AttentionFwdPlan::isa,
             &AttentionFwdPlan::arithmetic, &AttentionFwdPlan::threads, &AttentionFwdPlan::tile_rows,
             &AttentionFwdPlan::tile_keys, &AttentionFwdPlan::workspace_bytes, &AttentionFwdPlan::candidates,
             &AttentionFwdPlan::explain, &AttentionFwdPlan::memory_traffic);
  sum += mix(static_cast<Status (AttentionFwdPlan::*)(const AttentionFwdArgs&, std::span<std::byte>) const>(
                 &AttentionFwdPlan::run),
             static_cast<Status (AttentionFwdPlan::*)(const AttentionFwdArgs&) const>(&AttentionFwdPlan::run));
  sum += mix(&Mask::per_head, &Mask::classify, &Mask::keep, &Mask::row_bits, &Mask::key_span, &Mask::check);
  sum += mix(&BlockSparse::classify, &BlockSparse::keep, &BlockSparse::restrict_row, &Tree::classify, &Tree::keep,
             &Tree::restrict_row, &Dense::classify, &Dense::keep, &Dense::restrict_row, &Streaming::classify,
             &Streaming::keep, &Streaming::restrict_row, &Streaming::key_span);
  sum += mix(&Device::cuda, &Device::name, &Device::allocate, &Device::free, &Device::copy_to_device,
             &Device::copy_to_host, &Device::synchronize);
  sum += mix(&AttentionBwd::of, &AttentionBwd::check, &AttentionBwd::cost, &AttentionBwd::text, &AttentionBwd::parse);
  sum +=
      mix(&AttentionBwdPlan::problem, &AttentionBwdPlan::kernel, &AttentionBwdPlan::isa, &AttentionBwdPlan::arithmetic,
          &AttentionBwdPlan::threads, &AttentionBwdPlan::tile_rows, &AttentionBwdPlan::tile_keys,
          &AttentionBwdPlan::workspace_bytes, &AttentionBwdPlan::candidates, &AttentionBwdPlan::explain);
  sum += mix(static_cast<Status (AttentionBwdPlan::*)(const AttentionBwdArgs&, std::span<std::byte>) const>(
                 &AttentionBwdPlan::run),
             static_cast<Status (AttentionBwdPlan::*)(const AttentionBwdArgs&) const>(&AttentionBwdPlan::run));
  sum += mix(static_cast<Result<AttentionFwdPlan> (*)(const AttentionFwd&, const PlanOptions&)>(&plan),
             static_cast<Result<AttentionBwdPlan> (*)(const AttentionBwd&, const PlanOptions&)>(&plan));
  sum += mix(&KvPages::create, &KvPages::begin, &KvPages::append, &KvPages::fork, &KvPages::truncate, &KvPages::end,
             &KvPages::pages, &KvPages::length, &KvPages::page_size, &KvPages::statistics);
  sum += mix(&KvCache::dense, &KvCache::dense_scales, &kv_format_row, &parse_kv_format, &kv_row_elements,
             &kv_row_scales, &kv_encode, &kv_decode, &kv_append, &make_rope, &rotate, &guarantee_name, &parse_guarantee,
             &arithmetic_name, &compare_gradients_with_reference);
  sum += mix(&attention, &machine_info, &measure_peak, &measure_read_bandwidth, &dtype_name, &parse_dtype,
             &status_code_name, &reference_row, &compare_with_reference);
  std::printf("%u\n", sum);
  return sum == 0;
}
