// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <limits>

#include "sim/isa/decode.hpp"
#include "sim/parse/lower.hpp"

namespace ptxsim {
namespace {

using Kind = syntax::Operand::Kind;

/// Entries of all tables of brx.idx of one function.
constexpr size_t kMaxTableEntries = size_t{1} << 20;

constexpr std::string_view kComponents[] = {"x", "y", "z", "w"};
constexpr std::string_view kColours[] = {"r", "g", "b", "a"};

uint8_t units_of(Type type) { return static_cast<uint8_t>(type_units(type)); }

/// The low bits of `value` that a lane of the type has.
uint64_t cut(uint64_t value, Type type) {
  const uint32_t bits = 8 * type_bytes(type);
  return bits >= 64 ? value : value & ((uint64_t{1} << bits) - 1);
}

class Decoder final : public Decode {
 public:
  Decoder(FunctionContext& context, const syntax::Instruction& text) : context_(context), text_(text) {
    inst_.line = text.line.number;
    inst_.source = context.source;
  }

  void run() {
    const std::string opcode = dotted();
    inst_.row = isa_find(opcode);
    if (inst_.row == nullptr) unsupported("unknown opcode");
    const std::string_view name = inst_.row->name;
    word_ = 1 + static_cast<size_t>(std::count(name.begin(), name.end(), '.'));
    guard();
    inst_.row->decode(*this);
    if (word_ < text_.words.size()) unsupported("unknown modifier ." + std::string(text_.words[word_]));
    if (operand_ < text_.operands.size()) invalid("has too many operands");
    if (inst_.run == nullptr) unsupported("has no meaning in this form");
    append();
  }

  std::string_view peek() const override { return word_ < text_.words.size() ? text_.words[word_] : ""; }
  bool flag(std::string_view name) override {
    const bool found = word_ < text_.words.size() && text_.words[word_] == name;
    word_ += found ? 1 : 0;
    return found;
  }
  size_t operand_count() const override { return text_.operands.size(); }
  size_t operands_left() const override { return text_.operands.size() - operand_; }

  int out(Type type, bool wider) override { return write(next(), type, wider); }
  int in(Type type, bool wider) override { return read(next(), type, wider); }
  int inout(Type type) override { return both(next(), type); }
  int carry_in() override {
    reads_.push_back(context_.slots.carry());
    return push(reads_.back());
  }
  int carry_out() override {
    writes_.push_back(context_.slots.carry());
    return push(writes_.back());
  }

  int out_vector(Type type, bool scalar_too, bool wider) override {
    return each(scalar_too, [&](const syntax::Operand& operand) { write(operand, type, wider); });
  }
  int in_vector(Type type, bool scalar_too, bool wider) override {
    return each(scalar_too, [&](const syntax::Operand& operand) { read(operand, type, wider); });
  }
  int inout_vector(Type type) override {
    return each(false, [&](const syntax::Operand& operand) { both(operand, type); });
  }

  void out_pair(Type first, Type second) override {
    const syntax::Operand& operand = next();
    if (operand.kind == Kind::pair) {
      write(operand.parts[0], first, false);
      write(operand.parts[1], second, false);
    } else {
      write(operand, first, false);
      push(context_.slots.sink(units_of(second)));
    }
  }

  bool in_predicate() override {
    const syntax::Operand& operand = next();
    if (operand.kind != Kind::negated) {
      read(operand, Type::pred, false);
      return false;
    }
    syntax::Operand plain = operand;
    plain.kind = Kind::name;
    read(plain, Type::pred, false);
    return true;
  }

  int64_t address() override {
    const syntax::Operand& operand = next();
    if (operand.kind != Kind::address || operand.parts.size() != 1) invalid("expected an address");
    base(operand.parts[0]);
    return operand.value;
  }

  int tensor_address() override {
    const syntax::Operand& operand = next();
    if (operand.kind != Kind::address || operand.parts.size() != 2)
      invalid("expected the address of a tensor map and coordinates");
    if (operand.value != 0) unsupported("an offset behind the address of a tensor map");
    base(operand.parts[0]);
    for (const syntax::Operand& coordinate : operand.parts[1].parts) read(coordinate, Type::s32, false);
    return static_cast<int>(operand.parts[1].parts.size());
  }

  int64_t immediate() override {
    const syntax::Operand& operand = next();
    if (operand.kind != Kind::integer) invalid("expected a constant");
    return operand.value;
  }

  bool next_is_immediate() const override { return next_is(Kind::integer) || next_is(Kind::real); }
  bool next_is_address() const override { return next_is(Kind::address); }
  bool next_is_vector() const override { return next_is(Kind::vector); }
  bool next_is_sink() const override { return next_is(Kind::sink); }
  bool next_is_predicate() const override {
    if (next_is(Kind::negated)) return true;
    if (!next_is(Kind::name)) return false;
    const auto found = context_.scopes.find(text_.operands[operand_].name);
    return found.reg.group != nullptr && found.reg.group->type == Type::pred;
  }

  int next_vector_size() const override {
    return next_is_vector() ? static_cast<int>(text_.operands[operand_].parts.size()) : 0;
  }
  uint32_t register_bytes(int index) const override { return widths_[static_cast<size_t>(index)]; }

  void label() override {
    const syntax::Operand& operand = next();
    if (operand.kind != Kind::name) invalid("expected a label");
    const int64_t number = context_.scopes.find_label(operand.name);
    if (number < 0) invalid("unknown label " + std::string(operand.name));
    context_.branches.emplace_back(context_.program.code.size(), static_cast<size_t>(number));
  }

  void call() override {
    auto results = std::vector<syntax::Operand>{}, params = std::vector<syntax::Operand>{};
    if (next_is(Kind::list)) results = next().parts;
    const syntax::Operand& name = next();
    if (next_is(Kind::list)) params = next().parts;
    if (name.kind != Kind::name) invalid("expected a function's name");
    const auto found = context_.symbols.names.find(name.name);
    if (found == context_.symbols.names.end() || found->second.kind != Symbol::Kind::function) {
      if (context_.scopes.find(name.name).reg.group != nullptr) unsupported("a call through a register");
      invalid("unknown function " + std::string(name.name));
    }
    auto call = std::make_shared<CallDetail>();
    call->name = name.name;
    inst_.target = found->second.index;
    const Function* callee =
        inst_.target < 0 ? nullptr : &context_.program.functions[static_cast<size_t>(inst_.target)];
    call->results = arguments(results, callee == nullptr ? nullptr : &callee->results);
    call->params = arguments(params, callee == nullptr ? nullptr : &callee->params);
    detail(std::move(call));
  }

  void label_list() override {
    const syntax::Operand& operand = next();
    std::vector<size_t> numbers;
    if (operand.kind != Kind::name || !context_.scopes.find_targets(operand.name, numbers))
      invalid("expected the name of a list of branch targets that exist");
    context_.table_entries += numbers.size();
    if (context_.table_entries > kMaxTableEntries) unsupported("a function with so many branch targets");
    auto table = std::make_shared<std::vector<int32_t>>(numbers.size());
    context_.tables.emplace_back(table, std::move(numbers));
    detail(std::move(table));
  }

  void member_mask(int index) override { inst_.member_mask = static_cast<int16_t>(index); }
  void imm(int index, int64_t value) override { inst_.imm[static_cast<size_t>(index)] = value; }
  void detail(std::shared_ptr<const void> value) override {
    inst_.detail = value.get();
    context_.program.details.push_back(std::move(value));
  }
  void emit(Handler handler) override { inst_.run = handler; }

 protected:
  int32_t line() const override { return inst_.line; }
  std::string opcode_text() const override { return dotted(); }

 private:
  struct Register {
    Operand operand;
    Type type;
  };

  std::string dotted() const {
    std::string text(text_.words[0]);
    for (size_t i = 1; i < text_.words.size(); ++i) {
      text += '.';
      text += text_.words[i];
    }
    return text;
  }

  const syntax::Operand& next() {
    if (operand_ == text_.operands.size()) invalid("has too few operands");
    return text_.operands[operand_++];
  }
  bool next_is(Kind kind) const { return operand_ < text_.operands.size() && text_.operands[operand_].kind == kind; }

  int push(const Operand& operand) {
    widths_.push_back(operand.is_register ? width_ : 0);
    operands_.push_back(operand);
    return static_cast<int>(operands_.size()) - 1;
  }

  void guard() {
    if (text_.guard.empty()) return;
    const auto found = context_.scopes.find(text_.guard);
    if (found.reg.group == nullptr || found.reg.group->type != Type::pred)
      invalid("the guard " + std::string(text_.guard) + " is no predicate");
    const Operand operand = place(found.reg, 0);
    inst_.guard = static_cast<int32_t>(operand.slot);
    inst_.guard_negated = text_.guard_negated;
    reads_.push_back(operand);
  }

  Operand place(const RegisterName& name, uint32_t component) {
    const auto [entry, added] = name.group->placed.try_emplace(uint64_t{name.index} * 4 + component);
    if (added) entry->second = context_.slots.fresh(units_of(name.group->type));
    return entry->second;
  }

  /// The register that the operand's name and component stand for.
  Register register_of(const syntax::Operand& operand, const RegisterName& name) {
    if (operand.value != 0) invalid("an offset behind a register");
    uint32_t component = 0;
    if (name.group->decl->elements > 1) {
      while (component < 4 && operand.component != kComponents[component] && operand.component != kColours[component])
        ++component;
      if (component >= name.group->decl->elements) invalid("expected a component of " + std::string(operand.name));
    } else if (!operand.component.empty()) {
      invalid(std::string(operand.name) + " has no components");
    }
    width_ = type_bytes(name.group->type);
    return {place(name, component), name.group->type};
  }

  void check_width(const syntax::Operand& operand, Type have, Type want, bool wider) const {
    const bool both_predicates = have == Type::pred && want == Type::pred;
    const bool neither = have != Type::pred && want != Type::pred;
    const bool fits = type_bytes(have) == type_bytes(want) || (wider && type_bytes(have) > type_bytes(want));
    if (both_predicates || (neither && fits)) return;
    invalid(std::string(operand.name) + " is a register of type ." + type_name(have) + ", expected ." +
            type_name(want));
  }

  /// A register that is written; `_` has a place too.
  int write(const syntax::Operand& operand, Type type, bool wider) {
    if (operand.kind == Kind::sink) return push(context_.slots.sink(units_of(type)));
    writes_.push_back(writable(operand, type, wider));
    return push(writes_.back());
  }
  int both(const syntax::Operand& operand, Type type) {
    reads_.push_back(writable(operand, type, false));
    writes_.push_back(reads_.back());
    return push(writes_.back());
  }
  Operand writable(const syntax::Operand& operand, Type type, bool wider) {
    if (operand.kind != Kind::name) invalid("expected a register");
    const auto found = context_.scopes.find(operand.name);
    if (found.reg.group == nullptr) invalid("unknown register " + std::string(operand.name));
    const Register reg = register_of(operand, found.reg);
    check_width(operand, reg.type, type, wider);
    return reg.operand;
  }

  int read(const syntax::Operand& operand, Type type, bool wider) {
    switch (operand.kind) {
      case Kind::integer: return push(integer(operand, type));
      case Kind::real: return push(real(operand, type));
      case Kind::name: return push(named(operand, type, wider));
      default: invalid("expected a register or a constant");
    }
  }

  Operand integer(const syntax::Operand& operand, Type type) {
    if (type == Type::pred) return context_.slots.constant(1, operand.value != 0 ? 1 : 0);
    const TypeKind kind = type_kind(type);
    if (kind == TypeKind::real || (kind == TypeKind::packed && type != Type::u16x2 && type != Type::s16x2))
      invalid("an integer for ." + std::string(type_name(type)));
    if (type_bytes(type) > 8) unsupported("a constant of 128 bits");
    return context_.slots.constant(units_of(type), cut(static_cast<uint64_t>(operand.value), type));
  }

  Operand real(const syntax::Operand& operand, Type type) {
    const auto bits = static_cast<uint64_t>(operand.value);
    if ((type == Type::b32 && operand.single) || (type == Type::b64 && !operand.single))
      return context_.slots.constant(units_of(type), bits);
    if (type != Type::f32 && type != Type::f64) invalid("a real for ." + std::string(type_name(type)));
    if (operand.single == (type == Type::f32)) return context_.slots.constant(units_of(type), bits);
    if (operand.single)
      return context_.slots.constant(
          2, std::bit_cast<uint64_t>(double{std::bit_cast<float>(static_cast<uint32_t>(bits))}));
    return context_.slots.constant(1, std::bit_cast<uint32_t>(static_cast<float>(std::bit_cast<double>(bits))));
  }

  Operand named(const syntax::Operand& operand, Type type, bool wider) {
    const auto found = context_.scopes.find(operand.name);
    if (found.reg.group != nullptr) {
      const Register reg = register_of(operand, found.reg);
      check_width(operand, reg.type, type, wider);
      reads_.push_back(reg.operand);
      return reg.operand;
    }
    const Symbol* symbol = found.symbol;
    if (symbol == nullptr) {
      const auto global = context_.symbols.names.find(operand.name);
      if (global != context_.symbols.names.end()) symbol = &global->second;
    }
    if (symbol == nullptr) return special(operand, type);
    if (!operand.component.empty()) invalid(std::string(operand.name) + " has no components");
    if (type_bytes(type) != 4 && type_bytes(type) != 8)
      invalid("the address of " + std::string(operand.name) + " has 32 or 64 bits");
    return symbol_address(*symbol, operand, units_of(type));
  }

  Operand special(const syntax::Operand& operand, Type type) {
    std::string name(operand.name);
    if (!operand.component.empty()) name += "." + std::string(operand.component);
    const uint32_t bytes = special_register_bytes(name);
    if (bytes == 0 || operand.value != 0) invalid("unknown name " + name);
    const bool is_predicate = bytes == 1;
    const bool fits = type_bytes(type) == bytes || (type_bytes(type) == 4 && bytes == 8 && name == "%gridid");
    if (is_predicate != (type == Type::pred) || !fits)
      invalid(name + " has " + std::to_string(8 * bytes) + " bits, expected ." + type_name(type));
    inst_.reads_clock = inst_.reads_clock || is_clock_register(name);
    return context_.slots.special(name, units_of(type));
  }

  /// `units` 0: as wide as addresses of its space are.
  Operand symbol_address(const Symbol& symbol, const syntax::Operand& operand, uint8_t units) {
    const uint8_t narrow = units == 0 ? uint8_t{1} : units;
    switch (symbol.kind) {
      case Symbol::Kind::global:
        if (units == 1) invalid("the address of " + symbol.name + " has 64 bits");
        return context_.slots.symbol(symbol.name, operand.value);
      case Symbol::Kind::shared: return shared_address(static_cast<uint32_t>(symbol.index), operand.value, narrow);
      case Symbol::Kind::kernel_param:
        return context_.slots.constant(narrow, symbol.offset + static_cast<uint64_t>(operand.value));
      case Symbol::Kind::frame:
        if (operand.value < 0 || operand.value > std::numeric_limits<int32_t>::max())
          unsupported("an address in front of a local variable");
        return context_.slots.local(symbol.offset + static_cast<uint32_t>(operand.value), symbol.param, narrow);
      case Symbol::Kind::function: unsupported("the address of the function " + std::string(operand.name));
      case Symbol::Kind::undefined: unsupported("the variable " + std::string(operand.name) + " of another module");
    }
    return {};
  }

  Operand shared_address(uint32_t variable, int64_t addend, uint8_t units) {
    bool is_new = false;
    const Operand operand = context_.slots.shared(variable, addend, units, is_new);
    if (is_new) {
      context_.symbols.addresses.push_back({context_.index, operand.slot, units, variable, addend});
      context_.symbols.used_shared[context_.index].insert(variable);
    }
    return operand;
  }

  /// Base of an address.
  void base(const syntax::Operand& operand) {
    if (operand.kind == Kind::integer) {
      push(context_.slots.constant(2, static_cast<uint64_t>(operand.value)));
      return;
    }
    const auto found = context_.scopes.find(operand.name);
    if (found.reg.group != nullptr) {
      const Register reg = register_of(operand, found.reg);
      if (reg.type == Type::pred || (type_bytes(reg.type) != 4 && type_bytes(reg.type) != 8))
        invalid("an address in a register of type ." + std::string(type_name(reg.type)));
      reads_.push_back(reg.operand);
      push(reg.operand);
      return;
    }
    const Symbol* symbol = found.symbol;
    const auto global = context_.symbols.names.find(operand.name);
    if (symbol == nullptr && global != context_.symbols.names.end()) symbol = &global->second;
    if (symbol == nullptr || !operand.component.empty()) invalid("unknown name " + std::string(operand.name));
    push(symbol_address(*symbol, operand, 0));
  }

  /// Elements of a brace list, components of a vector register, or one operand: how many.
  template <class F>
  int each(bool scalar_too, F&& f) {
    const syntax::Operand& operand = next();
    if (operand.kind == Kind::vector) {
      for (const syntax::Operand& element : operand.parts) f(element);
      return static_cast<int>(operand.parts.size());
    }
    if (operand.kind == Kind::name && operand.component.empty()) {
      const auto found = context_.scopes.find(operand.name);
      if (found.reg.group != nullptr && found.reg.group->decl->elements > 1) {
        syntax::Operand element = operand;
        for (uint32_t i = 0; i < found.reg.group->decl->elements; ++i) {
          element.component = kComponents[i];
          f(element);
        }
        return static_cast<int>(found.reg.group->decl->elements);
      }
    }
    if (!scalar_too) invalid("expected a list in braces");
    f(operand);
    return 1;
  }

  /// Places of a call's arguments or results, which must be .param variables as large as the callee's.
  std::vector<uint32_t> arguments(const std::vector<syntax::Operand>& operands, const std::vector<Variable>* formal) {
    if (formal != nullptr && formal->size() != operands.size())
      invalid("passes or returns " + std::to_string(operands.size()) + " values, the function has " +
              std::to_string(formal->size()));
    std::vector<uint32_t> offsets;
    for (size_t i = 0; i < operands.size(); ++i) {
      const syntax::Operand& operand = operands[i];
      if (operand.kind != Kind::name) unsupported("an argument that is no .param variable");
      const Symbol* symbol = context_.scopes.find(operand.name).symbol;
      if (symbol == nullptr || symbol->kind != Symbol::Kind::frame || !symbol->param)
        unsupported("an argument that is no .param variable: " + std::string(operand.name));
      if (formal != nullptr && symbol->bytes != (*formal)[i].bytes)
        invalid(std::string(operand.name) + " has " + std::to_string(symbol->bytes) + " bytes, the function's " +
                (*formal)[i].name + " has " + std::to_string((*formal)[i].bytes));
      offsets.push_back(symbol->offset);
    }
    return offsets;
  }

  void append() {
    Program& program = context_.program;
    if (operands_.size() > std::numeric_limits<uint16_t>::max() || reads_.size() > std::numeric_limits<uint16_t>::max())
      unsupported("has too many operands");
    inst_.first_operand = static_cast<uint32_t>(program.operands.size());
    inst_.operand_count = static_cast<uint16_t>(operands_.size());
    inst_.first_touched = static_cast<uint32_t>(program.touched.size());
    inst_.read_count = static_cast<uint16_t>(reads_.size());
    inst_.write_count = static_cast<uint16_t>(writes_.size());
    program.operands.insert(program.operands.end(), operands_.begin(), operands_.end());
    program.touched.insert(program.touched.end(), reads_.begin(), reads_.end());
    program.touched.insert(program.touched.end(), writes_.begin(), writes_.end());
    program.code.push_back(inst_);
  }

  FunctionContext& context_;
  const syntax::Instruction& text_;
  size_t word_ = 0, operand_ = 0;
  Inst inst_;
  std::vector<Operand> operands_, reads_, writes_;
  std::vector<uint32_t> widths_;  ///< of operands_, bytes of registers
  uint32_t width_ = 4;            ///< of the last register that was looked up
};

}  // namespace

void decode_instruction(FunctionContext& context, const syntax::Instruction& instruction) {
  Decoder(context, instruction).run();
}

}  // namespace ptxsim
