// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace llm {

/// Prints what a GGUF file holds: metadata, tensors by type, parameters; with `json` as one JSON object.
void print_info(const std::string& path, bool json);

/// Prints the tokens of each line of standard input, without its newline, as a line with a JSON list.
void print_tokens(const std::string& path);

}  // namespace llm
