// SPDX-License-Identifier: Apache-2.0
// A model that says which token comes next: RMSNorm, rotary positions, grouped heads, a gated MLP. The architectures
// that are read differ in the fields of a row.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "attention.hpp"
#include "elementwise.hpp"
#include "gguf.hpp"
#include "kv_store.hpp"
#include "products.hpp"

namespace llm {

/// What sets an architecture apart.
struct Architecture {
  const char* name;        ///< general.architecture of the file, and the first word of its keys
  Gate gate;               ///< what the MLP's gate goes through
  bool neighbours_rotate;  ///< rotary pairs are neighbours (the file's rows are in that order), else halves apart
  bool head_norms;         ///< each query and key is normalised before it is rotated
  bool post_norms;         ///< what attention and the MLP return is normalised before it is added
  bool scaled_embedding;   ///< by the root of the width
  int64_t global_every;    ///< one layer in so many sees all keys, the last of them; the others see a window
  double local_rope_base;  ///< of layers with a window
  int64_t refused_layers;  ///< a model of so many scales scores as its file does not tell; 0: none does
};

/// What layers of one kind have in common.
struct LayerKind {
  int64_t window = 0;  ///< keys that a token sees, itself included; 0: all before it
  attend::RopeOptions rope;
};

/// What the file's metadata says of the model.
struct ModelShape {
  const Architecture* architecture = nullptr;
  int64_t vocabulary = 0, layers = 0, width = 0, query_heads = 0, key_heads = 0, columns = 0, hidden = 0, context = 0;
  double norm_epsilon = 1e-5;
  int64_t global_every = 1;
  std::vector<LayerKind> kinds;  ///< global, then local where there are such layers

  /// Throws Error for an architecture that is not in the table, and for numbers that do not fit together.
  static ModelShape of(const Gguf& file);
  size_t kind(int64_t layer) const { return (layer + 1) % global_every == 0 ? 0 : 1; }
  AttentionShape attention() const;
};

class LanguageModel {
 public:
  /// Weights stay in the file, which stays mapped. Throws Error for a tensor that is missing or of another shape.
  explicit LanguageModel(const Gguf& file);

  const ModelShape& shape() const { return shape_; }
  int64_t parameters() const;

  /// Runs the step's tokens through the model; their keys and values go to the cache. Returns the logits of those that
  /// are asked, [asked][vocabulary], valid until the next call. Throws Error for a token that the vocabulary does not
  /// have.
  std::span<const float> run(const Step& step, KvStore& cache, Attention& attention);

  /// Reads a layer's weights and does nothing with them: the processor's caches are then as run() leaves them for a
  /// layer's attention. For measuring that alone.
  void read_weights(int64_t layer) const;

  double attention_seconds() const { return attention_seconds_; }  ///< in all steps so far
  void set_threads(int threads);

 private:
  struct Layer {
    std::vector<float> attention_norm, mlp_norm;
    std::vector<float> q_norm, k_norm;                      ///< with head_norms
    std::vector<float> attention_post_norm, mlp_post_norm;  ///< with post_norms
    Tensor q, k, v, out, gate, up, down;
  };

  ModelShape shape_;
  std::shared_ptr<const void> mapping_;  ///< of what the tensors view
  Tensor embedding_, output_;            ///< the same where the two are tied
  std::vector<float> output_norm_;
  std::vector<Layer> layers_;
  std::vector<attend::Rope> ropes_;  ///< of each kind of layer
  int threads_ = 0;
  Products products_;
  double attention_seconds_ = 0;
  std::vector<float> x_, normed_, q_, k_, v_, o_, gate_, up_, logits_;
};

}  // namespace llm
