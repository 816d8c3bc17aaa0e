// SPDX-License-Identifier: Apache-2.0
// The syntax tree as text again.
#include <cinttypes>
#include <cstdio>

#include "sim/parse/syntax.hpp"

namespace ptxsim {

namespace syntax {
bool operator==(const Block& a, const Block& b) { return a.statements == b.statements; }
bool operator==(const Statement& a, const Statement& b) { return a.what == b.what; }
}  // namespace syntax

namespace {

std::string real(int64_t bits, bool single) {
  char text[32];
  std::snprintf(text, sizeof text, single ? "0f%08" PRIX64 : "0d%016" PRIX64, static_cast<uint64_t>(bits));
  return text;
}

class Printer {
 public:
  std::string module(const syntax::Module& module) {
    text_ += ".version ";
    text_ += module.version;
    text_ += "\n.target ";
    list(module.target, [&](std::string_view target) { text_ += target; });
    text_ += '\n';
    if (module.address_size) text_ += ".address_size " + std::to_string(*module.address_size) + "\n";
    for (const auto& item : module.items) std::visit([&](const auto& what) { print(what); }, item);
    return std::move(text_);
  }

 private:
  template <class List, class F>
  void list(const List& parts, F&& f) {
    bool first = true;
    for (const auto& part : parts) {
      if (!first) text_ += ", ";
      first = false;
      f(part);
    }
  }
  void line(std::string_view what) {
    text_.append(2 * depth_, ' ');
    text_ += what;
  }

  void print(const syntax::File& file) {
    text_ += ".file " + std::to_string(file.index) + " ";
    text_ += file.name;
    text_ += '\n';
  }
  void print(const syntax::Alias& alias) {
    text_ += ".alias ";
    text_ += alias.name;
    text_ += ", ";
    text_ += alias.target;
    text_ += ";\n";
  }
  void print(const syntax::Remark& remark) {
    line("");
    for (const std::string_view word : remark.words) {
      text_ += word;
      text_ += ' ';
    }
    text_ += ";\n";
  }
  void print(const syntax::VariableDecl& variable) {
    line("");
    declaration(variable);
    text_ += ";\n";
  }

  void declaration(const syntax::VariableDecl& variable) {
    if (!variable.linkage.empty()) dotted(variable.linkage);
    dotted(variable.space);
    if (variable.align != 0) text_ += ".align " + std::to_string(variable.align) + " ";
    if (variable.elements > 1) text_ += ".v" + std::to_string(variable.elements) + " ";
    dotted(variable.type);
    for (const std::string_view word : variable.pointer) {
      const bool number = word[0] >= '0' && word[0] <= '9';
      text_ += number ? "" : ".";
      text_ += word;
      text_ += ' ';
    }
    text_ += variable.name;
    for (const uint64_t dim : variable.dims) text_ += "[" + (dim == 0 ? "" : std::to_string(dim)) + "]";
    if (!variable.initial) return;
    text_ += " = ";
    initial(*variable.initial);
  }

  void dotted(std::string_view word) {
    text_ += '.';
    text_ += word;
    text_ += ' ';
  }

  void initial(const syntax::Initialiser& value) {
    using Kind = syntax::Initialiser::Kind;
    switch (value.kind) {
      case Kind::integer: text_ += integer(value.value); break;
      case Kind::real: text_ += real(value.value, value.single); break;
      case Kind::list:
        text_ += '{';
        list(value.parts, [&](const syntax::Initialiser& part) { initial(part); });
        text_ += '}';
        break;
      case Kind::symbol:
        text_ += value.generic ? "generic(" : "";
        text_ += value.name;
        text_ += value.generic ? ")" : "";
        if (value.value != 0) text_ += "+" + integer(value.value);
        break;
    }
  }

  /// As an unsigned number where a signed one would not come back.
  static std::string integer(int64_t value) {
    return value == INT64_MIN ? std::to_string(static_cast<uint64_t>(value)) : std::to_string(value);
  }

  void print(const syntax::Function& function) {
    if (!function.linkage.empty()) dotted(function.linkage);
    dotted(function.is_entry ? "entry" : "func");
    if (!function.results.empty()) parameters(function.results);
    text_ += function.name;
    parameters(function.params);
    text_ += '\n';
    for (const syntax::Performance& performance : function.performance) {
      dotted(performance.name);
      list(performance.values, [&](uint32_t value) { text_ += std::to_string(value); });
      text_ += '\n';
    }
    if (function.body)
      print(*function.body);
    else
      text_ += ";\n";
  }

  void parameters(const std::vector<syntax::VariableDecl>& all) {
    text_ += '(';
    list(all, [&](const syntax::VariableDecl& each) { declaration(each); });
    text_ += ") ";
  }

  void print(const syntax::Block& block) {
    line("{\n");
    ++depth_;
    for (const syntax::Statement& statement : block.statements)
      std::visit([&](const auto& what) { print(what); }, statement.what);
    --depth_;
    line("}\n");
  }

  void print(const syntax::Registers& registers) {
    line(".reg ");
    if (registers.elements > 1) text_ += ".v" + std::to_string(registers.elements) + " ";
    dotted(registers.type);
    text_ += registers.name;
    if (registers.count) text_ += "<" + std::to_string(*registers.count) + ">";
    text_ += ";\n";
  }
  void print(const syntax::Label& label) {
    text_ += label.name;
    text_ += ":\n";
  }
  void print(const syntax::BranchTargets& targets) {
    text_ += targets.name;
    text_ += ": .branchtargets ";
    list(targets.labels, [&](std::string_view label) { text_ += label; });
    text_ += ";\n";
  }
  void print(const syntax::Location& location) {
    line(".loc " + std::to_string(location.file) + " " + std::to_string(location.line) + " " +
         std::to_string(location.column) +
         (location.at_line == 0 ? ""
                                : ", inlined_at " + std::to_string(location.at_file) + " " +
                                      std::to_string(location.at_line) + " " + std::to_string(location.at_column)) +
         "\n");
  }

  void print(const syntax::Instruction& instruction) {
    line("");
    if (!instruction.guard.empty()) {
      text_ += instruction.guard_negated ? "@!" : "@";
      text_ += instruction.guard;
      text_ += ' ';
    }
    for (size_t i = 0; i < instruction.words.size(); ++i) {
      text_ += i == 0 ? "" : ".";
      text_ += instruction.words[i];
    }
    if (!instruction.operands.empty()) text_ += ' ';
    list(instruction.operands, [&](const syntax::Operand& each) { operand(each); });
    text_ += ";\n";
  }

  void operands(char open, const std::vector<syntax::Operand>& parts, char close) {
    text_ += open;
    list(parts, [&](const syntax::Operand& part) { operand(part); });
    text_ += close;
  }

  void operand(const syntax::Operand& what) {
    using Kind = syntax::Operand::Kind;
    switch (what.kind) {
      case Kind::name:
        text_ += what.name;
        if (!what.component.empty()) text_ += '.';
        text_ += what.component;
        if (what.value != 0) text_ += "+" + integer(what.value);
        break;
      case Kind::integer: text_ += integer(what.value); break;
      case Kind::real: text_ += real(what.value, what.single); break;
      case Kind::sink: text_ += '_'; break;
      case Kind::negated:
        text_ += '!';
        text_ += what.name;
        break;
      case Kind::pair:
        operand(what.parts[0]);
        text_ += '|';
        operand(what.parts[1]);
        break;
      case Kind::vector: operands('{', what.parts, '}'); break;
      case Kind::list: operands('(', what.parts, ')'); break;
      case Kind::address:
        text_ += '[';
        operand(what.parts[0]);
        if (what.value != 0) text_ += "+" + integer(what.value);
        for (size_t i = 1; i < what.parts.size(); ++i) {
          text_ += ", ";
          operand(what.parts[i]);
        }
        text_ += ']';
        break;
    }
  }

  std::string text_;
  size_t depth_ = 0;
};

}  // namespace

std::string print(const syntax::Module& module) { return Printer().module(module); }

}  // namespace ptxsim
