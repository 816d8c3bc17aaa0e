// SPDX-License-Identifier: Apache-2.0
// The reader of GGUF files: whatever the bytes, an Error or a file whose tensors can be read and whose tokenizer gives
// back the text that it takes.
#include "examples/llm/gguf.hpp"

#include "examples/llm/tokenizer.hpp"
#include "fuzz/target.hpp"
#include "llm/gguf_bytes.hpp"

namespace attend::fuzz {

std::vector<std::string> seeds() {
  using namespace llm::test;
  GgufBytes vocabulary, pieces, tensors;
  Vocabulary().add_to(vocabulary);
  Pieces().add_to(pieces);
  tensors.key("general.alignment", kU32, raw<uint32_t>(8)).tensor("t", {32, 2}, 3, std::string(40, '\x3c'));
  return {small_file(), vocabulary.bytes(), pieces.bytes(), tensors.bytes(), GgufBytes().bytes()};
}

}  // namespace attend::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using attend::fuzz::require;
  try {
    const llm::Gguf file = llm::Gguf::parse(std::as_bytes(std::span(data, size)), "file");
    for (const llm::Tensor& tensor : file.tensors()) {
      std::vector<float> row(static_cast<size_t>(tensor.columns));
      for (int64_t i = 0; i < tensor.rows; ++i) {
        llm::dequantise(tensor.type, tensor.row(i), row.data());
      }
      require(&file.tensor(tensor.name, tensor.rows, tensor.columns) == &tensor, "a tensor is found by its name");
    }

    const llm::Tokenizer tokenizer(file);
    for (const std::string text : {"abcab 12", "a\xff\xc3\xa9 <tool>"}) {
      try {
        const std::string again = tokenizer.decode(tokenizer.encode(text));  // SentencePiece may put a space before it
        require(again == text || again == " " + text, "the tokens of a text are that text", text);
      } catch (const llm::Error&) {  // a byte without a token
      }
    }
    for (const int32_t token : tokenizer.chat({{"user", "abc"}})) {
      require(token >= 0 && token < tokenizer.size(), "a token is one of the vocabulary");
    }
  } catch (const llm::Error& error) {
    require(std::string(error.what()).starts_with("file: "), "an error names the file", error.what());
  }
  return 0;
}
