// SPDX-License-Identifier: Apache-2.0
// Keys and values of one sequence, for all layers of a model, in a cache as attend describes it.
#pragma once
#include <attend/attend.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace llm {

/// How the cache is laid out; the names are those of --kv-format: f32, f16, bf16, int8, int4_32, int4_64, e4m3.
struct CacheOptions {
  std::string format = "f32";
  int64_t page_size = 0;  ///< tokens of a page; 0: contiguous
  int64_t window = 0;     ///< keys that a token sees, itself included; 0: all before it
  int64_t first = 0;      ///< keys at the beginning that stay visible beside a window (StreamingLLM, arXiv:2309.17453)
  /// A mean is taken from keys before they are stored, and added when they are read (SageAttention2's smoothing): that
  /// of the first tokens which the cache sees.
  bool smooth_keys = false;
};

/// What a model's attention is made of.
struct AttentionShape {
  int64_t layers = 0, query_heads = 0, key_heads = 0, columns = 0;
  std::vector<int64_t> windows{0};  ///< of each kind of layer: keys that a token sees, itself included; 0: all
};

/// New tokens of one sequence in a step.
struct StepPart {
  std::span<const int32_t> tokens;  ///< the next ones
  int64_t before = 0;               ///< tokens of the sequence that the cache holds already
  std::span<const int32_t> pages;   ///< of a paged cache: pages of the sequence, the new tokens' included
};

/// What a model computes at once: tokens, one sequence after the other, and the attention that they ask for.
struct Step {
  std::vector<int32_t> tokens, positions;
  std::vector<int64_t> asked;  ///< which of the tokens are asked what comes next
  /// Of each kind of layer; they differ in the mask alone. f32 queries and outputs, [token][head][column].
  std::vector<attend::AttentionFwd> problems;
};

class KvStore {
 public:
  /// Room for `capacity` tokens. Throws Error for an unknown format or a number that makes no sense.
  KvStore(const AttentionShape& shape, const CacheOptions& options, int64_t capacity);

  int64_t capacity() const { return capacity_; }  ///< tokens
  int64_t bytes() const;                          ///< of keys, values and scales, all layers
  int64_t pages() const { return entries_; }
  bool paged() const { return options_.page_size > 0; }

  /// A step of several sequences of a paged cache, or of the only one of a contiguous cache; the last token of each is
  /// asked. Throws Error for more tokens than there is room for.
  Step step(std::span<const StepPart> parts) const;
  /// The same of one sequence that has the cache for itself: its pages follow one another.
  Step step(std::span<const int32_t> tokens, int64_t before) const;
  /// Copies a page to another, in all layers.
  void copy_page(int32_t from, int32_t to);
  /// Encodes a layer's new keys and values, [token][key head][column] in f32, keys turned by `rope`.
  void append(const Step& step, int64_t layer, const float* k, const float* v, const attend::Rope& rope, int threads);
  /// Arguments of the layer's attention but for q and o.
  attend::AttentionFwdArgs args(int64_t layer) const;

 private:
  std::vector<float> mean_key(const Step& step, const float* k, const attend::Rope& rope) const;

  struct Layer {
    std::vector<std::byte> k, v, k_scales, v_scales;
    std::vector<float> k_mean;  ///< [key head][column]; empty before the first tokens, and without smoothing
  };

  AttentionShape shape_;
  CacheOptions options_;
  attend::KvFormat format_ = attend::KvFormat::plain;
  attend::DType type_ = attend::DType::f32;        ///< of plain elements
  int64_t capacity_ = 0, rows_ = 0, entries_ = 0;  ///< tokens; tokens of an entry or page; their number
  std::vector<Layer> layers_;
};

}  // namespace llm
