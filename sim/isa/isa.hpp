// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ptxsim {

class Decode;
struct Inst;

/// Classes of instructions: what `list` and `count` group by.
enum class IsaClass : uint8_t {
  integer,
  real,
  half,
  convert,
  compare,
  move,
  control,
  warp,
  barrier,
  mbarrier,
  memory,
  atomic,
  async_copy,
  bulk_copy,
  matrix,
  cluster,
  proxy,
  other,
};
inline constexpr size_t kIsaClasses = static_cast<size_t>(IsaClass::other) + 1;
const char* isa_class_name(IsaClass isa_class);

/// Properties that the machine looks at before it runs an instruction.
enum IsaFlag : uint32_t {
  kPlain = 0,
  /// All live lanes of the warp must be at this instruction (".aligned"): the machine parks a partial split until they
  /// are.
  kAligned = 1u << 0,
  /// The lanes of the member mask, the operand that the decoder named by Decode::member_mask(), must be here.
  kMembers = 1u << 1,
  /// A synchronisation instruction: the mutation runner deletes or weakens it.
  kSync = 1u << 2,
  /// The result of a wait (test_wait, try_wait): the mutation runner makes it always true.
  kWait = 1u << 3,
  /// Registers are checked by the handler itself (wgmma).
  kOwnRegisterCheck = 1u << 4,
  /// Copies a register: what was never written may be copied, and stays unwritten (compilers move undefined values).
  kCopy = 1u << 6,
  /// Accepted and without effect (prefetch, createpolicy, pragma-like).
  kNoEffect = 1u << 5,
};

/// One opcode of isa.def: base name and, where families differ by their first modifiers, those too
/// ("cp.async.bulk.tensor"). The longest row that begins the instruction's text wins.
struct IsaRow {
  const char* name;
  IsaClass isa_class;
  uint32_t flags;
  void (*decode)(Decode&);  ///< consumes modifiers and operands, names the handler; throws what Decode::fail says
  const char* chapter;      ///< of the PTX ISA document
};

std::span<const IsaRow> isa_rows();
/// Row of the dotted opcode text, e.g. "mbarrier.try_wait.parity.shared::cta.b64"; null when none begins it.
const IsaRow* isa_find(std::string_view opcode);

}  // namespace ptxsim
