// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <cstring>
#include <utility>

#include "sim/isa/decode.hpp"
#include "sim/machine/step.hpp"

// Loops over lanes for handlers whose lanes are independent. All 32 lanes are computed, into a buffer that cannot
// overlap the registers, so that the compiler vectorises the loop; then the running ones are stored. A function given
// to these must accept whatever bits the idle lanes hold.
namespace ptxsim {

template <class T>
constexpr typename Lanes<T>::Cell cell_of(T value) {
  if constexpr (sizeof(T) == 1)
    return std::bit_cast<uint8_t>(value);
  else if constexpr (sizeof(T) == 2)
    return std::bit_cast<uint16_t>(value);
  else
    return value;
}

template <class Cell>
struct alignas(64) Cells {
  Cell at[kLanes];
};

/// Writes the running lanes of operand `index`.
template <class Cell>
inline void commit(Step& s, int index, const Cells<Cell>& values) {
  Cell* to = s.lanes<Cell>(index).data();
  if (s.mask == kAllLanes) {
    std::memcpy(to, values.at, sizeof values.at);
  } else {
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      if ((s.mask >> lane & 1) != 0) to[lane] = values.at[lane];
    }
  }
}

/// Operand `index` = f(lane).
template <class D, class F>
inline void write_lanes(Step& s, int index, F f) {
  Cells<typename Lanes<D>::Cell> values;
  for (uint32_t lane = 0; lane < kLanes; ++lane) values.at[lane] = cell_of<D>(f(lane));
  commit(s, index, values);
}

/// Operand 0 = f(operand 1, operand 2, ...), which are of types S...
template <class D, class... S, class F>
inline Outcome map_lanes(Step& s, F f) {
  [&]<int... I>(std::integer_sequence<int, I...>) {
    [&](auto... sources) {
      write_lanes<D>(s, 0, [&](uint32_t lane) { return static_cast<D>(f(sources[lane]...)); });
    }(s.lanes<S>(I + 1)...);
  }
  (std::make_integer_sequence<int, static_cast<int>(sizeof...(S))>{});
  return Outcome::next;
}

/// The handler that `choose(T{})` names for the C++ type of an integer or bits type.
template <class F>
Handler for_signed_or_unsigned(Type type, F choose) {
  switch (type) {
    case Type::u8: return choose(uint8_t{});
    case Type::s8: return choose(int8_t{});
    case Type::u16: return choose(uint16_t{});
    case Type::s16: return choose(int16_t{});
    case Type::u32: return choose(uint32_t{});
    case Type::s32: return choose(int32_t{});
    case Type::u64: return choose(uint64_t{});
    case Type::s64: return choose(int64_t{});
    default: return nullptr;
  }
}
template <class F>
Handler for_bytes(Type type, F choose) {
  switch (type_bytes(type)) {
    case 2: return choose(uint16_t{});
    case 4: return choose(uint32_t{});
    case 8: return choose(uint64_t{});
    default: return nullptr;
  }
}

template <class T>
inline constexpr uint32_t kBits = sizeof(T) * 8;

/// The type that holds a product or a sum without loss, and the one of half the width.
template <class T>
struct WideType;
template <>
struct WideType<uint16_t> {
  using type = uint32_t;
};
template <>
struct WideType<int16_t> {
  using type = int32_t;
};
template <>
struct WideType<uint32_t> {
  using type = uint64_t;
};
template <>
struct WideType<int32_t> {
  using type = int64_t;
};
__extension__ using Unsigned128 = unsigned __int128;
__extension__ using Signed128 = __int128;
template <>
struct WideType<uint64_t> {
  using type = Unsigned128;
};
template <>
struct WideType<int64_t> {
  using type = Signed128;
};
template <class T>
using Wide = typename WideType<T>::type;

/// Arithmetic modulo 2^bits, signed types too.
template <class T>
constexpr T wrap_add(T a, T b) {
  return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
template <class T>
constexpr T wrap_sub(T a, T b) {
  return static_cast<T>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
template <class T>
constexpr T wrap_mul(T a, T b) {
  return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
template <class T>
constexpr T high_product(T a, T b) {
  return static_cast<T>((static_cast<Wide<T>>(a) * static_cast<Wide<T>>(b)) >> kBits<T>);
}

}  // namespace ptxsim
