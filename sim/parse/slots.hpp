// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "sim/isa/program.hpp"

namespace ptxsim {

/// Hands out places in the register file of a function: registers in the order in which the code names them, each
/// constant, special register and address once.
class Slots {
 public:
  explicit Slots(Function& function) : function_(function) {}

  /// A register of its own; 64- and 128-bit ones begin at a multiple of their units.
  Operand fresh(uint8_t units);
  Operand sink(uint8_t units);
  Operand carry();
  Operand constant(uint8_t units, uint64_t value);
  Operand special(const std::string& name, uint8_t units);
  /// The address of a global or constant variable.
  Operand symbol(const std::string& name, int64_t addend);
  /// The address of a variable in the thread's frame.
  Operand local(uint32_t offset, bool param, uint8_t units);
  /// The address of a shared variable (index of the module's list): a constant whose value is settled later. `is_new`
  /// tells the caller to note it.
  Operand shared(uint32_t variable, int64_t addend, uint8_t units, bool& is_new);

 private:
  Function& function_;
  std::map<std::pair<uint8_t, uint64_t>, uint32_t> constants_;
  std::map<std::pair<std::string, uint8_t>, uint32_t> specials_;
  std::map<std::pair<std::string, int64_t>, uint32_t> symbols_;
  std::map<std::tuple<uint32_t, bool, uint8_t>, uint32_t> locals_;
  std::map<std::tuple<uint32_t, int64_t, uint8_t>, uint32_t> shared_;
  std::map<uint8_t, uint32_t> sinks_;
  std::map<uint8_t, uint32_t> carry_;
};

/// Bytes of a special register of the PTX ISA, chapter 10, with its component: "%tid.x". 0 for any other name.
uint32_t special_register_bytes(const std::string& name);
/// Whether its value changes while the kernel runs.
bool is_clock_register(const std::string& name);

}  // namespace ptxsim
