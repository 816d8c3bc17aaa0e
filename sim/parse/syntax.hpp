// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// The syntax tree of a PTX module: what the text says, with no name resolved. Strings point into the text. Trees
// compare equal when they say the same, wherever the lines break.
namespace ptxsim::syntax {

/// Line of the text; plays no part in comparisons.
struct Line {
  int32_t number = 0;
  friend bool operator==(Line, Line) { return true; }
};

struct Operand {
  enum class Kind : uint8_t {
    name,     ///< register, special register, symbol plus `value`, label; `component` of "%tid.x"
    integer,  ///< `value`
    real,     ///< `value`: bits, of an f32 where `single`
    sink,     ///< _
    negated,  ///< !p: `name`
    pair,     ///< p|q: two parts
    vector,   ///< {a, b}: the parts
    list,     ///< (a, b) of a call: the parts
    address,  ///< [base + value]: one part; [base, {c0, c1}]: and the vector of coordinates
  };
  Kind kind = Kind::sink;
  bool single = false;
  Line line;
  std::string_view name, component;
  int64_t value = 0;
  std::vector<Operand> parts;
  friend bool operator==(const Operand&, const Operand&) = default;
};

struct Instruction {
  Line line;
  std::string_view guard;  ///< empty: none
  bool guard_negated = false;
  std::vector<std::string_view> words;  ///< opcode and modifiers, without dots
  std::vector<Operand> operands;
  friend bool operator==(const Instruction&, const Instruction&) = default;
};

/// .reg .b32 %r<12>; or one name of .reg .pred p, q;
struct Registers {
  Line line;
  std::string_view type;
  uint32_t elements = 1;  ///< of .v2 and .v4
  std::string_view name;
  std::optional<uint32_t> count;  ///< %r<12>: %r0 to %r11
  friend bool operator==(const Registers&, const Registers&) = default;
};

struct Initialiser {
  enum class Kind : uint8_t { integer, real, symbol, list };
  Kind kind = Kind::integer;
  bool single = false;
  bool generic = false;  ///< generic(name)
  int64_t value = 0;     ///< bits of a real, addend of a symbol
  std::string_view name;
  std::vector<Initialiser> parts;
  friend bool operator==(const Initialiser&, const Initialiser&) = default;
};

struct VariableDecl {
  Line line;
  std::string_view linkage;  ///< extern, visible, weak, common, or empty
  std::string_view space;    ///< global, const, shared, local, param
  uint32_t align = 0;        ///< 0: not stated
  uint32_t elements = 1;     ///< of .v2 and .v4
  std::string_view type;
  std::string_view name;
  std::vector<uint64_t> dims;             ///< 0 for []
  std::vector<std::string_view> pointer;  ///< .ptr and what follows it, of a kernel's parameter
  std::optional<Initialiser> initial;
  friend bool operator==(const VariableDecl&, const VariableDecl&) = default;
};

struct Label {
  Line line;
  std::string_view name;
  friend bool operator==(const Label&, const Label&) = default;
};

/// name: .branchtargets a, b;
struct BranchTargets {
  Line line;
  std::string_view name;
  std::vector<std::string_view> labels;
  friend bool operator==(const BranchTargets&, const BranchTargets&) = default;
};

/// .loc file line column; what follows (inlined_at) is not kept.
struct Location {
  uint64_t file = 0, line = 0, column = 0;
  uint64_t at_file = 0, at_line = 0, at_column = 0;  ///< where that was inlined; zeros: nowhere
  friend bool operator==(const Location&, const Location&) = default;
};

/// .pragma, .callprototype, .calltargets: words without effect here.
struct Remark {
  std::vector<std::string_view> words;
  friend bool operator==(const Remark&, const Remark&) = default;
};

struct Statement;
struct Block {
  std::vector<Statement> statements;
  Line end;
};
bool operator==(const Block& a, const Block& b);

struct Statement {
  std::variant<Instruction, Registers, VariableDecl, Label, BranchTargets, Location, Remark, Block> what;
};
bool operator==(const Statement& a, const Statement& b);

/// .maxntid 256, 1, 1 and its kin.
struct Performance {
  Line line;
  std::string_view name;  ///< without the dot
  std::vector<uint32_t> values;
  friend bool operator==(const Performance&, const Performance&) = default;
};

struct Function {
  Line line;
  std::string_view linkage;
  bool is_entry = false;
  std::string_view name;
  std::vector<VariableDecl> results, params;
  std::vector<Performance> performance;
  std::optional<Block> body;  ///< none: a prototype
  friend bool operator==(const Function&, const Function&) = default;
};

struct File {
  uint64_t index = 0;
  std::string_view name;  ///< with its quotes
  friend bool operator==(const File&, const File&) = default;
};

/// .alias name, target;
struct Alias {
  Line line;
  std::string_view name, target;
  friend bool operator==(const Alias&, const Alias&) = default;
};

struct Module {
  std::string_view version;
  std::vector<std::string_view> target;
  std::optional<uint32_t> address_size;
  std::vector<std::variant<VariableDecl, Function, File, Alias, Remark>> items;
  friend bool operator==(const Module&, const Module&) = default;
};

}  // namespace ptxsim::syntax

namespace ptxsim {

/// Throws PtxError. `text` must outlive the tree.
syntax::Module parse_module(std::string_view text);
/// PTX text of the tree; parsing it gives the same tree.
std::string print(const syntax::Module& module);

}  // namespace ptxsim
