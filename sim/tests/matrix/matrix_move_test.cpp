// SPDX-License-Identifier: Apache-2.0
#include "sim/tests/support/run.hpp"

namespace ptxsim::test {
namespace {

/// Words of shared memory: 16-bit element e of row r (of 8 elements) is 100 r + e.
uint16_t element(uint32_t row, uint32_t column) { return static_cast<uint16_t>(100 * row + column); }

/// Fills 32 rows of 16 bytes (one per lane), with room for as many, then runs `body`; %base is their address, %row that
/// of this lane's row.
Module rows_kernel(const std::string& body) {
  return kernel_of(R"(
  .reg .b32 %base, %row, %w, %e, %i, %r<4>, %off;
  .reg .b64 %g, %gen;
  .reg .b16 %lo, %hi;
  .reg .pred %p;
  mov.u32 %base, rows;
  shl.b32 %off, %tid1, 4;
  add.u32 %row, %base, %off;
  mul.lo.u32 %e, %tid1, 100;
  mov.u32 %i, 0;
fill:
  add.u32 %w, %e, 1;
  shl.b32 %w, %w, 16;
  or.b32 %w, %w, %e;
  shl.b32 %off, %i, 2;
  add.u32 %off, %off, %row;
  st.shared.u32 [%off], %w;
  add.u32 %e, %e, 2;
  add.u32 %i, %i, 1;
  setp.lt.u32 %p, %i, 4;
  @%p bra fill;
  bar.warp.sync 0xffffffff;
)" + body + "\n ret;",
                   ".shared .align 16 .b8 rows[1024];\n");
}

/// Stores registers %r0.. of each lane to out[register * 32 + lane].
std::string store_registers(int count) {
  std::string text = " mul.wide.u32 %g, %tid1, 4;\n add.u64 %g, %g, %rd_out;\n";
  for (int i = 0; i < count; ++i)
    text += " st.global.u32 [%g+" + std::to_string(i * 128) + "], %r" + std::to_string(i) + ";\n";
  return text;
}

std::string registers(int count) {
  std::string text = "{";
  for (int i = 0; i < count; ++i) text += (i == 0 ? "%r" : ", %r") + std::to_string(i);
  return text + "}";
}

/// What lane l holds of matrix `i`: PTX ISA, figure of ldmatrix.
uint32_t fragment(uint32_t i, uint32_t lane, bool transposed) {
  const uint32_t major = lane / 4, minor = lane % 4 * 2;
  const auto at = [&](uint32_t m) { return transposed ? element(8 * i + m, major) : element(8 * i + major, m); };
  return at(minor) | uint32_t{at(minor + 1)} << 16;
}

class matrix_move : public testing::TestWithParam<std::tuple<int, bool, bool>> {};

TEST_P(matrix_move, ldmatrix_gives_each_lane_its_pair) {
  const auto [count, transposed, generic] = GetParam();
  const std::string space = generic ? "" : ".shared";
  const Module module =
      rows_kernel(std::string(generic ? " cvt.u64.u32 %gen, %row;\n cvta.shared.u64 %gen, %gen;\n" : "") +
                  " ldmatrix.sync.aligned.m8n8.x" + std::to_string(count) + (transposed ? ".trans" : "") + space +
                  ".b16 " + registers(count) + (generic ? ", [%gen];\n" : ", [%row];\n") + store_registers(count));
  std::vector<uint32_t> expected;
  for (int i = 0; i < count; ++i)
    for (uint32_t lane = 0; lane < 32; ++lane) expected.push_back(fragment(static_cast<uint32_t>(i), lane, transposed));
  expect_clean(module, block_of(32), expected, 2);
}

TEST_P(matrix_move, stmatrix_is_the_inverse_of_ldmatrix) {
  const auto [count, transposed, generic] = GetParam();
  const std::string form = "matrix.sync.aligned.m8n8.x" + std::to_string(count) + (transposed ? ".trans" : "");
  const std::string space = generic ? "" : ".shared";
  std::string body = " ld" + form + ".shared.b16 " + registers(count) + ", [%row];\n add.u32 %row, %row, 512;\n";
  if (generic) body += " cvt.u64.u32 %gen, %row;\n cvta.shared.u64 %gen, %gen;\n";
  body += " st" + form + space + ".b16 " + (generic ? "[%gen], " : "[%row], ") + registers(count) + ";\n";
  body += " bar.warp.sync 0xffffffff;\n setp.lt.u32 %p, %tid1, " + std::to_string(8 * count) + ";\n @!%p ret;\n";
  body += " shl.b32 %off, %tid1, 4;\n cvt.u64.u32 %g, %off;\n add.u64 %g, %g, %rd_out;\n";
  for (int word = 0; word < 4; ++word)
    body += " ld.shared.u32 %w, [%row+" + std::to_string(4 * word) + "];\n st.global.u32 [%g+" +
            std::to_string(4 * word) + "], %w;\n";
  const Module module = rows_kernel(body);
  std::vector<uint32_t> expected;
  for (uint32_t row = 0; row < static_cast<uint32_t>(8 * count); ++row)
    for (uint32_t c = 0; c < 8; c += 2) expected.push_back(element(row, c) | uint32_t{element(row, c + 1)} << 16);
  expect_clean(module, block_of(32), expected, 2);
}

INSTANTIATE_TEST_SUITE_P(forms, matrix_move,
                         testing::Combine(testing::Values(1, 2, 4), testing::Bool(), testing::Bool()));

TEST(matrix_moves, movmatrix_transposes_between_registers) {
  const Module module = rows_kernel(
      " ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%row];\n"
      " movmatrix.sync.aligned.m8n8.trans.b16 %r0, %r0;\n" +
      store_registers(1));
  std::vector<uint32_t> expected;
  for (uint32_t lane = 0; lane < 32; ++lane) expected.push_back(fragment(0, lane, true));
  expect_clean(module, block_of(32), expected, 2);
}

TEST(matrix_moves, rows_lie_at_multiples_of_16) {
  const Module module = rows_kernel(" ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%row+8];\n");
  expect_always(HazardId::H22, module, block_of(32), 1, 1);
}

TEST(matrix_moves, all_lanes_take_part) {
  const Module module = rows_kernel(R"(
  setp.eq.u32 %p, %tid1, 5;
  @%p ret;
  movmatrix.sync.aligned.m8n8.trans.b16 %r0, %base;
)");
  expect_always(HazardId::H20, module, block_of(32), 1, 1);
}

TEST(matrix_moves, forms_of_other_devices_are_refused) {
  for (const char* text :
       {"ldmatrix.sync.aligned.m16n16.x1.trans.shared.b8 {%r0, %r1}, [%r2];",
        "stmatrix.sync.aligned.m16n8.x1.trans.shared.b8 [%r2], {%r0};",
        "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r0}, [%r2];", "movmatrix.sync.aligned.m8n8.b16 %r0, %r1;"}) {
    const auto module = Module::parse(std::string(".version 8.7\n.target sm_90a\n.address_size 64\n"
                                                  ".entry k()\n{\n.reg .b32 %r<4>;\n") +
                                      text + "\nret;\n}\n");
    EXPECT_FALSE(module.ok()) << text;
  }
}

}  // namespace
}  // namespace ptxsim::test
