// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "sim/isa/isa.hpp"
#include "sim/isa/program.hpp"
#include "sim/isa/type.hpp"

namespace ptxsim {

/// Text that is not PTX, or PTX that the simulator does not know. Caught by Module::parse.
struct PtxError {
  attend::StatusCode code;  ///< invalid_argument or unsupported
  int32_t line;
  std::string message;
};

/// What a decoder sees of one instruction: its modifiers and operands in the order of the text, consumed one by one.
/// Whatever a decoder leaves is an error that names it and the line. The decoder ends with emit().
///
///   void decode_shl(Decode& d) {              // shl.type d, a, b;
///     const Type type = d.type({Type::b16, Type::b32, Type::b64});
///     d.out(type), d.in(type), d.in(Type::u32);
///     d.emit(by_bytes(type, &shl<uint16_t>, &shl<uint32_t>, &shl<uint64_t>));
///   }
class Decode {
 public:
  virtual ~Decode() = default;

  /// The next modifier, without its dot; empty behind the last. A modifier keeps its colons: "shared::cluster",
  /// "L2::cache_hint".
  virtual std::string_view peek() const = 0;
  /// Consumes the next modifier when it is `name`.
  virtual bool flag(std::string_view name) = 0;
  /// Consumes the next modifier when it is one of them: its index; else -1.
  int one_of(std::initializer_list<std::string_view> names);
  /// As one_of(), but one of them must come.
  int must_be_one_of(std::initializer_list<std::string_view> names);
  /// The next modifier must be a type, one of `allowed` when that is not empty.
  Type type(std::initializer_list<Type> allowed = {});
  /// Consumes every modifier of the list in any order, as often as they come: those without effect (".uni", ".nc",
  /// cache hints).
  void ignore(std::initializer_list<std::string_view> names);
  /// .rn .rz .rm .rp; rn when none is there.
  int rounding();

  /// Number of operands of the text (a vector or an address is one), and how many are left.
  virtual size_t operand_count() const = 0;
  virtual size_t operands_left() const = 0;

  // Each takes the next operand of the text and appends to the instruction's flattened list; the returned index is its
  // place there. Registers must be as wide as the type says (PTX lets ld, st and cvt use wider ones: `wider`).
  virtual int out(Type type, bool wider = false) = 0;  ///< a register to write, or `_`
  virtual int in(Type type,
                 bool wider = false) = 0;  ///< a register, immediate, special register or symbol's address to read
  virtual int inout(Type type) = 0;        ///< both
  /// The carry flag CC.CF of add.cc, addc and the like: a 32-bit register of the function, 0 or 1, that is in no
  /// operand of the text. An instruction that reads and writes it appends two operands with the same slot.
  virtual int carry_in() = 0;
  virtual int carry_out() = 0;
  /// A brace list `{a, b, ...}` or, with `scalar_too`, one operand; returns how many were appended.
  virtual int out_vector(Type type, bool scalar_too = false, bool wider = false) = 0;
  virtual int in_vector(Type type, bool scalar_too = false, bool wider = false) = 0;
  virtual int inout_vector(Type type) = 0;
  /// `p|q`, or `p` alone: appends two, the second a sink when it is missing.
  virtual void out_pair(Type first, Type second) = 0;
  /// A predicate to read, `!p` allowed: the negation goes to the returned bool.
  virtual bool in_predicate() = 0;
  /// `[base + offset]`: appends the base (a 32- or 64-bit register, a symbol or an immediate), returns the offset to be
  /// added in bytes.
  virtual int64_t address() = 0;
  /// `[map, {c0, c1, ...}]`: appends the map's address and the coordinates; returns how many coordinates.
  virtual int tensor_address() = 0;
  /// The text of the next operand is an immediate: its value. Error when it is not.
  virtual int64_t immediate() = 0;
  /// True when the next operand is an immediate, an address, a brace list, or `_`.
  virtual bool next_is_immediate() const = 0;
  virtual bool next_is_address() const = 0;
  virtual bool next_is_vector() const = 0;
  virtual bool next_is_sink() const = 0;
  /// `p` or `!p`.
  virtual bool next_is_predicate() const = 0;
  /// Parts of the next operand's brace list; 0 when it is not one.
  virtual int next_vector_size() const = 0;
  /// Bytes of the register (its declaration) that is the operand at `index` of the flattened list: what `wider` let in.
  /// 0 for a constant or a sink.
  virtual uint32_t register_bytes(int index) const = 0;
  /// The next operand names a label of the function (bra), a function (call).
  virtual void label() = 0;
  /// For call: `(results), name, (params)` in its forms; fills Inst::target and `detail`.
  virtual void call() = 0;
  /// For brx.idx: a list of labels declared by .branchtargets; fills `detail` with std::vector<int32_t> of pcs.
  virtual void label_list() = 0;
  /// The operand at `index` of the flattened list holds the mask of lanes that must be together (flag kMembers).
  virtual void member_mask(int index) = 0;

  /// What the handler finds in Inst::imm[0..3].
  virtual void imm(int index, int64_t value) = 0;
  /// Owned by the program, found in Inst::detail.
  virtual void detail(std::shared_ptr<const void> value) = 0;
  virtual void emit(Handler handler) = 0;

  /// "line 12: shl.b8: ...": unsupported (the simulator's limit) or invalid (not PTX).
  [[noreturn]] void unsupported(const std::string& message) const {
    throw PtxError{attend::StatusCode::unsupported, line(), opcode_text() + ": " + message};
  }
  [[noreturn]] void invalid(const std::string& message) const {
    throw PtxError{attend::StatusCode::invalid_argument, line(), opcode_text() + ": " + message};
  }

 protected:
  /// Of the instruction: its line, and its opcode with all modifiers.
  virtual int32_t line() const = 0;
  virtual std::string opcode_text() const = 0;
};

/// The handler of the operation's width in bytes.
inline Handler by_bytes(Type type, Handler two, Handler four, Handler eight) {
  return type_bytes(type) == 8 ? eight : type_bytes(type) == 4 ? four : two;
}

}  // namespace ptxsim
