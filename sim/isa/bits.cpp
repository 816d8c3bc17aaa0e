// SPDX-License-Identifier: Apache-2.0
// PTX ISA 9.7.1 "Integer arithmetic": popc to bmsk, which look at single bits, and dp4a, dp2a.
#include <algorithm>
#include <bit>

#include "sim/isa/lanes.hpp"

namespace ptxsim {
namespace {

constexpr uint32_t kNotFound = ~0u;

template <class T>
Outcome popc(Step& s) {
  return map_lanes<uint32_t, T>(s, [](T a) { return std::popcount(a); });
}
template <class T>
Outcome clz(Step& s) {
  return map_lanes<uint32_t, T>(s, [](T a) { return std::countl_zero(a); });
}

/// The highest bit that differs from the sign (of unsigned types: from zero).
template <class T, bool shift_amount>
Outcome bfind(Step& s) {
  return map_lanes<uint32_t, T>(s, [](T a) -> uint32_t {
    const auto bits = static_cast<std::make_unsigned_t<T>>(a < 0 ? ~a : a);
    if (bits == 0) return kNotFound;
    const int zeros = std::countl_zero(bits);
    return static_cast<uint32_t>(shift_amount ? zeros : static_cast<int>(kBits<T>) - 1 - zeros);
  });
}

/// The place of the n-th set bit from `base` on, upwards for n > 0, downwards for n < 0; n = 0 asks about `base`
/// itself.
constexpr uint32_t find_nth_set(uint32_t mask, uint32_t base, int32_t n) {
  const bool down = n < 0;
  uint32_t left = n == 0 ? 1 : down ? 0u - static_cast<uint32_t>(n) : static_cast<uint32_t>(n);
  for (uint32_t place = base; place < 32; place += down ? ~0u : 1u) {
    if ((mask >> place & 1) != 0 && --left == 0) return place;
    if (n == 0) break;
  }
  return kNotFound;
}
Outcome fns(Step& s) { return map_lanes<uint32_t, uint32_t, uint32_t, int32_t>(s, find_nth_set); }

template <class T>
constexpr T reverse(T a) {
  T swapped = a;
  T pattern = static_cast<T>(~T{0});
  for (uint32_t width = kBits<T> / 2; width != 0; width /= 2) {
    pattern ^= static_cast<T>(pattern << width);
    swapped = static_cast<T>((swapped >> width & pattern) | (swapped << width & ~pattern));
  }
  return swapped;
}
template <class T>
Outcome brev(Step& s) {
  return map_lanes<T, T>(s, reverse<T>);
}

template <class T>
constexpr T low_mask(uint32_t bits) {
  return bits >= kBits<T> ? static_cast<T>(~T{0}) : static_cast<T>((T{1} << bits) - 1);
}

/// Position and length count with their low 8 bits. Behind the top the field is filled with the sign of the type.
template <class T>
constexpr T extract(T a, uint32_t b, uint32_t c) {
  using Bits = std::make_unsigned_t<T>;
  constexpr uint32_t kTop = kBits<T> - 1;
  const uint32_t position = b & 0xff, length = c & 0xff;
  const Bits bits = static_cast<Bits>(a);
  const bool sign = std::is_signed_v<T> && length != 0 && (bits >> std::min(position + length - 1, kTop) & 1) != 0;
  const uint32_t there = position > kTop ? 0 : std::min(length, kTop + 1 - position);
  const Bits field = position > kTop ? Bits{0} : static_cast<Bits>(bits >> position & low_mask<Bits>(there));
  return static_cast<T>(sign ? field | static_cast<Bits>(~low_mask<Bits>(there)) : field);
}
template <class T>
Outcome bfe(Step& s) {
  return map_lanes<T, T, uint32_t, uint32_t>(s, extract<T>);
}

template <class T>
constexpr T insert(T a, T b, uint32_t c, uint32_t d) {
  const uint32_t position = c & 0xff, length = d & 0xff;
  if (position >= kBits<T>) return b;
  const T field = static_cast<T>(low_mask<T>(length) << position);
  return static_cast<T>((a << position & field) | (b & ~field));
}
template <class T>
Outcome bfi(Step& s) {
  return map_lanes<T, T, T, uint32_t, uint32_t>(s, insert<T>);
}

template <bool is_signed, bool clamp>
Outcome szext(Step& s) {
  return map_lanes<uint32_t, uint32_t, uint32_t>(s, [](uint32_t a, uint32_t b) {
    if (clamp && b >= 32) return a;
    const uint32_t width = b & 31, field = low_mask<uint32_t>(width);
    const bool sign = is_signed && width != 0 && (a >> ((width - 1) & 31) & 1) != 0;
    return sign ? a | ~field : a & field;
  });
}

template <bool clamp>
Outcome bmsk(Step& s) {
  return map_lanes<uint32_t, uint32_t, uint32_t>(s, [](uint32_t a, uint32_t b) -> uint32_t {
    if (clamp && a >= 32) return 0;
    const uint32_t position = a & 31;
    const uint32_t width = clamp ? std::min(b, 32u) : b & 31;
    return low_mask<uint32_t>(position + width) & ~low_mask<uint32_t>(position);
  });
}

/// c plus products of the fields of a and b; signedness of each by its type.
template <class A, class B>
Outcome dp4a(Step& s) {
  return map_lanes<uint32_t, uint32_t, uint32_t, uint32_t>(s, [](uint32_t a, uint32_t b, uint32_t c) {
    for (uint32_t shift = 0; shift < 32; shift += 8) {
      const int32_t product = int32_t{static_cast<A>(a >> shift)} * int32_t{static_cast<B>(b >> shift)};
      c += static_cast<uint32_t>(product);
    }
    return c;
  });
}
template <class A, class B, bool high>
Outcome dp2a(Step& s) {
  return map_lanes<uint32_t, uint32_t, uint32_t, uint32_t>(s, [](uint32_t a, uint32_t b, uint32_t c) {
    for (uint32_t i = 0; i < 2; ++i) {
      const int32_t product =
          int32_t{static_cast<A>(a >> 16 * i)} * int32_t{static_cast<B>(b >> (8 * i + (high ? 16 : 0)))};
      c += static_cast<uint32_t>(product);
    }
    return c;
  });
}

Handler by_sign(bool a, bool b, Handler uu, Handler us, Handler su, Handler ss) {
  return a ? b ? ss : su : b ? us : uu;
}

/// .atype.btype of the dot products, then their operands; c and the result are signed when one of them is.
std::pair<bool, bool> dot_product_types(Decode& d) {
  const Type a = d.type({Type::u32, Type::s32}), b = d.type({Type::u32, Type::s32});
  const Type result = a == Type::u32 && b == Type::u32 ? Type::u32 : Type::s32;
  d.out(result), d.in(a), d.in(b), d.in(result);
  return {a == Type::s32, b == Type::s32};
}

constexpr std::initializer_list<Type> kBits32Or64 = {Type::b32, Type::b64};
constexpr std::initializer_list<Type> kIntegers32Or64 = {Type::u32, Type::s32, Type::u64, Type::s64};

template <bool shift_amount>
Handler bfind_handler(Type type) {
  return for_signed_or_unsigned(type, []<class T>(T) -> Handler {
    if constexpr (sizeof(T) < 4)
      return nullptr;
    else
      return &bfind<T, shift_amount>;
  });
}

}  // namespace

void decode_popc(Decode& d) {
  const Type type = d.type(kBits32Or64);
  d.out(Type::u32), d.in(type);
  d.emit(type == Type::b64 ? &popc<uint64_t> : &popc<uint32_t>);
}

void decode_clz(Decode& d) {
  const Type type = d.type(kBits32Or64);
  d.out(Type::u32), d.in(type);
  d.emit(type == Type::b64 ? &clz<uint64_t> : &clz<uint32_t>);
}

void decode_bfind(Decode& d) {
  const bool shift_amount = d.flag("shiftamt");
  const Type type = d.type(kIntegers32Or64);
  d.out(Type::u32), d.in(type);
  d.emit(shift_amount ? bfind_handler<true>(type) : bfind_handler<false>(type));
}

void decode_fns(Decode& d) {
  d.type({Type::b32});
  d.out(Type::b32), d.in(Type::b32), d.in(Type::b32), d.in(Type::s32);
  d.emit(&fns);
}

void decode_brev(Decode& d) {
  const Type type = d.type(kBits32Or64);
  d.out(type), d.in(type);
  d.emit(type == Type::b64 ? &brev<uint64_t> : &brev<uint32_t>);
}

void decode_bfe(Decode& d) {
  const Type type = d.type(kIntegers32Or64);
  d.out(type), d.in(type), d.in(Type::u32), d.in(Type::u32);
  d.emit(for_signed_or_unsigned(type, []<class T>(T) -> Handler {
    if constexpr (sizeof(T) < 4)
      return nullptr;
    else
      return &bfe<T>;
  }));
}

void decode_bfi(Decode& d) {
  const Type type = d.type(kBits32Or64);
  d.out(type), d.in(type), d.in(type), d.in(Type::u32), d.in(Type::u32);
  d.emit(type == Type::b64 ? &bfi<uint64_t> : &bfi<uint32_t>);
}

void decode_szext(Decode& d) {
  const bool clamp = d.must_be_one_of({"wrap", "clamp"}) == 1;
  const Type type = d.type({Type::u32, Type::s32});
  d.out(type), d.in(type), d.in(Type::u32);
  if (type == Type::s32) return d.emit(clamp ? &szext<true, true> : &szext<true, false>);
  d.emit(clamp ? &szext<false, true> : &szext<false, false>);
}

void decode_bmsk(Decode& d) {
  const bool clamp = d.must_be_one_of({"wrap", "clamp"}) == 1;
  d.type({Type::b32});
  d.out(Type::b32), d.in(Type::b32), d.in(Type::b32);
  d.emit(clamp ? &bmsk<true> : &bmsk<false>);
}

void decode_dp4a(Decode& d) {
  const auto [a, b] = dot_product_types(d);
  d.emit(by_sign(a, b, &dp4a<uint8_t, uint8_t>, &dp4a<uint8_t, int8_t>, &dp4a<int8_t, uint8_t>, &dp4a<int8_t, int8_t>));
}

void decode_dp2a(Decode& d) {
  const bool high = d.must_be_one_of({"lo", "hi"}) == 1;
  const auto [a, b] = dot_product_types(d);
  if (high)
    return d.emit(by_sign(a, b, &dp2a<uint16_t, uint8_t, true>, &dp2a<uint16_t, int8_t, true>,
                          &dp2a<int16_t, uint8_t, true>, &dp2a<int16_t, int8_t, true>));
  d.emit(by_sign(a, b, &dp2a<uint16_t, uint8_t, false>, &dp2a<uint16_t, int8_t, false>, &dp2a<int16_t, uint8_t, false>,
                 &dp2a<int16_t, int8_t, false>));
}

}  // namespace ptxsim
