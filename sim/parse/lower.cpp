// SPDX-License-Identifier: Apache-2.0
#include "sim/parse/lower.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "sim/isa/decode.hpp"

namespace ptxsim {
namespace {

[[noreturn]] void invalid(int32_t line, const std::string& what) {
  throw PtxError{attend::StatusCode::invalid_argument, line, what};
}

/// .maxntid 256, 1: dimensions that are not stated are 1.
Dim3 extent(const syntax::Performance& performance) {
  const auto at = [&](size_t i) { return i < performance.values.size() ? performance.values[i] : 1; };
  if (std::find(performance.values.begin(), performance.values.end(), 0u) != performance.values.end())
    invalid(performance.line.number, "." + std::string(performance.name) + " has a dimension of 0");
  return {at(0), at(1), at(2)};
}

/// A function's parameters by name.
struct Signature {
  const syntax::Function* text;
  Names names;
};

class ModuleLowering {
 public:
  explicit ModuleLowering(const syntax::Module& module) : module_(module) {}

  Program run() {
    program_.version = module_.version;
    for (const std::string_view target : module_.target) {
      if (!program_.target.empty()) program_.target += ", ";
      program_.target += target;
    }
    for (const auto& item : module_.items) std::visit([this](const auto& what) { declare(what); }, item);
    for (const syntax::Alias* alias : aliases_) resolve(*alias);
    for (const auto& [decl, index] : initials_) encode_initial(*decl, symbols_, program_.variables[index]);
    symbols_.used_shared.resize(program_.functions.size());
    for (size_t i = 0; i < signatures_.size(); ++i)
      lower_function(program_, symbols_, i, *signatures_[i].text, signatures_[i].names, source_files_);
    place_shared(program_, symbols_);
    for (size_t i = 0; i < source_files_.size(); ++i)
      if (const auto file = files_.find(source_files_[i]); file != files_.end())
        program_.sources[i].file = file->second;
    for (const Function& function : program_.functions)
      if (function.is_entry) program_.entries.push_back(function.entry);
    return std::move(program_);
  }

 private:
  void declare(const syntax::Remark&) {}
  void declare(const syntax::Alias& alias) { aliases_.push_back(&alias); }
  void declare(const syntax::File& file) {
    files_[file.index] = std::string(file.name.substr(1, file.name.size() - 2));
  }

  /// A name that is declared again may complete an extern declaration, or repeat one.
  Symbol* known(std::string_view name, Symbol::Kind kind, bool is_extern, int32_t line) {
    const auto found = symbols_.names.find(name);
    if (found == symbols_.names.end()) return nullptr;
    const Symbol& before = found->second;
    const bool incomplete =
        before.kind == Symbol::Kind::undefined || (before.kind == Symbol::Kind::function && before.index < 0);
    const bool same = before.kind == kind || before.kind == Symbol::Kind::undefined || kind == Symbol::Kind::undefined;
    if (!same || (!incomplete && !is_extern)) invalid(line, std::string(name) + " is declared twice");
    return &found->second;
  }

  void declare(const syntax::VariableDecl& decl) {
    if (decl.space == "shared") return declare_shared(decl);
    if (decl.space == "local" || decl.space == "param")
      invalid(decl.line.number, "a ." + std::string(decl.space) + " variable outside a function");
    const bool is_extern = decl.linkage == "extern";
    Variable variable = variable_of(decl, std::numeric_limits<uint32_t>::max());
    const Symbol::Kind kind = is_extern ? Symbol::Kind::undefined : Symbol::Kind::global;
    Symbol* before = known(decl.name, kind, is_extern, decl.line.number);
    if (before != nullptr && is_extern) return;
    symbols_.names[decl.name] = {kind, variable.name, -1, 0, 0, false};
    if (is_extern) return;
    initials_.emplace_back(&decl, program_.variables.size());
    program_.variables.push_back(std::move(variable));
  }

  void declare_shared(const syntax::VariableDecl& decl) {
    if (decl.initial) invalid(decl.line.number, "a shared variable has no initial value");
    const Variable variable = variable_of(decl, kMaxSharedBytes);
    const bool dynamic = decl.linkage == "extern";
    if (known(decl.name, Symbol::Kind::shared, dynamic, decl.line.number) != nullptr) return;
    symbols_.names[decl.name] = {
        Symbol::Kind::shared, variable.name, static_cast<int32_t>(symbols_.shared.size()), 0, 0, false};
    symbols_.shared.push_back({variable.bytes, variable.align, dynamic});
  }

  void declare(const syntax::Function& text) {
    const bool prototype = !text.body;
    Symbol* before = known(text.name, Symbol::Kind::function, prototype, text.line.number);
    if (prototype && before != nullptr) return;
    if (prototype && text.is_entry) return;
    const int32_t index = prototype ? -1 : static_cast<int32_t>(program_.functions.size());
    symbols_.names[text.name] = {Symbol::Kind::function, std::string(text.name), index, 0, 0, false};
    if (prototype) return;
    Function& function = program_.functions.emplace_back();
    function.name = text.name;
    function.is_entry = text.is_entry;
    Signature& signature = signatures_.emplace_back(Signature{&text, {}});
    if (text.is_entry) {
      entry_parameters(text, function.entry, signature.names);
      performance(text, function.entry);
    } else {
      frame_parameters(text.results, function, function.results, signature.names);
      frame_parameters(text.params, function, function.params, signature.names);
    }
  }

  Variable parameter(const syntax::VariableDecl& decl, uint64_t at_most, uint64_t& end) {
    if (decl.space != "param")
      throw PtxError{attend::StatusCode::unsupported, decl.line.number, "parameters in registers"};
    if (!decl.dims.empty() && decl.dims[0] == 0)
      throw PtxError{attend::StatusCode::unsupported, decl.line.number, "a parameter of open size"};
    Variable variable = variable_of(decl, at_most);
    variable.offset = (end + variable.align - 1) / variable.align * variable.align;
    end = variable.offset + variable.bytes;
    if (end > at_most) invalid(decl.line.number, "the parameters have more than " + std::to_string(at_most) + " bytes");
    return variable;
  }

  void entry_parameters(const syntax::Function& text, EntryInfo& entry, Names& names) {
    entry.name = text.name;
    uint64_t end = 0;
    for (const syntax::VariableDecl& decl : text.params) {
      const Variable variable = parameter(decl, kMaxParameterBytes, end);
      const auto offset = static_cast<uint32_t>(variable.offset), bytes = static_cast<uint32_t>(variable.bytes);
      entry.params.push_back({variable.name, bytes, variable.align, offset});
      add_parameter(decl, {Symbol::Kind::kernel_param, variable.name, -1, offset, bytes, true}, names);
    }
    entry.param_bytes = static_cast<uint32_t>(end);
  }

  void frame_parameters(const std::vector<syntax::VariableDecl>& decls, Function& function,
                        std::vector<Variable>& variables, Names& names) {
    uint64_t end = function.local_bytes;
    for (const syntax::VariableDecl& decl : decls) {
      Variable variable = parameter(decl, kMaxLocalBytes, end);
      function.local_align = std::max(function.local_align, variable.align);
      const auto offset = static_cast<uint32_t>(variable.offset), bytes = static_cast<uint32_t>(variable.bytes);
      add_parameter(decl, {Symbol::Kind::frame, variable.name, -1, offset, bytes, true}, names);
      variables.push_back(std::move(variable));
    }
    function.local_bytes = static_cast<uint32_t>(end);
  }

  void add_parameter(const syntax::VariableDecl& decl, Symbol symbol, Names& names) {
    if (!names.emplace(decl.name, std::move(symbol)).second)
      invalid(decl.line.number, std::string(decl.name) + " is declared twice");
  }

  void performance(const syntax::Function& text, EntryInfo& entry) {
    for (const syntax::Performance& each : text.performance) {
      if (each.name == "reqntid") entry.required_block = extent(each);
      if (each.name == "maxntid") entry.max_block = extent(each);
      if (each.name == "reqnctapercluster") entry.required_cluster = extent(each);
      if (each.name == "maxnreg") entry.max_registers = each.values[0];
    }
  }

  void resolve(const syntax::Alias& alias) {
    const auto target = symbols_.names.find(alias.target);
    if (target == symbols_.names.end() || target->second.kind != Symbol::Kind::function || target->second.index < 0)
      invalid(alias.line.number, "alias of " + std::string(alias.target) + ", which is no function of the module");
    const Symbol symbol = target->second;
    const auto [name, is_new] = symbols_.names.try_emplace(alias.name, symbol);
    if (is_new) return;
    if (name->second.kind != Symbol::Kind::function || name->second.index >= 0)
      invalid(alias.line.number, std::string(alias.name) + " is declared twice");
    name->second = symbol;
  }

  const syntax::Module& module_;
  Program program_;
  ModuleSymbols symbols_;
  std::vector<Signature> signatures_;
  std::vector<const syntax::Alias*> aliases_;
  std::vector<std::pair<const syntax::VariableDecl*, size_t>> initials_;
  std::map<uint64_t, std::string> files_;
  std::vector<uint64_t> source_files_;
};

}  // namespace

Program lower(const syntax::Module& module) { return ModuleLowering(module).run(); }

}  // namespace ptxsim
