// SPDX-License-Identifier: Apache-2.0
// Which operation a line of text asks for.
#pragma once
#include <string>

#include "command.hpp"

namespace attend::cli {

inline void add_backward_option(CLI::App& command, bool& backward) {
  command.add_flag("--backward", backward, "The gradients: of a line that says attention_fwd, its backward pass");
}

/// A line that says attention_bwd asks for the backward pass by itself.
inline bool is_backward(const std::string& line, bool flag) {
  const size_t begin = line.find_first_not_of(" \t");
  return flag || (begin != std::string::npos && line.compare(begin, 13, "attention_bwd") == 0);
}

/// `attention_bwd ...`, or `attention_fwd ...` with all gradients in the types of the inputs.
inline AttentionBwd parse_backward(const std::string& line) {
  if (is_backward(line, false)) return take(AttentionBwd::parse(line));
  AttentionBwd problem = AttentionBwd::of(take(AttentionFwd::parse(line)));
  problem.dbias = problem.forward.bias.has_value();
  problem.dsink = problem.forward.sink;
  require(problem.check());
  return problem;
}

}  // namespace attend::cli
