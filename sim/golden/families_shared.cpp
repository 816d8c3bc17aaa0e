// SPDX-License-Identifier: Apache-2.0
#include "sim/golden/families.hpp"

namespace ptxsim::golden {
namespace {

std::string registers(const std::string& name, int count) {
  std::string text = "{";
  for (int i = 0; i < count; ++i) text += (i == 0 ? "%" : ", %") + name + std::to_string(i);
  return text + "}";
}

Vector one_warp(std::string name, std::string ptx, std::vector<std::byte> in, size_t out_bytes) {
  Vector vector;
  vector.name = std::move(name);
  vector.ptx = std::move(ptx);
  vector.in = std::move(in);
  vector.out.resize(out_bytes);
  return vector;
}

/// %a7: the 16-byte row of shared memory that this lane addresses, in an order that is no identity.
std::string row_address(Random& random) {
  const std::string turn = std::to_string(random() % 32);
  return "  xor.b32 %a7, %thread, " + turn +
         ";\n  shl.b32 %a7, %a7, 4;\n  mov.u32 %a6, tile;\n  add.s32 %a7, %a7, %a6;\n";
}

/// Tests the mbarrier at %a0 for both parities and stores what comes out as the words 2 * step and 2 * step + 1.
std::string both_parities(int step) {
  std::string text;
  for (const int parity : {0, 1})
    text += "  mbarrier.test_wait.parity.shared.b64 %p1, [%a0], " + std::to_string(parity) +
            ";\n  selp.u32 %d0, 1, 0, %p1;\n  st.global.b32 [%out+" + std::to_string(8 * step + 4 * parity) +
            "], %d0;\n";
  return text;
}

}  // namespace

void make_ldmatrix(Random& random, std::vector<Vector>& out) {
  const int count = pick(random, {1, 2, 4});
  const std::string opcode =
      "ldmatrix.sync.aligned.m8n8.x" + std::to_string(count) + pick(random, {"", ".trans"}) + ".shared.b16";
  std::string body =
      "  mul.wide.u32 %l0, %thread, 16;\n  add.s64 %in, %in, %l0;\n  ld.global.v4.b32 {%a0, %a1, %a2, %a3}, [%in];\n"
      "  shl.b32 %a4, %thread, 4;\n  mov.u32 %a5, tile;\n  add.s32 %a4, %a4, %a5;\n"
      "  st.shared.v4.b32 [%a4], {%a0, %a1, %a2, %a3};\n  bar.sync 0;\n" +
      row_address(random) + "  " + opcode + " " + registers("d", count) + ", [%a7];\n";
  body += "  mul.wide.u32 %l0, %thread, " + std::to_string(4 * count) + ";\n  add.s64 %out, %out, %l0;\n";
  for (int i = 0; i < count; ++i)
    body += "  st.global.b32 [%out+" + std::to_string(4 * i) + "], %d" + std::to_string(i) + ";\n";
  out.push_back(one_warp(opcode, kernel_text("  .shared .align 16 .b8 tile[512];\n", body), any_words(random, 128),
                         static_cast<size_t>(128 * count)));
}

void make_stmatrix(Random& random, std::vector<Vector>& out) {
  const int count = pick(random, {1, 2, 4});
  const std::string opcode =
      "stmatrix.sync.aligned.m8n8.x" + std::to_string(count) + pick(random, {"", ".trans"}) + ".shared.b16";
  // What no matrix covers stays as it was set before.
  const std::string body =
      "  mul.wide.u32 %l0, %thread, 16;\n  add.s64 %in, %in, %l0;\n  ld.global.v4.b32 {%a0, %a1, %a2, %a3}, [%in];\n"
      "  shl.b32 %a4, %thread, 4;\n  mov.u32 %a5, tile;\n  add.s32 %a4, %a4, %a5;\n  mov.u32 %d0, 0;\n"
      "  st.shared.v4.b32 [%a4], {%d0, %d0, %d0, %d0};\n  bar.sync 0;\n" +
      row_address(random) + "  " + opcode + " [%a7], " + registers("a", count) +
      ";\n  bar.sync 0;\n  ld.shared.v4.b32 {%d0, %d1, %d2, %d3}, [%a4];\n  add.s64 %out, %out, %l0;\n"
      "  st.global.v4.b32 [%out], {%d0, %d1, %d2, %d3};\n";
  out.push_back(
      one_warp(opcode, kernel_text("  .shared .align 16 .b8 tile[512];\n", body), any_words(random, 128), 512));
}

/// Thread 0 alone plays: arrivals and transactions that keep the counts in range, and after each step both parities.
void make_mbarrier(Random& random, std::vector<Vector>& out) {
  const uint32_t expected = 1 + static_cast<uint32_t>(random() % 3);
  std::string body =
      "  setp.ne.u32 %p0, %thread, 0;\n  @%p0 bra done;\n  mov.u32 %a0, bar;\n  mbarrier.init.shared.b64 [%a0], " +
      std::to_string(expected) + ";\n";
  uint32_t pending = expected;
  int bytes = 0;
  constexpr int kSteps = 24;
  for (int step = 0; step < kSteps; ++step) {
    const uint64_t kind = random() % 4;
    if (kind == 0 && pending > 1) {
      bytes += 16;
      body += "  mbarrier.arrive.expect_tx.shared.b64 _, [%a0], 16;\n";
      --pending;
    } else if (kind == 1 && bytes < 64) {
      bytes += 16;
      body += "  mbarrier.expect_tx.relaxed.cta.shared.b64 [%a0], 16;\n";
    } else if (kind == 2 && bytes > 0) {
      bytes -= 16;
      body += "  mbarrier.complete_tx.relaxed.cta.shared.b64 [%a0], 16;\n";
    } else if (pending > 0) {
      body += "  mbarrier.arrive.shared.b64 %l1, [%a0];\n";
      --pending;
    }
    if (pending == 0 && bytes == 0) pending = expected;
    body += both_parities(step);
  }
  // The phase that has begun ends before the thread does.
  if (bytes > 0) body += "  mbarrier.complete_tx.relaxed.cta.shared.b64 [%a0], " + std::to_string(bytes) + ";\n";
  if (pending > 0) body += "  mbarrier.arrive.shared.b64 %l1, [%a0], " + std::to_string(pending) + ";\n";
  body += both_parities(kSteps);
  body += "done:\n";
  out.push_back(one_warp("count " + std::to_string(expected), kernel_text("  .shared .align 8 .b64 bar;\n", body),
                         any_words(random, 1), 8 * (kSteps + 1)));
}

}  // namespace ptxsim::golden
