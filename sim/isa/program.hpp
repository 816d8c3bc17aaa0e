// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/isa/type.hpp"
#include "sim/ptxsim.hpp"

// A module after lowering: what the machine executes.
namespace ptxsim {

struct Step;    // machine/step.hpp
struct IsaRow;  // isa/isa.hpp

/// State spaces. `generic` addresses are told apart when they are used.
enum class Space : uint8_t { generic, global, shared, shared_cluster, local, param, constant };

/// What a handler tells the machine.
enum class Outcome : uint8_t {
  next,     ///< go on behind this instruction
  jumped,   ///< the handler set the pc, or the splits, itself
  blocked,  ///< the split waits (Step::split.wait is set); the pc was moved behind the instruction unless `retry`
  retry,    ///< not done: park the split and run this instruction again later
};
using Handler = Outcome (*)(Step&);

/// A register's place in the warp's file: `slot` counts units of 32 lanes x 4 bytes. Immediates, special registers and
/// symbols are read-only slots of the same file, so that handlers know one kind of operand. `_` is a slot of the
/// function's own that no instruction reads: handlers may write it, or look at sink() and do less.
struct Operand {
  uint32_t slot = 0;
  uint8_t units = 1;         ///< 2: 32 lanes x 8 bytes; 4: 32 lanes x 16 bytes
  bool is_register = false;  ///< false: constant, special register or sink
  bool is_sink = false;      ///< `_`
  bool sink() const { return is_sink; }
};

/// One instruction, ready to run.
struct Inst {
  Handler run = nullptr;
  const IsaRow* row = nullptr;
  bool reads_clock = false;  ///< an operand is %clock, %clock64 or %globaltimer: refreshed before it runs
  int32_t line = 0;          ///< of the PTX text
  int32_t source = -1;       ///< index into Program::sources; -1: none
  int32_t guard = -1;        ///< slot of the predicate; -1: none
  bool guard_negated = false;
  uint16_t operand_count = 0;
  uint32_t first_operand = 0;  ///< into Program::operands, in the order of the text, vectors and addresses flattened
  /// Registers (not constants) that are read and written, into Program::touched: reads first. Guard included in reads.
  uint32_t first_touched = 0;
  uint16_t read_count = 0, write_count = 0;
  int16_t member_mask = -1;      ///< place of the operand with the mask of lanes that must be together
  int32_t target = -1;           ///< pc of a branch; index of the function of a call
  std::array<int64_t, 4> imm{};  ///< meaning by opcode: address offsets, shapes, counts, flags
  const void* detail = nullptr;  ///< more, owned by Program::details; type by opcode
};

/// Inst::detail of a call. Arguments and results are .param variables of the caller's frame, in the callee's order;
/// Inst::target is the function's index, or -1 for one of the device's runtime library (vprintf, __assertfail), known
/// by its name.
struct CallDetail {
  std::string name;
  std::vector<uint32_t> results, params;  ///< offsets in the caller's frame
};

/// A variable of the module.
struct Variable {
  std::string name;
  Space space = Space::global;
  uint64_t bytes = 0;
  uint32_t align = 1;
  std::vector<std::byte> initial;  ///< of a global or constant; may be shorter than `bytes`: the rest is zeros
  struct Relocation {
    uint64_t at;
    std::string symbol;
    int64_t addend;
  };  ///< a 64-bit address stored in `initial`
  std::vector<Relocation> relocations;
  uint64_t offset = 0;  ///< shared: in the window; local and param: in the thread's frame
};

struct Function {
  std::string name;
  bool is_entry = false;
  EntryInfo entry;  ///< of an entry
  int32_t first_pc = 0, end_pc = 0;
  uint32_t units = 0;  ///< size of a warp's register file for this function
  /// Contents of read-only slots.
  struct Constant {
    uint32_t slot;
    uint8_t units;
    uint64_t value;
  };
  std::vector<Constant> constants;
  /// Slots whose value depends on lane, warp, CTA or launch: "%tid.x". Filled before the function starts.
  struct Special {
    uint32_t slot;
    uint8_t units;
    std::string name;
  };
  std::vector<Special> specials;
  /// Slots that hold a global or constant variable's address, known when the module is on a device.
  struct SymbolSlot {
    uint32_t slot;
    std::string symbol;
    int64_t addend;
  };
  std::vector<SymbolSlot> symbols;
  /// Slots that hold the address of a variable of the thread's frame: the frame's base plus `offset`, in local memory.
  /// With `param` (a .param variable of a call, a parameter or result of a .func) the machine adds kFrameParam:
  /// ld.param and st.param see by it that the address is not one of the kernel's parameter block, whose addresses are
  /// plain constants (the offsets).
  struct LocalSlot {
    uint32_t slot;
    uint8_t units;
    uint32_t offset;
    bool param;
  };
  std::vector<LocalSlot> locals;
  uint32_t local_bytes = 0;  ///< of each thread's frame: .local variables, and .param variables of calls
  uint32_t local_align = 1;
  std::vector<Variable> frame;  ///< what local_bytes consists of
  /// Parameters and results of a .func, offsets into the callee's frame.
  std::vector<Variable> params, results;
  uint32_t static_shared_bytes =
      0;  ///< of an entry: module and body, window offset 1024 included in each variable's `offset`
  uint32_t dynamic_shared_offset = 1024;
};

struct Program {
  std::string name;
  std::string version, target;
  std::vector<Function> functions;
  std::vector<Variable> variables;  ///< global and constant
  std::vector<Inst> code;           ///< of all functions
  std::vector<Operand> operands;
  std::vector<Operand> touched;
  std::vector<std::string> lines;  ///< the text, for reports
  struct Source {
    std::string file;
    int32_t line = 0;
    int32_t caller = -1;  ///< index of the place where this one was inlined; -1: none
  };
  std::vector<Source> sources;
  /// "a.cuh:5, inlined at /path/b.cu:17"; empty for -1.
  std::string source_text(int32_t source) const;
  std::vector<std::shared_ptr<const void>> details;
  std::vector<EntryInfo> entries;

  std::span<const Operand> operands_of(const Inst& inst) const {
    return {operands.data() + inst.first_operand, inst.operand_count};
  }
  std::span<const Operand> reads_of(const Inst& inst) const {
    return {touched.data() + inst.first_touched, inst.read_count};
  }
  std::span<const Operand> writes_of(const Inst& inst) const {
    return {touched.data() + inst.first_touched + inst.read_count, inst.write_count};
  }
  const Function* function(std::string_view function_name) const;
};

/// Marks addresses of space `param` that lie in the thread's frame: local memory at the address less this bit.
inline constexpr uint32_t kFrameParam = uint32_t{1} << 31;

/// The shared window starts here: the hardware keeps the first KiB.
inline constexpr uint32_t kSharedWindow = 1024;
inline constexpr uint32_t kMaxSharedBytes = 232448;

}  // namespace ptxsim
