// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/ptxsim.hpp"

namespace ptxsim::tool {

/// What a PTX text holds, whether the simulator takes all of it or not.
struct Listing {
  std::string version, target;
  std::vector<EntryInfo> entries;                              ///< of what is left without the unsupported instructions
  std::map<std::string, std::vector<std::string>> directives;  ///< by function: ".maxntid 128, 1, 1"
  std::map<std::string, std::map<std::string, uint64_t>> opcodes_by_class;  ///< row of isa.def, or the whole opcode
  std::map<std::string, uint64_t> full_opcodes;                             ///< with modifiers
  uint64_t instructions = 0;
  struct Unsupported {
    int32_t line = 0;  ///< the first
    std::string opcode, reason;
    uint64_t count = 0;
  };
  std::vector<Unsupported> unsupported;
};

/// Errors: invalid_argument for text that is not PTX; unsupported for a directive or declaration that the simulator
/// does not know (instructions are listed instead).
Result<Listing> list_module(const std::string& text, const std::string& name);

}  // namespace ptxsim::tool
