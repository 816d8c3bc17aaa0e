// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>

#include "sim/golden/families.hpp"

namespace ptxsim::golden {
namespace {

uint32_t bytes_of(TensorType type) { return type == TensorType::u8 ? 1 : type == TensorType::bf16 ? 2 : 4; }

/// A tensor and a box of it: inside, across an edge or outside.
struct Box {
  TiledDesc desc;
  std::string coordinates, rank, about;
  uint32_t bytes = 0;  ///< in shared memory
  uint64_t tensor_bytes = 0;
};

Box draw_box(Random& random, TensorType type, bool strided) {
  Box box;
  TiledDesc& desc = box.desc;
  desc.rank = 1 + static_cast<uint32_t>(random() % 5);
  desc.type = type;
  const uint32_t element = bytes_of(type);
  desc.swizzle = static_cast<TensorSwizzle>(random() % 4);
  const uint32_t width =
      desc.swizzle == TensorSwizzle::none ? pick(random, {16u, 48u, 256u}) : 16u << static_cast<uint32_t>(desc.swizzle);
  desc.box[0] = std::min(width / element, 256u);
  desc.dim[0] = desc.box[0] + 5 + random() % 40;
  box.tensor_bytes = (desc.dim[0] * element + 15) / 16 * 16;
  box.bytes = desc.box[0] * element;
  for (uint32_t i = 1; i < desc.rank; ++i) {
    desc.box[i] = i == 1 ? 4 + static_cast<uint32_t>(random() % 13) : 2;
    desc.dim[i] = desc.box[i] + random() % 6;
    if (strided && random() % 4 == 0) desc.element_stride[i] = 2;
    desc.stride_bytes[i - 1] = box.tensor_bytes;
    box.tensor_bytes *= desc.dim[i];
    box.bytes *= (desc.box[i] + desc.element_stride[i] - 1) / desc.element_stride[i];
  }
  for (uint32_t i = 0; i < desc.rank; ++i) {
    const int64_t at = static_cast<int64_t>(random() % (desc.dim[i] + 6)) - 3;
    box.coordinates += (i == 0 ? "" : ", ") + std::to_string(at);
  }
  box.rank = std::to_string(desc.rank);
  constexpr const char* kSwizzles[] = {"none", "32", "64", "128"};
  box.about =
      box.rank + "d at {" + box.coordinates + "}, swizzle " + kSwizzles[static_cast<size_t>(desc.swizzle)] +
      (std::find(std::begin(desc.element_stride), std::end(desc.element_stride), 2u) != std::end(desc.element_stride)
           ? ", every second"
           : "");
  return box;
}

Vector vector_of(const Box& box, const std::string& name, const std::string& body) {
  Vector vector;
  vector.has_map = true;
  vector.desc = box.desc;
  vector.name = name;
  vector.ptx = kernel_text("  .shared .align 1024 .b8 tile[" + std::to_string((box.bytes + 127) / 128 * 128) +
                               "];\n  .shared .align 8 .b64 bar;\n",
                           body, true);
  return vector;
}

constexpr const char* kMapAddress = "  mov.b64 %l2, k_map;\n  cvta.param.u64 %l2, %l2;\n";

}  // namespace

/// The whole box is dumped from shared memory.
void make_tensor_copy(Random& random, std::vector<Vector>& out) {
  Box box = draw_box(random, pick(random, {TensorType::u8, TensorType::bf16, TensorType::f32}), true);
  const bool nan = box.desc.type != TensorType::u8 && random() % 2;
  if (nan) box.desc.fill = TensorFill::nan;
  const std::string size = std::to_string(box.bytes);
  const std::string body =
      "  mov.u32 %a0, bar;\n  mov.u32 %a1, tile;\n  setp.ne.u32 %p0, %thread, 0;\n  @%p0 bra wait;\n"
      "  mbarrier.init.shared.b64 [%a0], 1;\n  fence.mbarrier_init.release.cluster;\n"
      "  mbarrier.arrive.expect_tx.shared.b64 %l1, [%a0], " +
      size + ";\n" + kMapAddress + "  cp.async.bulk.tensor." + box.rank +
      "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%a1], [%l2, {" + box.coordinates +
      "}], [%a0];\nwait:\n  bar.sync 0;\nagain:\n  mbarrier.try_wait.parity.shared.b64 %p1, [%a0], 0;\n"
      "  @!%p1 bra again;\n  shl.b32 %a2, %thread, 2;\n  setp.ge.u32 %p2, %a2, " +
      size +
      ";\n  @%p2 bra done;\nnext:\n"
      "  add.s32 %a3, %a1, %a2;\n  ld.shared.b32 %d0, [%a3];\n  cvt.u64.u32 %l3, %a2;\n  add.s64 %l3, %out, %l3;\n"
      "  st.global.b32 [%l3], %d0;\n  add.s32 %a2, %a2, 128;\n  setp.lt.u32 %p3, %a2, " +
      size + ";\n  @%p3 bra next;\ndone:\n";
  Vector vector = vector_of(box, box.about + (nan ? ", NaN fill" : ""), body);
  vector.in = any_words(random, (box.tensor_bytes + 3) / 4);
  vector.out.resize(box.bytes);
  out.push_back(std::move(vector));
}

/// A box is stored, or reduced, into the tensor, all of which is dumped.
void make_tensor_store(Random& random, std::vector<Vector>& out) {
  const bool reduces = random() % 2;
  const TensorType type = pick(random, {TensorType::u32, TensorType::s32, TensorType::f32});
  std::string operation;
  if (reduces)
    operation = type == TensorType::f32   ? "add"
                : type == TensorType::s32 ? pick(random, {"min", "max"})
                                          : pick(random, {"add", "min", "max", "inc", "dec", "and", "or", "xor"});
  const Box box = draw_box(random, type, false);
  const std::string words = std::to_string(box.bytes / 4), all = std::to_string(box.tensor_bytes / 4);
  const std::string opcode = (reduces ? "cp.reduce.async.bulk.tensor." : "cp.async.bulk.tensor.") + box.rank +
                             "d.global.shared::cta" + (reduces ? "." + operation : "") + ".tile.bulk_group";
  const std::string value = type == TensorType::f32
                                ? "  cvt.rn.f32.u32 %f0, %a2;\n  sub.f32 %f0, %f0, 0f41280000;\n  mov.b32 %a4, %f0;\n"
                                : "  mul.lo.u32 %a4, %a2, 0x9e3779b1;\n";
  const std::string body =
      "  mov.u32 %a1, tile;\n  mov.u32 %a2, %thread;\n  setp.ge.u32 %p2, %a2, " + words +
      ";\n  @%p2 bra filled;\nfill:\n" + value +
      "  shl.b32 %a3, %a2, 2;\n  add.s32 %a3, %a3, %a1;\n  st.shared.b32 [%a3], %a4;\n  add.s32 %a2, %a2, 32;\n"
      "  setp.lt.u32 %p0, %a2, " +
      words +
      ";\n  @%p0 bra fill;\nfilled:\n  fence.proxy.async;\n  bar.sync 0;\n  setp.ne.u32 %p1, %thread, 0;\n"
      "  @%p1 bra stored;\n" +
      kMapAddress + "  " + opcode + " [%l2, {" + box.coordinates +
      "}], [%a1];\n  cp.async.bulk.commit_group;\n  cp.async.bulk.wait_group 0;\nstored:\n  bar.sync 0;\n"
      "  mov.u32 %a2, %thread;\n  setp.ge.u32 %p2, %a2, " +
      all +
      ";\n  @%p2 bra done;\nnext:\n  mul.wide.u32 %l3, %a2, 4;\n  add.s64 %l4, %in, %l3;\n"
      "  ld.global.b32 %d0, [%l4];\n  add.s64 %l3, %out, %l3;\n  st.global.b32 [%l3], %d0;\n"
      "  add.s32 %a2, %a2, 32;\n  setp.lt.u32 %p3, %a2, " +
      all + ";\n  @%p3 bra next;\ndone:\n";
  constexpr const char* kTypes[] = {"u32", "s32", "f32"};
  const char* type_name = kTypes[type == TensorType::u32 ? 0 : type == TensorType::s32 ? 1 : 2];
  Vector vector = vector_of(box, std::string(reduces ? operation : "store") + " " + type_name + " " + box.about, body);
  vector.in =
      type == TensorType::f32 ? float_words(random, box.tensor_bytes / 4) : any_words(random, box.tensor_bytes / 4);
  vector.out.resize(box.tensor_bytes);
  out.push_back(std::move(vector));
}

}  // namespace ptxsim::golden
