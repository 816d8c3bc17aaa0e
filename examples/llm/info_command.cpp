// SPDX-License-Identifier: Apache-2.0
#include "info_command.hpp"

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "gguf.hpp"
#include "tokenizer.hpp"

namespace llm {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kShownElements = 8, kShownBytes = 100;

/// Long lists and texts are cut: the vocabulary alone would fill a thousand pages.
Json shown(const Gguf::Value& value) {
  return std::visit(
      []<class T>(const T& each) -> Json {
        if constexpr (std::is_arithmetic_v<T>) {
          return each;
        } else if constexpr (std::is_same_v<T, std::string_view>) {
          return std::string(each);
        } else {
          Json out = {{"length", each.size()}, {"first", Json::array()}};
          for (size_t i = 0; i < std::min(each.size(), kShownElements); ++i) out["first"].push_back(each[i]);
          return out;
        }
      },
      value);
}

/// Of bytes that are no UTF-8, the character that stands for them.
std::string text_of(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

struct TypeUse {
  int64_t tensors = 0, elements = 0, bytes = 0;
};

}  // namespace

void print_info(const std::string& path, bool json) {
  const Gguf file = Gguf::open(path);
  std::map<std::string, TypeUse> uses;
  TypeUse all;
  for (const Tensor& tensor : file.tensors()) {
    for (TypeUse* use : {&uses[type_name(tensor.type)], &all}) {
      ++use->tensors;
      use->elements += tensor.rows * tensor.columns;
      use->bytes += static_cast<int64_t>(tensor.data.size());
    }
  }
  if (json) {
    Json out = {{"file", path}, {"parameters", all.elements}, {"bytes", all.bytes}};
    for (const auto& [type, use] : uses) {
      out["types"][type] = {{"tensors", use.tensors}, {"parameters", use.elements}, {"bytes", use.bytes}};
    }
    for (const auto& [key, value] : file.metadata()) out["metadata"][key] = shown(value);
    fmt::print("{}\n", text_of(out));
    return;
  }
  fmt::print("{}\n{:<6} {:>8} {:>14} {:>14}\n", path, "type", "tensors", "parameters", "bytes");
  uses["all"] = all;
  for (const auto& [type, use] : uses) {
    fmt::print("{:<6} {:>8} {:>14} {:>14}\n", type, use.tensors, use.elements, use.bytes);
  }
  for (const auto& [key, value] : file.metadata()) {
    std::string text = text_of(shown(value));
    if (text.size() > kShownBytes) {
      size_t cut = kShownBytes;
      while ((static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;  // not inside a character
      text = text.substr(0, cut) + "...";
    }
    fmt::print("{} = {}\n", key, text);
  }
}

void print_tokens(const std::string& path) {
  const Gguf file = Gguf::open(path);
  const Tokenizer tokenizer(file);
  for (std::string line; std::getline(std::cin, line);) {
    std::string out = "[";
    for (const int32_t token : tokenizer.encode(line)) out += (out.size() > 1 ? "," : "") + std::to_string(token);
    fmt::print("{}]\n", out);
  }
}

}  // namespace llm
