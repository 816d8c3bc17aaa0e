// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "sim/hazard/clock.hpp"
#include "sim/isa/matrix_elements.hpp"
#include "sim/machine/async.hpp"
#include "sim/machine/machine.hpp"
#include "sim/machine/warp.hpp"

// Asynchronous products of the four warps of a warpgroup: who has issued what, which groups are pending, and who owns
// the accumulators meanwhile.
namespace ptxsim {

inline constexpr uint32_t kGroupWarps = 4;
inline constexpr uint32_t kGroupRows = 64;

/// Inst::detail of wgmma.mma_async. Its operands: D, A (four registers or a descriptor), the descriptor of B, and the
/// predicate scale-d unless it is an immediate.
struct WgmmaForm {
  uint32_t n = 8, k = 16;
  Type d = Type::f32, a = Type::f16, b = Type::f16;
  bool a_in_registers = false, a_mn_major = false, b_mn_major = false;
  bool satfinite = false;
  bool negative = false;  ///< the product of imm-scale-a and imm-scale-b
  int32_t scale_d = -1;   ///< an immediate's value; -1: the predicate says
  bool scale_d_negated = false;
  uint32_t d_registers = 4;

  uint32_t a_operand() const { return d_registers; }
  uint32_t b_operand() const { return d_registers + (a_in_registers ? 4 : 1); }
  bool same_shape(const WgmmaForm& other) const { return n == other.n && k == other.k && d == other.d; }
  std::string text() const;
};

/// Floats in lines of the cache, uninitialised.
class FloatBuffer {
 public:
  void reserve(size_t floats) {
    if (floats > size_) lines_ = std::make_unique_for_overwrite<Line[]>((floats + 15) / 16);
    size_ = std::max(size_, floats);
  }
  float* data() { return lines_[0].value.data(); }

 private:
  struct alignas(64) Line {
    std::array<float, 16> value;
  };
  std::unique_ptr<Line[]> lines_;
  size_t size_ = 0;
};

/// D of one or several wgmmas in flight. While a warp has one in flight, the values are here and its registers hold a
/// NaN; a wgmma that names the same registers meanwhile goes on with the values here.
struct Accumulator {
  const Function* function = nullptr;
  std::vector<uint32_t> slots;
  FloatBuffer image;  ///< [4 warps][slots][32 lanes]
  struct Member {
    uint32_t in_flight = 0;           ///< wgmmas issued by the warp that have not taken effect
    uint32_t held = 0;                ///< wgmmas issued by the warp for which it has not waited
    uint32_t epoch = 0;               ///< Warp::wgmma_epoch of the last
    const WgmmaForm* form = nullptr;  ///< of the last
  };
  std::array<Member, kGroupWarps> members;
  std::deque<uint64_t> order;  ///< wgmmas that have not taken effect: they do in this order
};

class Warpgroup;

/// One wgmma.mma_async of a warpgroup.
class WgmmaOp : public AsyncOp {
 public:
  WgmmaOp(Machine& machine, Warpgroup& group, uint64_t sequence)
      : machine_(machine), group_(group), sequence_(sequence) {}
  void read(uint32_t part) override;
  void write(uint32_t part) override;
  void complete() override;
  bool may_start() const override { return accumulator->order.front() == sequence_; }
  std::string describe() const override;
  uint64_t sequence() const { return sequence_; }

  const Inst* inst = nullptr;
  const WgmmaForm* form = nullptr;
  std::array<uint64_t, 2> descriptor{};         ///< of A and B
  std::array<std::vector<uint32_t>, 2> chunks;  ///< addresses of A and B in shared memory
  bool scale_d = true;
  Accumulator* accumulator = nullptr;
  std::array<std::shared_ptr<Frame>, kGroupWarps> frames;  ///< whose registers; null: the warp has not issued it yet
  Clocks known;                                            ///< to every warp that has issued it

 private:
  Machine& machine_;
  Warpgroup& group_;
  uint64_t sequence_;
  FloatBuffer a_, b_;
};

/// The wgmmas of four neighbouring warps. A wgmma takes effect when all four have issued it, and a wait covers all of
/// it: kernels release a buffer by one thread of the warpgroup once that thread's wait has returned.
class Warpgroup {
 public:
  /// The warpgroup of the step's warp; H20 ends the launch where the CTA has no full one.
  static Warpgroup& of(const Step& step);

  void issue(const Step& step);
  void commit(const Warp& warp);
  /// The first wgmma that need not be done when at most `newest` groups of the warp may be pending.
  uint64_t limit(const Warp& warp, uint32_t newest) const;
  bool done(uint64_t limit) const;
  /// The warp's wait is over: its registers are its own again.
  void pass(Warp& warp, uint64_t limit);
  void completed(uint64_t sequence);
  /// H06 for what no wait has covered.
  void exit(Machine& machine, Cta& cta) const;
  uint32_t first_warp() const { return first_warp_; }
  Cta& cta() const { return cta_; }

 private:
  Warpgroup(Cta& cta, uint32_t first_warp);
  WgmmaOp& next(const Step& step);
  void begin(const Step& step, WgmmaOp& op);
  void compare(const Step& step, const WgmmaOp& op) const;
  void take_registers(const Step& step, WgmmaOp& op);
  void launch(const Step& step, std::unique_ptr<WgmmaOp> op);
  Accumulator& accumulator_of(const Step& step, const WgmmaForm& form);

  /// What a warp has issued and not waited for.
  struct Held {
    uint64_t sequence;
    const Inst* inst;
    const WgmmaForm* form;
    Accumulator* accumulator;
    std::shared_ptr<Frame> frame;
  };
  struct Member {
    uint64_t next = 0;            ///< number of wgmmas issued
    std::deque<uint64_t> groups;  ///< committed: each ends before this wgmma
    std::deque<Held> held;
  };
  Cta& cta_;
  uint32_t first_warp_;
  ActorId actor_;  ///< whose tick n + 1 is the n-th wgmma
  std::array<Member, kGroupWarps> members_;
  std::vector<std::unique_ptr<Accumulator>> accumulators_;
  struct Progress {
    std::unique_ptr<WgmmaOp> gathering;  ///< not yet issued by all warps
    bool done = false;
  };
  std::deque<Progress> progress_;  ///< from the oldest wgmma that is not done
  uint64_t oldest_ = 0;
};

}  // namespace ptxsim
