// SPDX-License-Identifier: Apache-2.0
#include "sentence_model.hpp"

#include <nlohmann/json.hpp>

#include "checked.hpp"
#include "cli/io/file.hpp"

namespace llm {

namespace {

using nlohmann::json;

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A file with a JSON object, whose fields are asked for by type.
class Config {
 public:
  explicit Config(const std::string& path)
      : path_(path), object_(json::parse(text_of(checked(attend::io::read_file(path))), nullptr, false)) {
    if (!object_.is_object()) throw Error(path_ + ": is no JSON object");
  }

  int64_t integer(const char* key) const {
    const json& value = field(key);
    if (!value.is_number_integer()) throw Error(path_ + ": " + key + " is no whole number");
    return value.get<int64_t>();
  }
  double real(const char* key) const {
    const json& value = field(key);
    if (!value.is_number()) throw Error(path_ + ": " + key + " is no number");
    return value.get<double>();
  }
  /// Refuses what this program does not compute. A key that is not there has the value `expected`, unless `needed`.
  void require(const char* key, const json& expected, bool needed = false) const {
    if (!needed && !object_.contains(key)) return;
    const json& value = field(key);
    if (value != expected)
      throw Error(path_ + ": " + key + " is " +
                  value.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 80) + ", expected " +
                  expected.dump());
  }
  const std::string& path() const { return path_; }

 private:
  const json& field(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) throw Error(path_ + ": has no " + key);
    return *found;
  }

  std::string path_;
  json object_;
};

WordPiece tokenizer_of(const std::string& folder) {
  const Config config(folder + "/tokenizer_config.json");
  config.require("do_lower_case", true, true);
  config.require("strip_accents", nullptr);
  config.require("tokenize_chinese_chars", true);
  const std::string path = folder + "/vocab.txt";
  return {text_of(checked(attend::io::read_file(path))), path};
}

Encoder encoder_of(const std::string& folder) {
  Config(folder + "/1_Pooling/config.json").require("pooling_mode_mean_tokens", true, true);
  const Config config(folder + "/config.json");
  config.require("model_type", "bert", true);
  config.require("hidden_act", "gelu", true);
  config.require("position_embedding_type", "absolute");
  EncoderShape shape;
  shape.vocabulary = config.integer("vocab_size");
  shape.layers = config.integer("num_hidden_layers");
  shape.width = config.integer("hidden_size");
  shape.heads = config.integer("num_attention_heads");
  shape.hidden = config.integer("intermediate_size");
  shape.positions = config.integer("max_position_embeddings");
  shape.token_types = config.integer("type_vocab_size");
  shape.norm_epsilon = config.real("layer_norm_eps");
  const std::string path = folder + "/model.safetensors";
  const std::vector<std::byte> bytes = checked(attend::io::read_file(path));
  const attend::Result<attend::io::SafetensorsFile> file = attend::io::parse_safetensors(bytes);
  if (!file.ok()) throw Error(path + ": " + file.status().message());
  return {shape, *file, path};
}

/// A text's bits must not depend on the other texts of its batch.
attend::PlanOptions invariant(int threads) {
  attend::PlanOptions options;
  options.threads = threads;
  options.guarantee = attend::Guarantee::batch_invariant;
  return options;
}

}  // namespace

SentenceModel::SentenceModel(const std::string& folder, const std::string& attention, int threads)
    : tokenizer_(tokenizer_of(folder)),
      encoder_(encoder_of(folder)),
      attention_(make_attention(attention, invariant(threads))) {
  encoder_.set_threads(threads);
  if (tokenizer_.size() != encoder_.shape().vocabulary)
    throw Error(folder + "/vocab.txt: has " + std::to_string(tokenizer_.size()) + " tokens, expected the model's " +
                std::to_string(encoder_.shape().vocabulary));
  const Config config(folder + "/sentence_bert_config.json");
  limit_ = config.integer("max_seq_length");
  if (limit_ < 2 || limit_ > encoder_.shape().positions)
    throw Error(config.path() + ": max_seq_length is " + std::to_string(limit_) + ", expected 2 to the model's " +
                std::to_string(encoder_.shape().positions) + " positions");
}

}  // namespace llm
