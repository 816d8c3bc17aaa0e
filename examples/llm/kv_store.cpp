// SPDX-License-Identifier: Apache-2.0
#include "kv_store.hpp"

#include <algorithm>
#include <numeric>

#include "checked.hpp"

namespace llm {

KvStore::KvStore(const AttentionShape& shape, const CacheOptions& options, int64_t capacity)
    : shape_(shape), options_(options), capacity_(capacity) {
  if (capacity < 1) throw Error("the cache has room for " + std::to_string(capacity) + " tokens, expected at least 1");
  if (options.page_size < 0 || options.window < 0 || options.first < 0)
    throw Error("page size, window and first keys are " + std::to_string(options.page_size) + ", " +
                std::to_string(options.window) + " and " + std::to_string(options.first) + ", expected 0 or more");
  if (const auto type = attend::parse_dtype(options.format); type.ok()) {
    type_ = *type;
  } else {
    format_ = checked(attend::parse_kv_format(options.format));
    if (attend::kv_format_row(format_).scales == attend::KvScales::channel)
      throw Error("cache format " + options.format +
                  " has scales of channels, which a model would have to be calibrated for; expected f32, f16, bf16, "
                  "int8, int4_32, int4_64 or e4m3");
  }
  rows_ = options.page_size > 0 ? options.page_size : capacity;
  entries_ = (capacity + rows_ - 1) / rows_;
  const int64_t row_heads = entries_ * rows_ * shape.key_heads;
  const auto elements = static_cast<size_t>(
      attend::kv_bytes(format_, type_, row_heads * attend::kv_row_elements(format_, shape.columns)));
  const auto scales = static_cast<size_t>(row_heads * attend::kv_row_scales(format_, shape.columns) *
                                          attend::dtype_bytes(attend::kv_format_row(format_).scale_type));
  layers_.resize(static_cast<size_t>(shape.layers));
  for (Layer& layer : layers_)
    layer = {std::vector<std::byte>(elements),
             std::vector<std::byte>(elements),
             std::vector<std::byte>(scales),
             std::vector<std::byte>(scales),
             {}};
}

int64_t KvStore::bytes() const {
  size_t bytes = 0;
  for (const Layer& layer : layers_)
    bytes += layer.k.size() + layer.v.size() + layer.k_scales.size() + layer.v_scales.size();
  return static_cast<int64_t>(bytes);
}

Step KvStore::step(std::span<const StepPart> parts) const {
  using namespace attend;
  Step step;
  std::vector<int32_t> lengths, cu_q{0}, pages, cu_pages{0};
  int64_t longest = 0, most = 0;
  for (const StepPart& part : parts) {
    const auto count = static_cast<int64_t>(part.tokens.size());
    const int64_t length = part.before + count;
    const int64_t room = paged() ? static_cast<int64_t>(part.pages.size()) * rows_ : capacity_;
    if (count < 1 || length > room)
      throw Error("the cache is full: it holds " + std::to_string(part.before) +
                  " tokens of a sequence and has room for " + std::to_string(room) + ", and " + std::to_string(count) +
                  " more were given; a larger --context makes room");
    step.tokens.insert(step.tokens.end(), part.tokens.begin(), part.tokens.end());
    for (int64_t t = part.before; t < length; ++t) step.positions.push_back(static_cast<int32_t>(t));
    step.asked.push_back(static_cast<int64_t>(step.tokens.size()) - 1);
    lengths.push_back(static_cast<int32_t>(length));
    cu_q.push_back(static_cast<int32_t>(step.tokens.size()));
    const auto used = part.pages.first(paged() ? static_cast<size_t>((length + rows_ - 1) / rows_) : 0);
    pages.insert(pages.end(), used.begin(), used.end());
    cu_pages.push_back(static_cast<int32_t>(pages.size()));
    longest = std::max(longest, length);
    most = std::max(most, count);
  }
  AttentionFwd problem = AttentionFwd::dense(Layout::thd, DType::f32, static_cast<int64_t>(parts.size()),
                                             shape_.query_heads, shape_.key_heads, most, longest, shape_.columns);
  problem.cu_q = Array<int32_t>(std::move(cu_q));
  KvCache cache;
  cache.rows = rows_;
  cache.entries = entries_;
  cache.lengths = std::move(lengths);
  if (paged()) {
    cache.placement = KvPlacement::paged;
    cache.pages = std::move(pages);
    cache.cu_pages = Array<int32_t>(std::move(cu_pages));
  }
  cache.k_format = cache.v_format = format_;
  cache.k_mean = options_.smooth_keys;
  cache.k_scale_strides = cache.v_scale_strides =
      cache.dense_scales(Layout::bhsd, format_, shape_.key_heads, shape_.columns);
  // A head's keys lie together: each is read alone.
  problem.k_strides = problem.v_strides = cache.dense(Layout::bhsd, format_, shape_.key_heads, shape_.columns);
  problem.k_type = problem.v_type = type_;
  problem.cache = std::move(cache);
  for (const int64_t layer_window : shape_.windows) {
    problem.mask = Mask::causal();
    if (layer_window > 0) problem.mask = problem.mask & Mask::window(layer_window - 1, 0);
    if (options_.window > 0 && options_.first > 0)
      problem.mask = problem.mask & Streaming{options_.first, options_.window - 1};
    else if (options_.window > 0)
      problem.mask = problem.mask & Mask::window(options_.window - 1, 0);
    step.problems.push_back(problem);
  }
  return step;
}

Step KvStore::step(std::span<const int32_t> tokens, int64_t before) const {
  std::vector<int32_t> pages(static_cast<size_t>(paged() ? entries_ : 0));
  std::iota(pages.begin(), pages.end(), 0);
  const StepPart part{tokens, before, pages};
  return step({&part, 1});
}

void KvStore::copy_page(int32_t from, int32_t to) {
  for (Layer& layer : layers_)
    for (std::vector<std::byte>* memory : {&layer.k, &layer.v, &layer.k_scales, &layer.v_scales}) {
      const size_t page = memory->size() / static_cast<size_t>(entries_);
      std::copy_n(memory->begin() + static_cast<int64_t>(page) * from, page,
                  memory->begin() + static_cast<int64_t>(page) * to);
    }
}

std::vector<float> KvStore::mean_key(const Step& step, const float* k, const attend::Rope& rope) const {
  const auto count = static_cast<int64_t>(step.tokens.size()), width = shape_.key_heads * shape_.columns;
  std::vector<float> rotated(static_cast<size_t>(count * width)), mean(static_cast<size_t>(width));
  const auto rows = [&](auto* data) {
    return attend::BasicTensor<std::remove_pointer_t<decltype(data)>>(data, attend::DType::f32, attend::Layout::bshd, 1,
                                                                      count, shape_.key_heads, shape_.columns);
  };
  check(attend::rotate(rope, rows(static_cast<const void*>(k)),
                       attend::Array<int32_t>::view(step.positions.data(), count),
                       rows(static_cast<void*>(rotated.data()))));
  for (int64_t i = 0; i < count * width; ++i) mean[i % width] += rotated[i] / static_cast<float>(count);
  return mean;
}

void KvStore::append(const Step& step, int64_t layer, const float* k, const float* v, const attend::Rope& rope,
                     int threads) {
  Layer& to = layers_[static_cast<size_t>(layer)];
  if (options_.smooth_keys && to.k_mean.empty()) to.k_mean = mean_key(step, k, rope);
  attend::KvAppendArgs args;
  args.new_k = k;
  args.new_v = v;
  args.new_k_strides = args.new_v_strides =
      attend::dense_strides(attend::Layout::thd, 0, shape_.key_heads, shape_.columns);
  args.rope = &rope;
  args.k = to.k.data();
  args.v = to.v.data();
  args.k_scales = to.k_scales.data();
  args.v_scales = to.v_scales.data();
  args.k_mean = to.k_mean.data();
  attend::KvAppendOptions with;
  with.threads = threads;
  check(attend::kv_append(step.problems.front(), args, with));
}

attend::AttentionFwdArgs KvStore::args(int64_t layer) const {
  const Layer& from = layers_[static_cast<size_t>(layer)];
  attend::AttentionFwdArgs args;
  args.k = from.k.data();
  args.v = from.v.data();
  args.k_scales = from.k_scales.data();
  args.v_scales = from.v_scales.data();
  args.k_mean = from.k_mean.data();
  return args;
}

}  // namespace llm
