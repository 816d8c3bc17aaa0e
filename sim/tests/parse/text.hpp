// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "sim/isa/decode.hpp"
#include "sim/isa/program.hpp"
#include "sim/parse/syntax.hpp"
#include "sim/ptxsim.hpp"

// What tests of the parser share: short ways to write modules.
namespace ptxsim::test {

/// Three lines of header, so that `body` begins on line 4.
inline std::string module_text(const std::string& body) {
  return ".version 8.7\n.target sm_90a\n.address_size 64\n" + body;
}
/// A kernel with a few registers of each kind; `body` begins on line 5.
inline std::string kernel_text(const std::string& body) {
  return module_text(
      ".visible .entry k(.param .u64 a, .param .align 8 .b8 b[24]) { .reg .pred %p<4>; .reg .b16 %h<4>; .reg .b32 "
      "%r<40>; .reg .f32 %f<4>; .reg .b64 %d<8>; .reg .f64 %e<4>; .reg .b128 %q<2>;\n" +
      body + "\nret; }\n");
}

inline std::string error_of(const std::string& text) {
  const Result<Module> module = Module::parse(text, "t");
  return module.ok() ? "none" : module.status().message();
}

/// A module that must parse.
inline Module parsed(const std::string& text) {
  Result<Module> module = Module::parse(text, "t");
  EXPECT_TRUE(module.ok()) << module.status().message() << "\n" << text;
  return module.ok() ? *module : *Module::parse(module_text(""), "empty");
}

/// The first instruction of the first function with its operands.
struct First {
  explicit First(const std::string& body) : module(parsed(kernel_text(body))) {}
  const Program& program() const { return module.program(); }
  const Function& function() const { return program().functions.at(0); }
  const Inst& inst(size_t i = 0) const { return program().code.at(i); }
  Operand operand(size_t place, size_t i = 0) const { return program().operands_of(inst(i))[place]; }
  /// Value of a constant operand; complains when it is none.
  uint64_t constant(size_t place, size_t i = 0) const {
    for (const Function::Constant& each : function().constants)
      if (each.slot == operand(place, i).slot) return each.value;
    ADD_FAILURE() << "operand " << place << " is no constant";
    return 0;
  }
  Module module;
};

}  // namespace ptxsim::test
