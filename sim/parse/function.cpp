// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "sim/isa/decode.hpp"
#include "sim/parse/lower.hpp"

namespace ptxsim {
namespace {

class Body {
 public:
  Body(Program& program, ModuleSymbols& symbols, size_t index, std::vector<uint64_t>& source_files)
      : context_(program, symbols, index), source_files_(source_files) {}

  void lower(const syntax::Function& function, const Names& parameters) {
    Function& lowered = context_.function;
    frame_top_ = lowered.local_bytes;
    lowered.first_pc = pc();
    const syntax::Block& body = *function.body;
    context_.scopes.enter(body);
    for (const auto& [name, symbol] : parameters) context_.scopes.declare(name, function.line.number, symbol);
    statements(body);
    if (!ends()) decode_instruction(context_, {body.end, {}, false, {"ret"}, {}});
    lowered.end_pc = pc();
    context_.scopes.leave();
    lowered.entry.registers = context_.scopes.registers();
    for (const auto& [instruction, label] : context_.branches)
      context_.program.code[instruction].target = context_.scopes.label_pc(label);
    for (const auto& [table, labels] : context_.tables)
      for (size_t i = 0; i < labels.size(); ++i) (*table)[i] = context_.scopes.label_pc(labels[i]);
  }

 private:
  int32_t pc() const { return static_cast<int32_t>(context_.program.code.size()); }

  void statements(const syntax::Block& block) {
    for (const syntax::Statement& statement : block.statements)
      std::visit([this](const auto& what) { add(what); }, statement.what);
  }

  void add(const syntax::Instruction& instruction) {
    labelled_ = false;
    decode_instruction(context_, instruction);
  }
  void add(const syntax::Registers& registers) { context_.scopes.declare(registers); }
  void add(const syntax::Label& label) {
    labelled_ = true;
    context_.scopes.place_label(label.name, pc());
  }
  void add(const syntax::BranchTargets&) {}
  void add(const syntax::Remark&) {}

  void add(const syntax::Location& location) {
    int32_t caller = -1;
    if (location.at_line != 0) {
      // The place of the call may have been inlined itself.
      const auto known = places_.find({location.at_file, location.at_line, location.at_column});
      caller = known != places_.end() ? known->second : source_of(location.at_file, location.at_line, -1);
    }
    context_.source = source_of(location.file, location.line, caller);
    places_[{location.file, location.line, location.column}] = context_.source;
  }
  int32_t source_of(uint64_t file, uint64_t line, int32_t caller) {
    auto& sources = context_.program.sources;
    const auto [place, is_new] = sources_.try_emplace({file, line, caller}, static_cast<int32_t>(sources.size()));
    if (is_new) {
      sources.push_back({{}, static_cast<int32_t>(line), caller});
      source_files_.push_back(file);
    }
    return place->second;
  }

  void add(const syntax::Block& block) {
    const uint64_t top = frame_top_;
    context_.scopes.enter(block);
    statements(block);
    context_.scopes.leave();
    frame_top_ = top;  // variables of a scope share their place with those of the next
  }

  void add(const syntax::VariableDecl& decl) {
    if (decl.space == "shared") return shared(decl);
    if (decl.space == "local" || decl.space == "param") return frame(decl);
    global(decl);
  }

  void shared(const syntax::VariableDecl& decl) {
    ModuleSymbols& symbols = context_.symbols;
    if (decl.initial) fail(decl, "a shared variable has no initial value");
    const bool dynamic = decl.linkage == "extern";
    const Variable variable = variable_of(decl, kMaxSharedBytes);
    const auto index = static_cast<uint32_t>(symbols.shared.size());
    symbols.shared.push_back({variable.bytes, variable.align, dynamic});
    if (!dynamic) symbols.used_shared[context_.index].insert(index);
    context_.scopes.declare(decl.name, decl.line.number,
                            {Symbol::Kind::shared, variable.name, static_cast<int32_t>(index), 0, 0, false});
  }

  void frame(const syntax::VariableDecl& decl) {
    if (decl.initial) fail(decl, "a variable of a thread has no initial value");
    Variable variable = variable_of(decl, kMaxLocalBytes);
    Function& function = context_.function;
    variable.offset = (frame_top_ + variable.align - 1) / variable.align * variable.align;
    frame_top_ = variable.offset + variable.bytes;
    if (frame_top_ > kMaxLocalBytes) fail(decl, "the function has too many bytes of local variables");
    function.local_bytes = std::max(function.local_bytes, static_cast<uint32_t>(frame_top_));
    function.local_align = std::max(function.local_align, variable.align);
    context_.scopes.declare(decl.name, decl.line.number,
                            {Symbol::Kind::frame, variable.name, -1, static_cast<uint32_t>(variable.offset),
                             static_cast<uint32_t>(variable.bytes), decl.space == "param"});
    function.frame.push_back(std::move(variable));
  }

  /// A global or constant variable that only this function can name.
  void global(const syntax::VariableDecl& decl) {
    Variable variable = variable_of(decl, UINT32_MAX);
    variable.name = context_.function.name + "::" + variable.name + ":" + std::to_string(decl.line.number);
    encode_initial(decl, context_.symbols, variable);
    context_.scopes.declare(decl.name, decl.line.number, {Symbol::Kind::global, variable.name, -1, 0, 0, false});
    context_.program.variables.push_back(std::move(variable));
  }

  [[noreturn]] static void fail(const syntax::VariableDecl& decl, const std::string& what) {
    throw PtxError{attend::StatusCode::invalid_argument, decl.line.number, std::string(decl.name) + ": " + what};
  }

  /// Whether no lane can run off the end of what has been decoded.
  bool ends() const {
    if (labelled_ || pc() == context_.function.first_pc) return false;
    const Inst& last = context_.program.code.back();
    const std::string_view name = last.row->name;
    return last.guard < 0 && (name == "ret" || name == "exit" || name == "bra");
  }

  FunctionContext context_;
  std::vector<uint64_t>& source_files_;
  std::map<std::tuple<uint64_t, uint64_t, int32_t>, int32_t> sources_;  ///< file, line, caller
  std::map<std::tuple<uint64_t, uint64_t, uint64_t>, int32_t> places_;  ///< file, line, column: the last .loc there
  uint64_t frame_top_ = 0;
  bool labelled_ = false;  ///< a label stands behind the last instruction
};

}  // namespace

void lower_function(Program& program, ModuleSymbols& symbols, size_t index, const syntax::Function& function,
                    const Names& parameters, std::vector<uint64_t>& source_files) {
  Body(program, symbols, index, source_files).lower(function, parameters);
}

}  // namespace ptxsim
