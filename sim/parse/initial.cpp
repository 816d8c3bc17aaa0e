// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <span>

#include "sim/isa/decode.hpp"
#include "sim/parse/symbols.hpp"

namespace ptxsim {
namespace {

/// Initial values of one variable in memory; text of a few bytes can ask for more.
constexpr uint64_t kMaxInitialBytes = uint64_t{64} << 20;

using Kind = syntax::Initialiser::Kind;

[[noreturn]] void fail(const syntax::VariableDecl& decl, const std::string& what,
                       attend::StatusCode code = attend::StatusCode::invalid_argument) {
  throw PtxError{code, decl.line.number, "initial value of " + std::string(decl.name) + ": " + what};
}

class Encoder {
 public:
  Encoder(const syntax::VariableDecl& decl, const ModuleSymbols& symbols, Type type, Variable& variable)
      : decl_(decl), symbols_(symbols), type_(type), bytes_(type_bytes(type)), variable_(variable) {}

  void encode(const syntax::Initialiser& value, uint64_t at, std::span<const uint64_t> dims) {
    if (value.kind != Kind::list) {
      if (!dims.empty()) fail(decl_, "expected braces");
      return scalar(value, at);
    }
    if (dims.empty()) fail(decl_, "has more braces than dimensions");
    if (value.parts.size() > dims[0]) fail(decl_, "has more values than elements");
    uint64_t stride = bytes_;
    for (const uint64_t dim : dims.subspan(1)) stride *= dim;
    for (const syntax::Initialiser& part : value.parts) {
      encode(part, at, dims.subspan(1));
      at += stride;
    }
  }

 private:
  void scalar(const syntax::Initialiser& value, uint64_t at) {
    if (value.kind == Kind::symbol) return put(at, symbol(value, at));
    put(at, value.kind == Kind::real ? real(value) : integer(value));
  }

  uint64_t integer(const syntax::Initialiser& value) {
    if (type_kind(type_) == TypeKind::real) fail(decl_, "an integer for ." + std::string(type_name(type_)));
    return static_cast<uint64_t>(value.value);
  }

  uint64_t real(const syntax::Initialiser& value) {
    const auto bits = static_cast<uint64_t>(value.value);
    if ((type_ == Type::b32 && value.single) || (type_ == Type::b64 && !value.single)) return bits;
    if (type_ != Type::f32 && type_ != Type::f64) fail(decl_, "a real for ." + std::string(type_name(type_)));
    if (value.single == (type_ == Type::f32)) return bits;
    if (value.single) return std::bit_cast<uint64_t>(double{std::bit_cast<float>(static_cast<uint32_t>(bits))});
    return std::bit_cast<uint32_t>(static_cast<float>(std::bit_cast<double>(bits)));
  }

  uint64_t symbol(const syntax::Initialiser& value, uint64_t at) {
    if (bytes_ != 8) fail(decl_, "an address needs 64 bits", attend::StatusCode::unsupported);
    const auto found = symbols_.names.find(value.name);
    if (found == symbols_.names.end()) fail(decl_, "unknown name " + std::string(value.name));
    if (found->second.kind != Symbol::Kind::global)
      fail(decl_, "the address of " + std::string(value.name) + ", which is no global or constant variable",
           attend::StatusCode::unsupported);
    variable_.relocations.push_back({at, found->second.name, value.value});
    return 0;
  }

  void put(uint64_t at, uint64_t value) {
    if (at + bytes_ > kMaxInitialBytes) fail(decl_, "is too large", attend::StatusCode::unsupported);
    if (variable_.initial.size() < at + bytes_) variable_.initial.resize(at + bytes_);
    for (uint32_t i = 0; i < bytes_; ++i)
      variable_.initial[at + i] = i < 8 ? static_cast<std::byte>(value >> (8 * i)) : std::byte{};
  }

  const syntax::VariableDecl& decl_;
  const ModuleSymbols& symbols_;
  Type type_;
  uint64_t bytes_;
  Variable& variable_;
};

Type memory_type(const syntax::VariableDecl& decl) {
  const std::optional<Type> type = type_of(decl.type);
  if (!type || *type == Type::pred || *type == Type::b1)
    throw PtxError{attend::StatusCode::unsupported, decl.line.number,
                   "variable " + std::string(decl.name) + " of type ." + std::string(decl.type)};
  return *type;
}

Space space_of(std::string_view name) {
  if (name == "const") return Space::constant;
  if (name == "shared") return Space::shared;
  if (name == "local") return Space::local;
  if (name == "param") return Space::param;
  return Space::global;
}

}  // namespace

Variable variable_of(const syntax::VariableDecl& decl, uint64_t at_most) {
  const Type type = memory_type(decl);
  Variable variable;
  variable.name = decl.name;
  variable.space = space_of(decl.space);
  variable.bytes = uint64_t{type_bytes(type)} * decl.elements;
  variable.align = decl.align != 0 ? decl.align : static_cast<uint32_t>(variable.bytes);
  for (size_t i = 0; i < decl.dims.size(); ++i) {
    uint64_t dim = decl.dims[i];
    if (dim == 0 && decl.initial) dim = decl.initial->parts.size();
    if (dim != 0 && variable.bytes > at_most / dim)
      throw PtxError{attend::StatusCode::invalid_argument, decl.line.number,
                     "variable " + variable.name + " is larger than " + std::to_string(at_most) + " bytes"};
    variable.bytes *= dim;
  }
  if (variable.bytes > at_most)
    throw PtxError{attend::StatusCode::invalid_argument, decl.line.number,
                   "variable " + variable.name + " is larger than " + std::to_string(at_most) + " bytes"};
  return variable;
}

void encode_initial(const syntax::VariableDecl& decl, const ModuleSymbols& symbols, Variable& variable) {
  if (!decl.initial) return;
  std::vector<uint64_t> dims = decl.dims;
  if (!dims.empty() && dims[0] == 0) dims[0] = decl.initial->parts.size();
  if (decl.elements > 1) dims.push_back(decl.elements);
  Encoder(decl, symbols, memory_type(decl), variable).encode(*decl.initial, 0, dims);
}

}  // namespace ptxsim
