// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "layer.hpp"

namespace attend::cli {

/// How a layer's keys and values are to be kept.
struct CacheOptions {
  std::string format;     ///< a row of kv_formats.def, or two for K and V; empty: as the tensors are
  int64_t page_size = 0;  ///< tokens of a page; 0: one piece for each sequence

  bool asked() const { return !format.empty() || page_size > 0; }
};

void add_cache_options(CLI::App& command, CacheOptions& options);

/// The same layer with K and V encoded into a cache: pages of a sequence lie in the order of a shuffled deck, as after
/// long use. Scales of channels are those that reach the largest element of each channel. Errors: invalid_argument.
Result<Layer> cached_layer(const Layer& layer, const CacheOptions& options);

}  // namespace attend::cli
