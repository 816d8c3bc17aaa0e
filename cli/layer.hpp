// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attend.hpp>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/element.hpp"

namespace CLI {
class App;
}

namespace attend::cli {

/// Which tensors to read and what to compute on them.
struct LayerOptions {
  std::string file;     ///< .safetensors; empty when q, k and v are .npy files
  std::string q, k, v;  ///< names of tensors in `file`, or paths
  std::string layer;    ///< only this one: `14` or `layers.14`; empty: all
  std::string layout = "bshd";
  std::string dtype;  ///< empty: as stored
  std::string mask;   ///< empty: what the file's metadata says under `mask`, else none
  double scale = 0;   ///< 0: 1 / sqrt(d)
  double softcap = 0;
};

void add_layer_options(CLI::App& command, LayerOptions& options);

/// Q, K and V of one attention layer in memory of its own, and the Problem that they pose. O has the layout of Q.
struct Layer {
  std::string name;
  AttentionFwd problem;
  std::vector<std::byte> q, k, v;
  std::vector<std::byte> k_scales, v_scales;  ///< of a layer in a cache whose formats have them
  Layout layout = Layout::bshd;
  size_t dimensions = 4;  ///< of the stored Q: 3 when it had no batch

  AttentionFwdArgs args() const;
  /// As the stored Q has it: with or without batch, in its layout.
  std::vector<int64_t> tensor_shape(int64_t rows, int64_t heads, int64_t columns) const;
  std::vector<int64_t> output_shape() const { return tensor_shape(problem.sq, problem.hq, problem.dv); }  ///< of o
};

struct LayerFile {
  std::vector<Layer> layers;  ///< layers.2 before layers.10
  std::map<std::string, std::string> metadata;
};

/// Reads layers as `options` say. `layers.<n>.q`, `.k` and `.v` make a layer; so does any other prefix with all three.
/// Errors: invalid_argument naming file, tensor, found and expected.
Result<LayerFile> load_layers(const LayerOptions& options);

}  // namespace attend::cli
