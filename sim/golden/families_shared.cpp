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
  return "  xor.b32 %a7, %thread, " + turn + ";\n  shl.b32 %a7, %a7, 4;\n  mov.u32 %a6, tile;\n  add.s32 %a7, %a7, %a6;\n";
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
    for (const char* parity : {"0", "1"}) {
      const std::string at = std::to_string(8 * step + 4 * (*parity - '0'));
      body += "  mbarrier.test_wait.parity.shared.b64 %p1, [%a0], " + std::string(parity) +
              ";\n  selp.u32 %d0, 1, 0, %p1;\n  st.global.b32 [%out+" + at + "], %d0;\n";
    }
  }
  body += "done:\n";
  out.push_back(one_warp("count " + std::to_string(expected), kernel_text("  .shared .align 8 .b64 bar;\n", body),
                         any_words(random, 1), 8 * kSteps));
}

/// A box of a tensor of 16-bit or 32-bit elements, from inside, across an edge or outside; the whole box is dumped.
void make_tensor_copy(Random& random, std::vector<Vector>& out) {
  Vector vector;
  vector.has_map = true;
  TiledDesc& desc = vector.desc;
  desc.rank = 1 + static_cast<uint32_t>(random() % 3);
  desc.type = pick(random, {TensorType::u8, TensorType::bf16, TensorType::f32});
  const uint32_t element = desc.type == TensorType::u8 ? 1 : desc.type == TensorType::bf16 ? 2 : 4;
  desc.swizzle = static_cast<TensorSwizzle>(random() % 4);
  const uint32_t width =
      desc.swizzle == TensorSwizzle::none ? pick(random, {16u, 48u, 256u}) : 16u << static_cast<uint32_t>(desc.swizzle);
  desc.fill = desc.type != TensorType::u8 && random() % 2 ? TensorFill::nan : TensorFill::zeros;
  desc.box[0] = std::min(width / element, 256u);
  desc.dim[0] = desc.box[0] + 5 + random() % 40;
  uint64_t row = (desc.dim[0] * element + 15) / 16 * 16;
  uint64_t bytes = row;
  uint32_t box_bytes = desc.box[0] * element;
  for (uint32_t i = 1; i < desc.rank; ++i) {
    desc.box[i] = i == 1 ? 4 + static_cast<uint32_t>(random() % 13) : 2;
    desc.dim[i] = desc.box[i] + random() % 6;
    desc.stride_bytes[i - 1] = bytes;
    bytes *= desc.dim[i];
    box_bytes *= desc.box[i];
  }
  std::string coordinates;
  for (uint32_t i = 0; i < desc.rank; ++i) {
    const int64_t at = static_cast<int64_t>(random() % (desc.dim[i] + 6)) - 3;
    coordinates += (i == 0 ? "" : ", ") + std::to_string(at);
  }
  const std::string size = std::to_string(box_bytes);
  const std::string rank = std::to_string(desc.rank);
  const std::string body =
      "  mov.u32 %a0, bar;\n  mov.u32 %a1, tile;\n  setp.ne.u32 %p0, %thread, 0;\n  @%p0 bra wait;\n"
      "  mbarrier.init.shared.b64 [%a0], 1;\n  fence.mbarrier_init.release.cluster;\n"
      "  mbarrier.arrive.expect_tx.shared.b64 %l1, [%a0], " +
      size +
      ";\n  mov.b64 %l2, k_map;\n"
      "  cvta.param.u64 %l2, %l2;\n"
      "  cp.async.bulk.tensor." +
      rank + "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%a1], [%l2, {" + coordinates +
      "}], [%a0];\nwait:\n  bar.sync 0;\nagain:\n  mbarrier.try_wait.parity.shared.b64 %p1, [%a0], 0;\n"
      "  @!%p1 bra again;\n  shl.b32 %a2, %thread, 2;\n  setp.ge.u32 %p2, %a2, " +
      size +
      ";\n  @%p2 bra done;\nnext:\n"
      "  add.s32 %a3, %a1, %a2;\n  ld.shared.b32 %d0, [%a3];\n  cvt.u64.u32 %l3, %a2;\n  add.s64 %l3, %out, %l3;\n"
      "  st.global.b32 [%l3], %d0;\n  add.s32 %a2, %a2, 128;\n  setp.lt.u32 %p3, %a2, " +
      size + ";\n  @%p3 bra next;\ndone:\n";
  constexpr const char* kSwizzles[] = {"none", "32", "64", "128"};
  vector.name = rank + "d at {" + coordinates + "}, swizzle " + kSwizzles[static_cast<size_t>(desc.swizzle)] +
                (desc.fill == TensorFill::nan ? ", NaN fill" : "");
  vector.ptx = kernel_text("  .shared .align 1024 .b8 tile[" + std::to_string((box_bytes + 127) / 128 * 128) +
                               "];\n  .shared .align 8 .b64 bar;\n",
                           body, true);
  vector.in = any_words(random, (bytes + 3) / 4);
  vector.out.resize(box_bytes);
  out.push_back(std::move(vector));
}

}  // namespace ptxsim::golden
