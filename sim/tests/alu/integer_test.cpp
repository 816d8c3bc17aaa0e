// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "sim/tests/alu/instruction.hpp"

namespace ptxsim::test {
namespace {

__extension__ using Big = __int128;
__extension__ using UnsignedBig = unsigned __int128;

/// A C++ integer type with its PTX name and register kind.
template <class T>
std::string name_of() {
  return (std::is_signed_v<T> ? "s" : "u") + std::to_string(sizeof(T) * 8);
}
template <class T>
std::string kind_of() {
  return sizeof(T) == 2 ? "h" : sizeof(T) == 4 ? "r" : "d";
}
template <class T>
Big big(T x) {
  return static_cast<Big>(x);
}
Big floor_shift(Big x, int bits) { return x >> bits; }

template <class F>
void for_all_integers(F f) {
  f(uint16_t{}), f(int16_t{}), f(uint32_t{}), f(int32_t{}), f(uint64_t{}), f(int64_t{});
}
template <class F>
void for_wide_integers(F f) {
  f(uint32_t{}), f(int32_t{}), f(uint64_t{}), f(int64_t{});
}

template <class T, class F>
Case of_two(const std::string& opcode, F f) {
  const std::string k = kind_of<T>();
  return map<T, T, T>(opcode + "." + name_of<T>() + " $0, $1, $2;", k, k + k,
                      [f](T a, T b) { return static_cast<T>(f(big(a), big(b))); });
}

TEST(alu_integer, sums_quotients_and_order) {
  std::vector<Case> cases;
  for_all_integers([&]<class T>(T) {
    cases.push_back(of_two<T>("add", [](Big a, Big b) { return a + b; }));
    cases.push_back(of_two<T>("sub", [](Big a, Big b) { return a - b; }));
    cases.push_back(
        of_two<T>("mul.lo", [](Big a, Big b) { return static_cast<UnsignedBig>(a) * static_cast<UnsignedBig>(b); }));
    cases.push_back(of_two<T>("min", [](Big a, Big b) { return a < b ? a : b; }));
    cases.push_back(of_two<T>("max", [](Big a, Big b) { return a < b ? b : a; }));
    // By zero: all ones, and the dividend. -2^(n-1) / -1 wraps.
    cases.push_back(of_two<T>("div", [](Big a, Big b) { return b == 0 ? Big{-1} : a / b; }));
    cases.push_back(of_two<T>("rem", [](Big a, Big b) { return b == 0 ? a : a % b; }));
    const std::string k = kind_of<T>();
    cases.push_back(map<T, T, T, T>("sad." + name_of<T>() + " $0, $1, $2, $3;", k, k + k + k, [](T a, T b, T c) {
      const Big difference = big(a) - big(b);
      return static_cast<T>(big(c) + (difference < 0 ? -difference : difference));
    }));
    if constexpr (std::is_signed_v<T>) {
      cases.push_back(map<T, T>("neg." + name_of<T>() + " $0, $1;", k, k, [](T a) { return static_cast<T>(-big(a)); }));
      cases.push_back(map<T, T>("abs." + name_of<T>() + " $0, $1;", k, k,
                                [](T a) { return static_cast<T>(a < 0 ? -big(a) : big(a)); }));
    }
  });
  check(cases);
}

TEST(alu_integer, products) {
  std::vector<Case> cases;
  for_all_integers([&]<class T>(T) {
    constexpr int kBits = sizeof(T) * 8;
    const std::string k = kind_of<T>(), n = name_of<T>();
    // The upper half of 128-bit products needs care: 64 x 64 unsigned does not fit a signed Big.
    const auto high = [](T a, T b) {
      if constexpr (std::is_signed_v<T>)
        return static_cast<T>(floor_shift(big(a) * big(b), kBits));
      else
        return static_cast<T>((static_cast<UnsignedBig>(a) * b) >> kBits);
    };
    cases.push_back(map<T, T, T>("mul.hi." + n + " $0, $1, $2;", k, k + k, high));
    cases.push_back(map<T, T, T, T>("mad.hi." + n + " $0, $1, $2, $3;", k, k + k + k,
                                    [high](T a, T b, T c) { return static_cast<T>(big(high(a, b)) + big(c)); }));
    cases.push_back(map<T, T, T, T>("mad.lo." + n + " $0, $1, $2, $3;", k, k + k + k, [](T a, T b, T c) {
      return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b) + static_cast<uint64_t>(c));
    }));
  });
  const auto wide = [&]<class T, class W>(T, W) {
    const std::string k = kind_of<T>(), w = kind_of<W>(), n = name_of<T>();
    cases.push_back(map<W, T, T>("mul.wide." + n + " $0, $1, $2;", w, k + k,
                                 [](T a, T b) { return static_cast<W>(big(a) * big(b)); }));
    cases.push_back(map<W, T, T, W>("mad.wide." + n + " $0, $1, $2, $3;", w, k + k + w,
                                    [](T a, T b, W c) { return static_cast<W>(big(a) * big(b) + big(c)); }));
  };
  wide(uint16_t{}, uint32_t{}), wide(int16_t{}, int32_t{}), wide(uint32_t{}, uint64_t{}), wide(int32_t{}, int64_t{});
  const auto low24 = [](Big x, bool is_signed) {
    return is_signed && (x & 0x800000) != 0 ? (x & 0xffffff) - 0x1000000 : x & 0xffffff;
  };
  for (const bool is_signed : {false, true}) {
    for (const bool high : {false, true}) {
      const std::string n = std::string(high ? ".hi" : ".lo") + (is_signed ? ".s32" : ".u32");
      const auto product = [=](uint32_t a, uint32_t b) {
        const Big full = low24(a, is_signed) * low24(b, is_signed);
        return static_cast<uint32_t>(high ? floor_shift(full, 16) : full);
      };
      cases.push_back(map<uint32_t, uint32_t, uint32_t>("mul24" + n + " $0, $1, $2;", "r", "rr", product));
      cases.push_back(map<uint32_t, uint32_t, uint32_t, uint32_t>(
          "mad24" + n + " $0, $1, $2, $3;", "r", "rrr",
          [=](uint32_t a, uint32_t b, uint32_t c) { return product(a, b) + c; }));
    }
  }
  check(cases);
}

int32_t clamp_to_s32(Big x) {
  constexpr Big kLow = std::numeric_limits<int32_t>::min(), kHigh = std::numeric_limits<int32_t>::max();
  return static_cast<int32_t>(x < kLow ? kLow : x > kHigh ? kHigh : x);
}

TEST(alu_integer, saturation_and_relu) {
  using I = int32_t;
  const auto high24 = [](I a, I b) {
    const auto cut = [](I x) {
      return Big{(static_cast<int64_t>(x) & 0xffffff) - ((x & 0x800000) != 0 ? 0x1000000 : 0)};
    };
    return floor_shift(cut(a) * cut(b), 16);
  };
  check({
      map<I, I, I>("add.sat.s32 $0, $1, $2;", "r", "rr", [](I a, I b) { return clamp_to_s32(big(a) + b); }),
      map<I, I, I>("sub.sat.s32 $0, $1, $2;", "r", "rr", [](I a, I b) { return clamp_to_s32(big(a) - b); }),
      map<I, I, I, I>("mad.hi.sat.s32 $0, $1, $2, $3;", "r", "rrr",
                      [](I a, I b, I c) { return clamp_to_s32(floor_shift(big(a) * b, 32) + c); }),
      map<I, I, I, I>("mad24.hi.sat.s32 $0, $1, $2, $3;", "r", "rrr",
                      [=](I a, I b, I c) { return clamp_to_s32(Big{static_cast<I>(high24(a, b))} + c); }),
      map<I, I, I>("min.relu.s32 $0, $1, $2;", "r", "rr", [](I a, I b) { return a < 0 || b < 0 ? 0
                                                                                : a < b        ? a
                                                                                               : b; }),
      map<I, I, I>("max.relu.s32 $0, $1, $2;", "r", "rr", [](I a, I b) { return a < 0 && b < 0 ? 0
                                                                                : a < b        ? b
                                                                                               : a; }),
  });
}

template <class T, class F>
Case packed(const std::string& opcode, F f) {
  return map<uint32_t, uint32_t, uint32_t>(opcode + " $0, $1, $2;", "r", "rr", [f](uint32_t a, uint32_t b) {
    const T high = static_cast<T>(f(static_cast<T>(a >> 16), static_cast<T>(b >> 16)));
    const T low = static_cast<T>(f(static_cast<T>(a & 0xffff), static_cast<T>(b & 0xffff)));
    return uint32_t{static_cast<uint16_t>(high)} * 65536u + static_cast<uint16_t>(low);
  });
}

TEST(alu_integer, packed_pairs) {
  const auto sum = [](int a, int b) { return a + b; };
  const auto smaller = [](int a, int b) { return a < b ? a : b; };
  const auto larger = [](int a, int b) { return a > b ? a : b; };
  check({
      packed<uint16_t>("add.u16x2", sum),
      packed<int16_t>("add.s16x2", sum),
      packed<uint16_t>("min.u16x2", smaller),
      packed<int16_t>("min.s16x2", smaller),
      packed<uint16_t>("max.u16x2", larger),
      packed<int16_t>("max.s16x2", larger),
      packed<int16_t>("min.relu.s16x2", [&](int a, int b) { return larger(smaller(a, b), 0); }),
      packed<int16_t>("max.relu.s16x2", [&](int a, int b) { return larger(larger(a, b), 0); }),
  });
}

TEST(alu_integer, carries_link_words) {
  const auto halves = [](UnsignedBig x) { return Words{static_cast<uint64_t>(x), static_cast<uint64_t>(x >> 64)}; };
  const auto of = [](const Words& in, size_t i) { return static_cast<UnsignedBig>(in[i + 1]) << 64 | in[i]; };
  std::vector<Case> cases;
  for (const std::string t : {"u64", "s64"}) {
    cases.push_back({"add.cc." + t + " $0, $2, $4; addc." + t + " $1, $3, $5;", "dd", "dddd",
                     [=](const Words& in) { return halves(of(in, 0) + of(in, 2)); }});
    cases.push_back({"sub.cc." + t + " $0, $2, $4; subc." + t + " $1, $3, $5;", "dd", "dddd",
                     [=](const Words& in) { return halves(of(in, 0) - of(in, 2)); }});
  }
  // Three words, so that the middle one both takes and gives a carry.
  for (const std::string op : {"add", "sub"}) {
    const std::string next = op == "add" ? "addc" : "subc";
    for (const std::string t : {"u32", "s32"}) {
      cases.push_back(
          {op + ".cc." + t + " $0, $3, $6; " + next + ".cc." + t + " $1, $4, $7; " + next + "." + t + " $2, $5, $8;",
           "rrr", "rrrrrr", [=](const Words& in) {
             const UnsignedBig a = static_cast<UnsignedBig>(in[2]) << 64 | in[1] << 32 | in[0];
             const UnsignedBig b = static_cast<UnsignedBig>(in[5]) << 64 | in[4] << 32 | in[3];
             const UnsignedBig c = op == "add" ? a + b : a - b;
             return Words{static_cast<uint32_t>(c), static_cast<uint32_t>(c >> 32), static_cast<uint32_t>(c >> 64)};
           }});
    }
  }
  // 64 x 64 to 128 bits from 32-bit pieces, as a compiler writes it.
  cases.push_back(
      {"mul.lo.u32 $0, $4, $6; mul.hi.u32 $1, $4, $6; mad.lo.cc.u32 $1, $4, $7, $1; madc.hi.u32 $2, $4, $7, 0; "
       "mad.lo.cc.u32 $1, $5, $6, $1; madc.hi.cc.u32 $2, $5, $6, $2; addc.u32 $3, 0, 0; "
       "mad.lo.cc.u32 $2, $5, $7, $2; madc.hi.u32 $3, $5, $7, $3;",
       "rrrr", "rrrr", [](const Words& in) {
         const UnsignedBig c = static_cast<UnsignedBig>(in[1] << 32 | in[0]) * (in[3] << 32 | in[2]);
         return Words{static_cast<uint32_t>(c), static_cast<uint32_t>(c >> 32), static_cast<uint32_t>(c >> 64),
                      static_cast<uint32_t>(c >> 96)};
       }});
  // The carry of mad is that of its sum.
  for_wide_integers([&]<class T>(T) {
    for (const bool high : {false, true}) {
      const std::string k = kind_of<T>(), n = std::string(high ? ".hi" : ".lo");
      using U = std::make_unsigned_t<T>;
      cases.push_back(
          {"mad" + n + ".cc." + name_of<T>() + " $0, $2, $3, $4; madc" + n + "." + name_of<T>() + " $1, $2, $3, $4;",
           k + k, k + k + k, [high](const Words& in) {
             const T a = as<T>(in[0]), b = as<T>(in[1]);
             U product = static_cast<U>(static_cast<U>(a) * static_cast<U>(b));
             if (high) {
               if constexpr (std::is_signed_v<T>)
                 product = static_cast<U>(floor_shift(big(a) * big(b), sizeof(T) * 8));
               else
                 product = static_cast<U>((static_cast<UnsignedBig>(a) * b) >> (sizeof(T) * 8));
             }
             const U sum = static_cast<U>(product + as<U>(in[2]));
             const bool carry = sum < product;
             return Words{word<U>(sum), word<U>(static_cast<U>(sum + (carry ? 1 : 0)))};
           }});
    }
  });
  check(cases);
}

TEST(alu_integer, refuses_what_is_not_ptx) {
  for (const char* text :
       {"add.sat.u32 %r0, %r1, %r2;", "sub.s16x2 %r0, %r1, %r2;", "add.b32 %r0, %r1, %r2;", "mul.u32 %r0, %r1, %r2;",
        "mad.lo.sat.s32 %r0, %r1, %r2, %r3;", "max.relu.u16x2 %r0, %r1, %r2;", "add.u32 %r0, %d1, %r2;",
        "add.u32 %r0, %r1;", "add.u32.u32 %r0, %r1, %r2;", "neg.u32 %r0, %r1;", "add.ftz.u32 %r0, %r1, %r2;",
        "add.cc.u16 %h0, %h1, %h2;", "mul.wide.u64 %d0, %d1, %d2;", "add.u8 %h0, %h1, %h2;",
        "mad.f32 %f0, %f1, %f2, %f3;", "max.f32 %f0, %f1, %f2, %f3;"})
    expect_refused(text);
}

}  // namespace
}  // namespace ptxsim::test
