// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.13 "Parallel synchronization": atom, red.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "sim/isa/memory_modifiers.hpp"
#include "sim/numeric/half.hpp"

namespace ptxsim {
namespace {

constexpr uint32_t kMaxParts = 8;

/// Inst::detail. Operands of atom: results, address, values, and for cas the new value; of red the same without
/// results.
struct Atomic {
  Space space;
  Order order;
  Scope scope;
  bool returns;
  bool swaps;  ///< cas: has a third value
  uint32_t parts;
  int64_t offset;
};

struct Wide {
  uint64_t low, high;
  friend bool operator==(const Wide&, const Wide&) = default;
};

// What the operations compute: `old` from memory, `b` and `c` from registers.

template <class T>
struct Add {
  using Bits = std::make_unsigned_t<T>;
  static Bits apply(Bits old, Bits b, Bits, Space) { return static_cast<Bits>(old + b); }
};
template <class T, bool largest>
struct Extreme {
  using Bits = std::make_unsigned_t<T>;
  static Bits apply(Bits old, Bits b, Bits, Space) {
    const T x = static_cast<T>(old), y = static_cast<T>(b);
    return static_cast<Bits>(largest ? std::max(x, y) : std::min(x, y));
  }
};
struct Increment {
  using Bits = uint32_t;
  static Bits apply(Bits old, Bits b, Bits, Space) { return old >= b ? 0 : old + 1; }
};
struct Decrement {
  using Bits = uint32_t;
  static Bits apply(Bits old, Bits b, Bits, Space) { return old == 0 || old > b ? b : old - 1; }
};
template <class T>
struct And {
  using Bits = T;
  static Bits apply(Bits old, Bits b, Bits, Space) { return old & b; }
};
template <class T>
struct Or {
  using Bits = T;
  static Bits apply(Bits old, Bits b, Bits, Space) { return old | b; }
};
template <class T>
struct Xor {
  using Bits = T;
  static Bits apply(Bits old, Bits b, Bits, Space) { return old ^ b; }
};
template <class T>
struct Exchange {
  using Bits = T;
  static Bits apply(Bits, Bits b, Bits, Space) { return b; }
};
template <class T>
struct Swap {
  using Bits = T;
  static Bits apply(Bits old, Bits b, Bits c, Space) { return old == b ? c : old; }
};

constexpr uint32_t kNan = 0x7fffffff;

float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }

/// "On global memory it flushes subnormal inputs and results to sign-preserving zero; on shared memory it does not."
struct AddF32 {
  using Bits = uint32_t;
  static Bits apply(Bits old, Bits b, Bits, Space space) {
    const float x = std::bit_cast<float>(old), y = std::bit_cast<float>(b);
    const float sum = space == Space::shared ? x + y : flushed(flushed(x) + flushed(y));
    return std::isnan(sum) ? kNan : std::bit_cast<uint32_t>(sum);
  }
};
struct AddF64 {
  using Bits = uint64_t;
  static Bits apply(Bits old, Bits b, Bits, Space) {
    return std::bit_cast<uint64_t>(std::bit_cast<double>(old) + std::bit_cast<double>(b));
  }
};

enum class HalfOp : uint8_t { add, min, max };

template <bool bf16, HalfOp op>
uint16_t half(uint16_t old, uint16_t b) {
  const float x = bf16 ? bf16_to_f32(old) : f16_to_f32(old), y = bf16 ? bf16_to_f32(b) : f16_to_f32(b);
  // The f32 sum of two halves rounds to the same half as the exact one: 24 bits are more than twice 11 and 2.
  if constexpr (op == HalfOp::add) return bf16 ? f32_to_bf16(x + y) : f32_to_f16(x + y);
  if (std::isnan(x) && std::isnan(y)) return 0x7fff;
  if (std::isnan(x) || std::isnan(y)) return std::isnan(x) ? b : old;
  const bool smaller = x < y || (x == y && std::signbit(x));
  return smaller == (op == HalfOp::min) ? old : b;
}
template <bool bf16, HalfOp op>
struct Half {
  using Bits = uint16_t;
  static Bits apply(Bits old, Bits b, Bits, Space) { return half<bf16, op>(old, b); }
};
template <bool bf16, HalfOp op>
struct HalfPair {
  using Bits = uint32_t;
  static Bits apply(Bits old, Bits b, Bits, Space) {
    return pack_halves(half<bf16, op>(low_half(old), low_half(b)), half<bf16, op>(high_half(old), high_half(b)));
  }
};

template <class Op>
Outcome run(Step& s) {
  using Bits = typename Op::Bits;
  const auto& atomic = *static_cast<const Atomic*>(s.inst.detail);
  const int parts = static_cast<int>(atomic.parts), at = atomic.returns ? parts : 0, values = at + 1;
  WarpAccess access;
  access.space = atomic.space;
  access.bytes = static_cast<uint32_t>(sizeof(Bits)) * atomic.parts;
  access.order = atomic.order;
  access.scope = atomic.scope;
  access.returns = atomic.returns;
  access.mask = s.mask;
  for_lanes(s.mask, [&](uint32_t lane) { access.address[lane] = s.address(at, lane, atomic.offset); });
  for (uint32_t rest = s.mask; rest != 0; rest &= rest - 1) {
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(rest));
    const Place place = begin_atomic(s, access, lane);
    std::array<Bits, kMaxParts> old, fresh;
    std::memcpy(old.data(), place.bytes, access.bytes);
    for (int part = 0; part < parts; ++part) {
      const Bits b = s.lanes<Bits>(values + part)[lane];
      const Bits c = atomic.swaps ? s.lanes<Bits>(values + parts)[lane] : b;
      fresh[static_cast<size_t>(part)] = Op::apply(old[static_cast<size_t>(part)], b, c, place.space);
    }
    std::memcpy(place.bytes, fresh.data(), access.bytes);
    end_atomic(s, access, lane, place);
    if (!atomic.returns) continue;
    for (int part = 0; part < parts; ++part)
      if (!s.sink(part)) s.lanes<Bits>(part).set(lane, old[static_cast<size_t>(part)]);
  }
  return Outcome::next;
}

enum class Name : int { add, min, max, inc, dec, and_, or_, xor_, exch, cas, none = -1 };
constexpr std::array kNames = {"add", "min", "max", "inc", "dec", "and", "or", "xor", "exch", "cas"};

template <class T>
Handler integer(Name name) {
  return name == Name::add   ? &run<Add<T>>
         : name == Name::min ? &run<Extreme<T, false>>
         : name == Name::max ? &run<Extreme<T, true>>
                             : nullptr;
}
template <class T>
Handler bitwise(Name name) {
  switch (name) {
    case Name::and_: return &run<And<T>>;
    case Name::or_: return &run<Or<T>>;
    case Name::xor_: return &run<Xor<T>>;
    case Name::exch: return &run<Exchange<T>>;
    case Name::cas: return &run<Swap<T>>;
    default: return nullptr;
  }
}
template <bool bf16, template <bool, HalfOp> class Form>
Handler halves(Name name) {
  return name == Name::add   ? &run<Form<bf16, HalfOp::add>>
         : name == Name::min ? &run<Form<bf16, HalfOp::min>>
         : name == Name::max ? &run<Form<bf16, HalfOp::max>>
                             : nullptr;
}

/// Null for a pair that the PTX ISA does not have.
Handler handler_of(Name name, Type type) {
  switch (type) {
    case Type::u32:
      return name == Name::inc ? &run<Increment> : name == Name::dec ? &run<Decrement> : integer<uint32_t>(name);
    case Type::s32: return integer<int32_t>(name);
    case Type::u64: return integer<uint64_t>(name);
    case Type::s64: return name == Name::add ? nullptr : integer<int64_t>(name);
    case Type::b16: return name == Name::cas ? &run<Swap<uint16_t>> : nullptr;
    case Type::b32: return bitwise<uint32_t>(name);
    case Type::b64: return bitwise<uint64_t>(name);
    case Type::b128: return name == Name::exch ? &run<Exchange<Wide>> : name == Name::cas ? &run<Swap<Wide>> : nullptr;
    case Type::f32: return name == Name::add ? &run<AddF32> : nullptr;
    case Type::f64: return name == Name::add ? &run<AddF64> : nullptr;
    case Type::f16: return halves<false, Half>(name);
    case Type::bf16: return halves<true, Half>(name);
    case Type::f16x2: return halves<false, HalfPair>(name);
    case Type::bf16x2: return halves<true, HalfPair>(name);
    default: return nullptr;
  }
}

Type element_type(Decode& d) {
  return d.type({Type::b16, Type::b32, Type::b64, Type::b128, Type::u32, Type::u64, Type::s32, Type::s64, Type::f32,
                 Type::f64, Type::f16, Type::bf16, Type::f16x2, Type::bf16x2});
}

bool is_half(Type type) {
  return type == Type::f16 || type == Type::bf16 || type == Type::f16x2 || type == Type::bf16x2;
}

/// Vectors exist in global memory, for f32 add and for halves, of 8 or 16 bytes.
void check_form(Decode& d, const MemoryModifiers& m, Name name, Type type, bool noftz) {
  const bool extreme_half = is_half(type) && name != Name::add;
  if (noftz != is_half(type)) d.invalid(noftz ? ".noftz is for halves" : "halves need .noftz");
  if (extreme_half && m.parts == 1) d.invalid("min and max of halves exist as vectors alone");
  if (m.parts == 1) return;
  const uint32_t bytes = m.parts * type_bytes(type);
  if ((!is_half(type) && type != Type::f32) || bytes > 16 || (m.space != Space::global && m.space != Space::generic))
    d.invalid("a vector that the instruction does not have");
}

void decode_atomic(Decode& d, bool returns) {
  MemoryModifiers m;
  Name name = Name::none;
  bool noftz = false;
  const auto read_modifiers = [&] {
    for (;;) {
      if (d.flag("noftz")) {
        noftz = true;
        continue;
      }
      bool named = false;
      for (size_t i = 0; i < kNames.size() && name == Name::none && !named; ++i) {
        if (!d.flag(kNames[i])) continue;
        name = static_cast<Name>(i);
        named = true;
      }
      if (!named && !m.read(d)) break;
    }
  };
  read_modifiers();
  const Type type = element_type(d);
  // The assembler takes the type of a vector in front of the operation, too: "atom.global.v4.f32.add".
  if (m.parts > 1) read_modifiers();
  const Handler handler = handler_of(name, type);
  if (name == Name::none || handler == nullptr || (!returns && (name == Name::exch || name == Name::cas)))
    d.invalid("an operation that this type does not have");
  if (m.ordered && (m.order == Order::weak || m.order == Order::is_volatile))
    d.invalid("an atomic operation is strong");
  if (!returns && (m.order == Order::acquire || m.order == Order::acq_rel))
    d.invalid("red returns nothing that could be acquired");
  if (m.space == Space::local || m.space == Space::param || m.space == Space::constant || m.non_coherent)
    d.invalid("an atomic operation works in global or shared memory");
  check_form(d, m, name, type, noftz);
  Atomic atomic{m.space,
                m.ordered ? m.order : Order::relaxed,
                m.scoped ? m.scope : Scope::gpu,
                returns,
                name == Name::cas,
                m.parts,
                0};
  const bool vector = m.parts > 1;
  const int parts = static_cast<int>(m.parts);
  const auto check = [&](int found) {
    if (found != parts) d.invalid("the vector has another number of registers than the instruction says");
  };
  if (returns) check(vector ? d.out_vector(type) : (d.out(type), 1));
  atomic.offset = d.address();
  check(vector ? d.in_vector(type) : (d.in(type), 1));
  if (name == Name::cas) d.in(type);
  m.read_policy(d);
  d.detail(std::make_shared<Atomic>(atomic));
  d.emit(handler);
}

}  // namespace

void decode_atom(Decode& d) { decode_atomic(d, true); }
void decode_red(Decode& d) { decode_atomic(d, false); }

}  // namespace ptxsim
