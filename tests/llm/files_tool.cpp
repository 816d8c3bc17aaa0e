// SPDX-License-Identifier: Apache-2.0
// What the reader and the tokenizer make of a file, for peers_test.py.
//   files_tool tokens FILE       tokens of each line of standard input, as JSON lists
//   files_tool elements FILE     every element of every tensor as f32, in the file's order
//   files_tool pieces FILE       WordPiece tokens of each line of standard input in the vocabulary FILE, as JSON lists
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

#include "examples/llm/gguf.hpp"
#include "examples/llm/info_command.hpp"
#include "examples/llm/wordpiece.hpp"

int main(int argc, char** argv) {
  try {
    if (argc == 3 && std::strcmp(argv[1], "tokens") == 0) {
      llm::print_tokens(argv[2]);
      return 0;
    }
    if (argc == 3 && std::strcmp(argv[1], "elements") == 0) {
      const llm::Gguf file = llm::Gguf::open(argv[2]);
      for (const llm::Tensor& tensor : file.tensors()) {
        std::vector<float> row(static_cast<size_t>(tensor.columns));
        for (int64_t i = 0; i < tensor.rows; ++i) {
          llm::dequantise(tensor.type, tensor.row(i), row.data());
          if (std::fwrite(row.data(), sizeof(float), row.size(), stdout) != row.size()) return 1;
        }
      }
      return 0;
    }
    if (argc == 3 && std::strcmp(argv[1], "pieces") == 0) {
      std::ifstream file(argv[2], std::ios::binary);
      const std::string vocabulary{std::istreambuf_iterator<char>(file), {}};
      const llm::WordPiece wordpiece(vocabulary, argv[2]);
      for (std::string line; std::getline(std::cin, line);) {
        std::string out;
        for (const int32_t id : wordpiece.pieces(line)) out += (out.empty() ? "[" : ",") + std::to_string(id);
        std::printf("%s]\n", out.empty() ? "[" : out.c_str());
      }
      return 0;
    }
  } catch (const llm::Error& error) {
    std::fprintf(stderr, "files_tool: %s\n", error.what());
    return 1;
  }
  std::fprintf(stderr, "files_tool: expected tokens FILE, elements FILE or pieces FILE\n");
  return 2;
}
