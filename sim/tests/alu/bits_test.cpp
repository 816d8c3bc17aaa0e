// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/alu/instruction.hpp"

// Expected values by loops over single bits.
namespace ptxsim::test {
namespace {

using U = uint32_t;
using L = uint64_t;

template <class T>
bool bit(T x, uint64_t place) {
  return place < sizeof(T) * 8 && (static_cast<uint64_t>(x) >> place & 1) != 0;
}
template <class T>
T with_bit(T x, uint64_t place, bool value) {
  const T mask = static_cast<T>(T{1} << place);
  return static_cast<T>(value ? x | mask : x & ~mask);
}
template <class T, class F>
T from_bits(F f) {
  T out = 0;
  for (uint64_t i = 0; i < sizeof(T) * 8; ++i) out = with_bit<T>(out, i, f(i));
  return out;
}

template <class T>
int highest(T x, bool value) {
  for (int i = sizeof(T) * 8 - 1; i >= 0; --i) {
    if (bit(x, static_cast<uint64_t>(i)) == value) return i;
  }
  return -1;
}

template <class T>
void counts(std::vector<Case>& cases, const std::string& t, const std::string& k) {
  cases.push_back(map<U, T>("popc.b" + t + " $0, $1;", "r", k, [](T a) {
    U count = 0;
    for (uint64_t i = 0; i < sizeof(T) * 8; ++i) count += bit(a, i);
    return count;
  }));
  cases.push_back(map<U, T>("clz.b" + t + " $0, $1;", "r", k, [](T a) {
    return static_cast<U>(sizeof(T) * 8 - 1 - static_cast<size_t>(highest(a, true)));
  }));
  cases.push_back(map<T, T>("brev.b" + t + " $0, $1;", k, k, [](T a) {
    return from_bits<T>([&](uint64_t i) { return bit(a, sizeof(T) * 8 - 1 - i); });
  }));
  for (const bool is_signed : {false, true}) {
    for (const bool amount : {false, true}) {
      cases.push_back(map<U, T>(
          std::string("bfind") + (amount ? ".shiftamt" : "") + (is_signed ? ".s" : ".u") + t + " $0, $1;", "r", k,
          [=](T a) {
            const bool negative = is_signed && bit(a, sizeof(T) * 8 - 1);
            const int found = highest(a, !negative);
            return found < 0 ? ~0u : static_cast<U>(amount ? static_cast<int>(sizeof(T)) * 8 - 1 - found : found);
          }));
    }
    cases.push_back(map<T, T, U, U>(
        std::string("bfe") + (is_signed ? ".s" : ".u") + t + " $0, $1, $2, $3;", k, k + "ss", [=](T a, U b, U c) {
          const uint64_t position = b & 255, length = c & 255, top = sizeof(T) * 8 - 1;
          const bool fill =
              is_signed && length != 0 && bit(a, position + length - 1 < top ? position + length - 1 : top);
          return from_bits<T>(
              [&](uint64_t i) { return i < length && position + i <= top ? bit(a, position + i) : fill; });
        }));
  }
  cases.push_back(map<T, T, T, U, U>("bfi.b" + t + " $0, $1, $2, $3, $4;", k, k + k + "ss", [](T a, T b, U c, U d) {
    const uint64_t position = c & 255, length = d & 255;
    T out = b;
    for (uint64_t i = 0; i < length && position + i < sizeof(T) * 8; ++i)
      out = with_bit<T>(out, position + i, bit(a, i));
    return out;
  }));
}

TEST(alu_bits, counts_fields_and_order) {
  std::vector<Case> cases;
  counts<U>(cases, "32", "r");
  counts<L>(cases, "64", "d");
  check(cases);
}

TEST(alu_bits, nth_set_bit) {
  std::vector<Case> cases;
  for (int n = -5; n <= 5; ++n) {
    for (const U base : {0u, 1u, 13u, 31u}) {
      cases.push_back(
          map<U, U>("fns.b32 $0, $1, " + std::to_string(base) + ", " + std::to_string(n) + ";", "r", "r", [=](U mask) {
            std::vector<U> places;
            if (n >= 0) {
              for (U i = base; i < (n == 0 ? base + 1 : 32); ++i) {
                if (bit(mask, i)) places.push_back(i);
              }
            } else {
              for (int i = static_cast<int>(base); i >= 0; --i) {
                if (bit(mask, static_cast<uint64_t>(i))) places.push_back(static_cast<U>(i));
              }
            }
            const size_t wanted = n == 0 ? 0 : static_cast<size_t>(n < 0 ? -n : n) - 1;
            return wanted < places.size() ? places[wanted] : ~0u;
          }));
    }
  }
  check(cases);
}

TEST(alu_bits, extension_and_masks) {
  std::vector<Case> cases;
  for (const bool clamp : {false, true}) {
    const std::string mode = clamp ? ".clamp" : ".wrap";
    for (const bool is_signed : {false, true}) {
      cases.push_back(
          map<U, U, U>("szext" + mode + (is_signed ? ".s32" : ".u32") + " $0, $1, $2;", "r", "rs", [=](U a, U b) {
            if (clamp && b > 31) return a;
            const U width = b % 32;
            return from_bits<U>(
                [&](uint64_t i) { return i < width ? bit(a, i) : is_signed && width != 0 && bit(a, width - 1); });
          }));
    }
    cases.push_back(map<U, U, U>("bmsk" + mode + ".b32 $0, $1, $2;", "r", "ss", [=](U a, U b) {
      const uint64_t position = clamp ? a : a % 32, width = clamp ? b : b % 32;
      return from_bits<U>([&](uint64_t i) { return i >= position && i < position + width; });
    }));
  }
  check(cases);
}

TEST(alu_bits, dot_products) {
  std::vector<Case> cases;
  const auto part = [](U x, U index, U bits, bool is_signed) {
    const int64_t value = x >> index * bits & ((1u << bits) - 1);
    return is_signed && value >= int64_t{1} << (bits - 1) ? value - (int64_t{1} << bits) : value;
  };
  for (const bool sa : {false, true}) {
    for (const bool sb : {false, true}) {
      const std::string types = std::string(sa ? ".s32" : ".u32") + (sb ? ".s32" : ".u32") + " $0, $1, $2, $3;";
      cases.push_back(map<U, U, U, U>("dp4a" + types, "r", "rrr", [=](U a, U b, U c) {
        int64_t sum = c;
        for (U i = 0; i < 4; ++i) sum += part(a, i, 8, sa) * part(b, i, 8, sb);
        return static_cast<U>(sum);
      }));
      for (const U high : {0u, 1u}) {
        cases.push_back(map<U, U, U, U>((high ? "dp2a.hi" : "dp2a.lo") + types, "r", "rrr", [=](U a, U b, U c) {
          return static_cast<U>(c + part(a, 0, 16, sa) * part(b, 2 * high, 8, sb) +
                                part(a, 1, 16, sa) * part(b, 2 * high + 1, 8, sb));
        }));
      }
    }
  }
  check(cases);
}

template <class T>
void logic(std::vector<Case>& cases, const std::string& t, const std::string& k) {
  cases.push_back(map<T, T, T>("and.b" + t + " $0, $1, $2;", k, k + k, [](T a, T b) {
    return from_bits<T>([&](uint64_t i) { return bit(a, i) && bit(b, i); });
  }));
  cases.push_back(map<T, T, T>("or.b" + t + " $0, $1, $2;", k, k + k, [](T a, T b) {
    return from_bits<T>([&](uint64_t i) { return bit(a, i) || bit(b, i); });
  }));
  cases.push_back(map<T, T, T>("xor.b" + t + " $0, $1, $2;", k, k + k, [](T a, T b) {
    return from_bits<T>([&](uint64_t i) { return bit(a, i) != bit(b, i); });
  }));
  cases.push_back(map<T, T>("not.b" + t + " $0, $1;", k, k,
                            [](T a) { return from_bits<T>([&](uint64_t i) { return !bit(a, i); }); }));
  cases.push_back(map<T, T>("cnot.b" + t + " $0, $1;", k, k, [](T a) { return static_cast<T>(highest(a, true) < 0); }));
  cases.push_back(map<T, T, U>("shl.b" + t + " $0, $1, $2;", k, k + "s", [](T a, U b) {
    return from_bits<T>([&](uint64_t i) { return i >= b && bit(a, i - b); });
  }));
  for (const std::string s : {"b", "u"})
    cases.push_back(map<T, T, U>("shr." + s + t + " $0, $1, $2;", k, k + "s",
                                 [](T a, U b) { return from_bits<T>([&](uint64_t i) { return bit(a, i + b); }); }));
  cases.push_back(map<T, T, U>("shr.s" + t + " $0, $1, $2;", k, k + "s", [](T a, U b) {
    const uint64_t top = sizeof(T) * 8 - 1;
    return from_bits<T>([&](uint64_t i) { return bit(a, i + b < top ? i + b : top); });
  }));
}

TEST(alu_bits, logic_and_shifts) {
  std::vector<Case> cases;
  logic<uint16_t>(cases, "16", "h");
  logic<U>(cases, "32", "r");
  logic<L>(cases, "64", "d");
  const auto predicates = [&](const std::string& op, auto f) {
    cases.push_back({op + ".pred $0, $1, $2;", "p", "pp",
                     [f](const Words& in) { return Words{f(in[0] != 0, in[1] != 0) ? 1u : 0u}; }});
  };
  predicates("and", [](bool a, bool b) { return a && b; });
  predicates("or", [](bool a, bool b) { return a || b; });
  predicates("xor", [](bool a, bool b) { return a != b; });
  cases.push_back({"not.pred $0, $1;", "p", "p", [](const Words& in) { return Words{in[0] == 0 ? 1u : 0u}; }});
  for (const bool left : {false, true}) {
    for (const bool clamp : {false, true}) {
      cases.push_back(map<U, U, U, U>(
          std::string("shf") + (left ? ".l" : ".r") + (clamp ? ".clamp" : ".wrap") + ".b32 $0, $1, $2, $3;", "r", "rrs",
          [=](U a, U b, U c) {
            const uint64_t n = clamp ? (c < 32 ? c : 32) : c % 32;
            const L both = L{b} * 0x100000000u + a;
            return from_bits<U>(
                [&](uint64_t i) { return left ? (i + 32 >= n && bit(both, i + 32 - n)) : bit(both, i + n); });
          }));
    }
  }
  check(cases);
}

TEST(alu_bits, three_input_tables) {
  std::vector<Case> cases;
  for (U table = 0; table < 256; table += table == 0 || table > 0xf0 ? 1 : 7) {
    const auto expected = [=](U a, U b, U c) {
      return from_bits<U>([&](uint64_t i) {
        return bit(table, (bit(a, i) ? 4u : 0u) + (bit(b, i) ? 2u : 0u) + (bit(c, i) ? 1u : 0u));
      });
    };
    cases.push_back(map<U, U, U, U>("lop3.b32 $0, $1, $2, $3, " + std::to_string(table) + ";", "r", "rrr", expected));
    if (table % 3 != 0) continue;
    cases.push_back(
        {"lop3.or.b32 $0|$1, $2, $3, $4, " + std::to_string(table) + ", $5;", "rp", "rrrp", [=](const Words& in) {
           const U d = expected(as<U>(in[0]), as<U>(in[1]), as<U>(in[2]));
           return Words{d, d != 0 || in[3] != 0};
         }});
    cases.push_back(
        {"lop3.and.b32 $0|$1, $2, $3, $4, " + std::to_string(table) + ", !$5;", "rp", "rrrp", [=](const Words& in) {
           const U d = expected(as<U>(in[0]), as<U>(in[1]), as<U>(in[2]));
           return Words{d, d != 0 && in[3] == 0};
         }});
  }
  check(cases);
}

TEST(alu_bits, refuses_what_is_not_ptx) {
  for (const char* text :
       {"and.u32 %r0, %r1, %r2;", "shl.u32 %r0, %r1, %r2;", "popc.b16 %r0, %h1;", "bfe.b32 %r0, %r1, %r2, %r3;",
        "lop3.b32 %r0, %r1, %r2, %r3, 256;", "shf.l.b32 %r0, %r1, %r2, %r3;", "brev.u32 %r0, %r1;",
        "fns.u32 %r0, %r1, %r2, %r3;", "dp4a.u32 %r0, %r1, %r2, %r3;", "bmsk.b32 %r0, %r1, %r2;"})
    expect_refused(text);
}

}  // namespace
}  // namespace ptxsim::test
