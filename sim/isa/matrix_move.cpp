// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstring>

#include "sim/isa/decode.hpp"
#include "sim/machine/machine.hpp"
#include "sim/memory/access.hpp"

// PTX ISA, "Warp-level matrix instructions": ldmatrix, stmatrix, movmatrix. 8 x 8 matrices of 16 bits: lane 4 g + t
// holds elements 2 t and 2 t + 1 of row g, or with .trans of column g. Lane 8 i + r has the address of row r of matrix
// i.
namespace ptxsim {
namespace {

struct alignas(16) Rows {
  std::array<std::array<uint16_t, 8>, kLanes> at;
};

void need_whole_warp(const Step& s) {
  if (s.mask != kAllLanes)
    s.fault(HazardId::H20,
            std::string(s.inst.row->name) + " needs all 32 lanes of the warp, lanes " + lane_list(s.mask) + " run it");
}

uint32_t pair(uint16_t low, uint16_t high) { return uint32_t{high} << 16 | low; }

/// What imm[0..2] say: matrices, transposed, offset of the address; `space` is imm[3].
WarpAccess rows_access(const Step& s, int address) {
  WarpAccess access;
  access.space = static_cast<Space>(s.inst.imm[3]);
  access.bytes = 16;
  access.mask = s.inst.imm[0] == 4 ? kAllLanes : (uint32_t{1} << (8 * s.inst.imm[0])) - 1;
  for_lanes(access.mask, [&](uint32_t lane) { access.address[lane] = s.address(address, lane, s.inst.imm[2]); });
  return access;
}

Outcome ldmatrix(Step& s) {
  need_whole_warp(s);
  const int matrices = static_cast<int>(s.inst.imm[0]);
  Rows rows;
  load(s, rows_access(s, matrices), reinterpret_cast<std::byte*>(&rows));
  const bool transposed = s.inst.imm[1] != 0;
  for (int i = 0; i < matrices; ++i) {
    auto d = s.lanes<uint32_t>(i);
    const auto* m = &rows.at[static_cast<size_t>(i) * 8];
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      const uint32_t g = lane / 4, c = lane % 4 * 2;
      d.set(lane, transposed ? pair(m[c][g], m[c + 1][g]) : pair(m[g][c], m[g][c + 1]));
    }
  }
  return Outcome::next;
}

Outcome stmatrix(Step& s) {
  need_whole_warp(s);
  const int matrices = static_cast<int>(s.inst.imm[0]);
  const bool transposed = s.inst.imm[1] != 0;
  Rows rows{};
  for (int i = 0; i < matrices; ++i) {
    const auto a = s.lanes<uint32_t>(i + 1);
    auto* m = &rows.at[static_cast<size_t>(i) * 8];
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      const uint32_t g = lane / 4, c = lane % 4 * 2;
      (transposed ? m[c][g] : m[g][c]) = static_cast<uint16_t>(a[lane]);
      (transposed ? m[c + 1][g] : m[g][c + 1]) = static_cast<uint16_t>(a[lane] >> 16);
    }
  }
  store(s, rows_access(s, 0), reinterpret_cast<const std::byte*>(&rows));
  return Outcome::next;
}

Outcome movmatrix(Step& s) {
  need_whole_warp(s);
  std::array<uint32_t, kLanes> a;
  std::memcpy(a.data(), s.lanes<uint32_t>(1).data(), sizeof a);
  auto d = s.lanes<uint32_t>(0);
  const auto element = [&](uint32_t row, uint32_t column) {
    return static_cast<uint16_t>(a[row * 4 + column / 2] >> (column % 2 * 16));
  };
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    const uint32_t g = lane / 4, c = lane % 4 * 2;
    d.set(lane, pair(element(c, g), element(c + 1, g)));
  }
  return Outcome::next;
}

/// .sync.aligned.m8n8.num{.trans}{.shared{::cta}}.b16; returns num.
int decode_modifiers(Decode& d) {
  d.must_be_one_of({"sync"}), d.must_be_one_of({"aligned"});
  if (d.peek() == "m16n16" || d.peek() == "m8n16" || d.peek() == "m16n8")
    d.unsupported("shapes of 8-bit elements are not part of sm_90a");
  d.must_be_one_of({"m8n8"});
  const int num = 1 << d.must_be_one_of({"x1", "x2", "x4"});
  bool transposed = d.flag("trans");
  const bool shared = d.one_of({"shared", "shared::cta"}) >= 0;
  transposed = d.flag("trans") || transposed;
  d.type({Type::b16});
  d.imm(0, num);
  d.imm(1, transposed ? 1 : 0);
  d.imm(3, static_cast<int64_t>(shared ? Space::shared : Space::generic));
  return num;
}

}  // namespace

void decode_ldmatrix(Decode& d) {
  const int num = decode_modifiers(d);
  if (d.out_vector(Type::b32) != num) d.invalid("as many registers are expected as matrices");
  d.imm(2, d.address());
  d.emit(&ldmatrix);
}

void decode_stmatrix(Decode& d) {
  const int num = decode_modifiers(d);
  d.imm(2, d.address());
  if (d.in_vector(Type::b32) != num) d.invalid("as many registers are expected as matrices");
  d.emit(&stmatrix);
}

void decode_movmatrix(Decode& d) {
  for (const std::string_view name : {"sync", "aligned", "m8n8", "trans"}) d.must_be_one_of({name});
  d.type({Type::b16});
  d.out(Type::b32), d.in(Type::b32);
  d.emit(&movmatrix);
}

}  // namespace ptxsim
