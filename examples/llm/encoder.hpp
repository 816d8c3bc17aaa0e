// SPDX-License-Identifier: Apache-2.0
// An encoder of sentences: BERT (arXiv:1810.04805), whose last layer's mean over a text's tokens, at length 1, is the
// text's embedding (Sentence-BERT, arXiv:1908.10084, section 3).
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "attention.hpp"
#include "cli/io/safetensors.hpp"
#include "products.hpp"

namespace llm {

struct EncoderShape {
  int64_t vocabulary = 0, layers = 0, width = 0, heads = 0, hidden = 0;
  int64_t positions = 0;    ///< tokens of the longest text
  int64_t token_types = 2;  ///< every token is of the first
  double norm_epsilon = 1e-12;

  int64_t columns() const { return width / heads; }
};

class Encoder {
 public:
  /// Weights by the names of BertModel, in any floating-point type, copied. Throws Error, which begins with `name`, for
  /// a shape that makes no sense and for a tensor that is missing or of another shape.
  Encoder(const EncoderShape& shape, const attend::io::SafetensorsFile& weights, const std::string& name);

  const EncoderShape& shape() const { return shape_; }
  int64_t width() const { return shape_.width; }
  int64_t parameters() const;

  /// Embeddings [texts][width] of texts that are lists of tokens, all in one ragged batch. With an attention that is
  /// batch_invariant, a text's bits do not depend on the others, nor on the threads. Throws Error for a text without
  /// tokens or with more than there are positions, and for a token that the vocabulary does not have.
  std::vector<float> run(std::span<const std::vector<int32_t>> texts, Attention& attention);

  double attention_seconds() const { return attention_seconds_; }  ///< in all runs so far
  void set_threads(int threads);                                   ///< 0, as at first: one for each core

 private:
  struct Matrix {
    int64_t rows = 0, columns = 0;
    std::vector<float> elements;

    const float* row(int64_t index) const { return elements.data() + index * columns; }
  };
  struct Linear {
    Matrix weights;
    std::vector<float> bias;
  };
  struct Norm {
    std::vector<float> gain, bias;
  };
  struct Layer {
    Linear q, k, v, out, up, down;
    Norm attention_norm, mlp_norm;
  };

  void apply(const Linear& linear, const std::vector<float>& x, std::vector<float>& y);

  EncoderShape shape_;
  Matrix words_, positions_;
  std::vector<float> token_type_;
  Norm embedding_norm_;
  std::vector<Layer> layers_;
  Products products_;
  int threads_ = 0;
  double attention_seconds_ = 0;
  std::vector<float> x_, y_, q_, k_, v_, o_, hidden_;
};

}  // namespace llm
