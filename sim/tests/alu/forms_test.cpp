// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/isa/isa.hpp"
#include "sim/ptxsim.hpp"

// The instruction set by its forms: all of them parse and run, and every row of the table of opcodes is among them.
namespace ptxsim::test {
namespace {

/// ptxas assembles each of their forms for sm_90a in a kernel as kernel_text() makes it.
constexpr const char* kPatterns[] = {
#include "sim/tests/alu/forms.inc"
};

/// Every choice of the alternatives in <a/b/c>.
void expand(const std::string& pattern, std::vector<std::string>& out) {
  const size_t begin = pattern.find('<');
  if (begin == std::string::npos) return out.push_back(pattern);
  const size_t end = pattern.find('>', begin);
  for (size_t at = begin + 1; at <= end;) {
    const size_t next = std::min(pattern.find('/', at), end);
    expand(pattern.substr(0, begin) + pattern.substr(at, next - at) + pattern.substr(end + 1), out);
    at = next + 1;
  }
}

std::vector<std::string> forms() {
  std::vector<std::string> out;
  for (const char* pattern : kPatterns) expand(pattern, out);
  return out;
}

/// What stands around a form so that it does nothing wrong.
struct Surroundings {
  std::string before, after;
  uint32_t threads = 1;
  uint32_t registers = 0;  ///< LaunchOptions::registers_per_thread
  uint32_t rank = 1;       ///< of the tensor map
};

bool starts(const std::string& form, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return form.starts_with(prefix); });
}
bool has(const std::string& form, std::string_view part) { return form.find(part) != std::string::npos; }

std::string set(const std::string& registers, const std::string& value) {
  const std::string type = registers[1] == 'd' ? ".u64 " : registers[1] == 'h' ? ".u16 " : ".u32 ";
  std::string text;
  for (size_t at = 0; at < registers.size();) {
    const size_t end = std::min(registers.find(' ', at), registers.size());
    text += "  mov" + type + registers.substr(at, end - at) + ", " + value + ";\n";
    at = end + 1;
  }
  return text;
}

/// An mbarrier at tile + 2048 that expects `bytes` bytes, its address in `address`; and a wait for its first phase.
std::string expecting(const std::string& address, const std::string& bytes) {
  return set("%bar", "tile") +
         "  add.u32 %bar, %bar, 2048;\n  mbarrier.init.shared.b64 [%bar], 1;\n"
         "  fence.mbarrier_init.release.cluster;\n  fence.proxy.async;\n  mov.u32 %bytes, " +
         bytes +
         ";\n"
         "  mbarrier.arrive.expect_tx.shared.b64 _, [%bar], %bytes;\n" +
         (address.empty() ? "" : set(address, "%bar"));
}
const std::string kWaitForBytes =
    "WAIT:\n  mbarrier.try_wait.parity.shared.b64 %done, [%bar], 0;\n  @!%done bra WAIT;\n";
const std::string kWaitForGroup = "  cp.async.bulk.commit_group;\n  cp.async.bulk.wait_group 0;\n";

Surroundings for_bulk_copy(const std::string& form) {
  Surroundings out;
  if (has(form, "prefetch") && !has(form, ".tensor")) return {set("%r1", "64"), ""};
  const bool between_shared = has(form, "shared::cluster.shared::cta");
  if (has(form, ".tensor")) {
    out.rank = static_cast<uint32_t>(form[form.find("d.") - 1] - '0');
    out.before = "  mov.b64 %d1, map;\n  cvta.param.u64 %d1, %d1;\n" + set("%r2 %r3 %r4 %r5 %r6 %r7", "0");
    if (has(form, "prefetch")) return out;
    if (!has(form, "mbarrier")) {
      out.before += set("%r1", "tile");
      out.after = kWaitForGroup;
      return out;
    }
    out.before += expecting("%r" + std::to_string(out.rank + 2), std::to_string(out.rank == 1 ? 32 : 64));
  } else if (has(form, "mbarrier")) {
    out.before = between_shared
                     ? set("%r2", "tile") + "  add.u32 %r2, %r2, 1024;\n" + set("%r3", "256") + expecting("%r4", "256")
                     : set("%r2", "256") + expecting("%r3", "256");
  } else {
    out.before = set("%r1", "tile") + set("%r2", "64");
    out.after = kWaitForGroup;
    return out;
  }
  out.before += "  mapa.shared::cluster.u32 %r1, tile, 0;\n";
  out.after = kWaitForBytes;
  return out;
}

Surroundings for_mbarrier(const std::string& form) {
  const std::string generic = has(form, "shared") ? "" : "  cvta.shared.u64 %d1, %d1;\n";
  const bool by_copies = starts(form, {"cp.async"});
  std::string text = set("%r1 %r2", "2") + set("%d1", "tile") + set("%bar", "tile") + generic;
  if (!starts(form, {"mbarrier.init"}))
    text += std::string("  mbarrier.init.shared.b64 [%bar], ") + (by_copies ? "1" : "8") + ";\n";
  if (has(form, "shared::cluster"))
    text += "  mapa.shared::cluster.u32 %bytes, tile, 0;\n" +
            (has(form, "[%r1]") ? set("%r1", "%bytes") : "  cvt.u64.u32 %d1, %bytes;\n");
  if (has(form, "wait")) text += "  mbarrier.arrive.shared.b64 %d2, [%bar], 8;\n  mov.u32 %r1, 0;\n";
  if (has(form, "pending")) text += "  mbarrier.arrive.noComplete.shared.b64 %d1, [%bar], 2;\n";
  std::string after;
  if (by_copies) after = (has(form, "noinc") ? "" : "  mbarrier.arrive.shared.b64 _, [%bar];\n") + kWaitForBytes;
  if (has(form, "_tx.")) {  // as many bytes arrive as are expected
    const std::string bytes = has(form, " 2048;") ? "2048" : has(form, " 64;") ? "64" : "2";
    after = std::string(has(form, "expect") ? "  mbarrier.complete_tx" : "  mbarrier.expect_tx") +
            ".shared.b64 [%bar], " + bytes + ";\n  mbarrier.inval.shared.b64 [%bar];\n";
  }
  return {text, after};
}

/// The parameter's tensor map is copied to where the form changes it.
Surroundings for_tensor_map(const std::string& form) {
  const bool copies = starts(form, {"tensormap.cp"});
  const bool shared = copies || has(form, "shared::cta");
  std::string text = shared ? set(copies ? "%d2" : "%d1", "tile") : "";
  for (const char* at : {"0", "16", "32", "48", "64", "80", "96", "112"})
    text += std::string("  ld.param.v4.b32 {%r8, %r9, %r10, %r11}, [map+") + at + "];\n  st." +
            (shared ? "shared.v4.b32 [tile+" : "global.v4.b32 [%d1+") + at + "], {%r8, %r9, %r10, %r11};\n";
  if (copies) text += "  bar.warp.sync -1;\n";
  return {text, "", copies ? 32u : 1u};
}

Surroundings surroundings_of(const std::string& form) {
  const std::string wgmma_operands =
      "  mov.u32 %r20, tile;\n  shr.u32 %r20, %r20, 4;\n  cvt.u64.u32 %d1, %r20;\n"
      "  or.b64 %d1, %d1, " +
      std::to_string(uint64_t{128 / 16} << 32 | uint64_t{1024 / 16} << 16) +
      ";\n  add.u64 %d2, %d1, 128;\n"
      "  wgmma.fence.sync.aligned;\n";
  if (starts(form, {"cp.async.bulk.commit", "cp.async.bulk.wait"})) return {};
  if (starts(form, {"cp.async.bulk", "cp.reduce"})) return for_bulk_copy(form);
  if (starts(form, {"cp.async.c"}) && has(form, "[")) {
    const bool narrow = has(form, "[%r1]");
    return {set(narrow ? "%r1" : "%d1", "tile") + set(narrow ? "%r2" : "%r1", "4"), "  cp.async.wait_all;\n"};
  }
  if (starts(form, {"tensormap"})) return for_tensor_map(form);
  if (starts(form, {"mbarrier", "cp.async.mbarrier"})) return for_mbarrier(form);
  if (starts(form, {"st.async", "red.async"})) {
    const bool eight = has(form, "64 ") || has(form, ".v2");
    return {
        expecting("", has(form, ".v4") ? "16"
                      : eight          ? "8"
                                       : "4") +
            "  mapa.shared::cluster.u32 %r1, tile, 0;\n  mapa.shared::cluster.u32 %r3, %bar, 0;\n  mov.u32 %r6, %r3;\n",
        kWaitForBytes};
  }
  if (starts(form, {"shfl", "vote", "match", "redux", "elect", "bar.warp"}))
    return {set("%r1 %r2 %r3 %r4 %r5", "-1"), "", 64};
  if (starts(form, {"bar.", "barrier.c", "barrier.s", "barrier.a", "barrier.r"}) && !starts(form, {"barrier.cluster"}))
    return {set("%r2", "64"), "", 64};
  if (starts(form, {"barrier.cluster.arrive"})) return {"", "  barrier.cluster.wait;\n", 64};
  if (starts(form, {"barrier.cluster.wait"})) return {"  barrier.cluster.arrive;\n", "", 64};
  if (starts(form, {"ldmatrix", "stmatrix"}))
    return {
        "  shl.b32 %bytes, %t, 4;\n  mov.u32 %bar, tile;\n  add.u32 %bar, %bar, %bytes;\n  cvt.u64.u32 %d1, %bar;\n" +
            std::string(has(form, "shared") ? "" : "  cvta.shared.u64 %d1, %d1;\n"),
        "", 64};
  if (starts(form, {"mma", "movmatrix"})) return {"", "", 64};
  if (starts(form, {"wgmma.mma"}))
    return {wgmma_operands, "  wgmma.commit_group.sync.aligned;\n  wgmma.wait_group.sync.aligned 0;\n", 128};
  if (starts(form, {"wgmma"})) return {"", "", 128};
  if (starts(form, {"setmaxnreg"})) return {"", "", 128, has(form, "dec") || has(form, "240") ? 240u : 24u};
  if (starts(form, {"mapa", "getctarank"}))
    return {set("%r2", "tile") + set("%d2", "tile") + set("%r3", "0") +
                (has(form, "shared") ? "" : "  cvta.shared.u64 %d2, %d2;\n"),
            ""};
  if (starts(form, {"addc", "subc", "madc"})) return {"  add.cc.u32 %r20, %r20, %r20;\n", ""};
  if (starts(form, {"brx"})) return {set("%r1", "0"), ""};
  if (starts(form, {"call"})) return {"  st.param.b32 [in], %r1;\n", ""};
  if (has(form, "const.tensormap")) return {set("%d1", "constant_map"), ""};
  if (has(form, "prefetch") && has(form, "tensormap"))
    return {"  mov.b64 %d1, map;\n" + std::string(has(form, "param") ? "" : "  cvta.param.u64 %d1, %d1;\n"), ""};
  if (has(form, "[%d") && has(form, ".shared::cluster"))
    return {"  mapa.shared::cluster.u32 %r20, tile, 0;\n  cvt.u64.u32 %d1, %r20;\n" + set("%d2", "%d1"), ""};
  if (has(form, "[%d") && has(form, ".shared")) return {set("%d1 %d2", "tile") + "  add.u64 %d2, %d2, 64;\n", ""};
  if (has(form, "[%d") && has(form, ".local")) return {set("%d1 %d2", "here") + "  add.u64 %d2, %d2, 16;\n", ""};
  if (has(form, "[%d") && has(form, ".const")) return {set("%d1", "table"), ""};
  if (has(form, "[%d") && has(form, ".param")) return {set("%d1", "pointer"), ""};
  if (has(form, "[%d2+-8]")) return {"  add.u64 %d2, %d2, 64;\n", ""};
  return {};
}

std::string kernel_text(const std::string& form, const Surroundings& around) {
  std::string text = R"(.version 9.0
.target sm_90a
.address_size 64
.shared .align 1024 .b8 tile[4096];
.global .align 16 .b32 word[4];
.const .align 16 .b32 table[8] = {1, 2, 3, 4, 5, 6, 7, 8};
.const .align 64 .b8 constant_map[128];
.func (.param .b32 z) ADD(.param .b32 x, .param .b32 y) { ret; }
.func CALLEE() { ret; }
.visible .entry k(.param .u64 pointer, .param .u32 number, .param .align 64 .b8 map[128])
{
  .local .align 16 .b8 here[64];
  .reg .b16 %h<16>;
  .reg .b32 %r<32>;
  .reg .b64 %d<8>;
  .reg .b128 %q<4>;
  .reg .f32 %f<16>;
  .reg .f64 %e<8>;
  .reg .pred %p<8>, %done;
  .reg .b32 %t, %bar, %bytes;
  .param .b32 in, out;
TABLE: .branchtargets END;
)";
  const auto each = [&](const char* before, int count, const std::string& after) {
    for (int i = 0; i < count; ++i) text += before + std::to_string(i) + after + ";\n";
  };
  each("  mov.b16 %h", 16, ", 1");
  each("  mov.b32 %r", 32, ", 1");
  each("  ld.param.u64 %d", 8, ", [pointer]");
  each("  mov.b128 %q", 4, ", {%d1, %d1}");
  each("  mov.f32 %f", 16, ", 0f3F800000");
  each("  mov.f64 %e", 8, ", 0d3FF0000000000000");
  each("  setp.eq.u32 %p", 8, ", 0, 0");
  for (const char* at : {"0", "16", "32", "48"})
    text += std::string("  st.local.v4.b32 [here+") + at + "], {%r1, %r1, %r1, %r1};\n";
  text += R"(
  mov.u32 %t, %tid.x;
  shl.b32 %bytes, %t, 4;
  mov.u32 %bar, tile;
  add.u32 %bytes, %bytes, %bar;
  mov.u32 %bar, %ntid.x;
  shl.b32 %bar, %bar, 4;
FILL:
  st.shared.v4.b32 [%bytes], {%r1, %r1, %r1, %r1};
  add.u32 %bytes, %bytes, %bar;
  setp.lt.u32 %done, %bytes, tile+4096;
  @%done bra FILL;
  fence.proxy.async;
  bar.sync 0;
)";
  return text + around.before + "FORM:\n  " + form + "\n" + around.after + "END:\n  ret;\n}\n";
}

TEST(isa_forms, all_parse_and_run) {
  Schedule schedule;
  for (const std::string& form : forms()) {
    ++schedule.seed;
    schedule.async = kAsyncPolicies[schedule.seed % kAsyncPolicies.size()];
    const Surroundings around = surroundings_of(form);
    const std::string text = kernel_text(form, around);
    const Result<Module> module = Module::parse(text, "form.ptx");
    ASSERT_TRUE(module.ok()) << form << "\n  " << module.status().message();
    Device device(schedule);
    const uint64_t memory = device.upload_new(std::vector<uint32_t>(1024, 1));
    TiledDesc tiles{.type = TensorType::u32, .rank = around.rank, .address = memory};
    for (uint32_t i = 0; i < around.rank; ++i) tiles.dim[i] = 8, tiles.box[i] = i == 0 ? 8 : i == 1 ? 2 : 1;
    for (uint32_t i = 0, bytes = 32; i + 1 < around.rank; ++i, bytes *= 2) tiles.stride_bytes[i] = bytes;
    const Result<TensorMap> map = device.encode_tiled(tiles);
    ASSERT_TRUE(map.ok()) << map.status().message();
    const Result<uint64_t> constant = device.symbol(module.value(), "constant_map");
    ASSERT_TRUE(constant.ok() && device.upload(constant.value(), map.value().bytes).ok());
    LaunchOptions options;
    options.block.x = around.threads;
    options.registers_per_thread = around.registers;
    const Result<RunReport> report = device.launch(module.value(), "k", options, arguments(memory, 7u, map.value()));
    ASSERT_TRUE(report.ok()) << form << "\n  " << report.status().message();
    if (form == "trap;")
      EXPECT_TRUE(report.value().has(HazardId::fault));
    else
      EXPECT_TRUE(report.value().clean()) << form << "\n" << report.value().text();
  }
}

TEST(isa_forms, every_row_is_among_them) {
  std::set<std::string> missing;
  for (const IsaRow& row : isa_rows()) missing.insert(row.name);
  for (std::string form : forms()) {
    if (form[0] == '@') form = form.substr(form.find(' ') + 1);
    const IsaRow* row = isa_find(form.substr(0, form.find_first_of(" ;")));
    ASSERT_NE(row, nullptr) << form;
    missing.erase(row->name);
  }
  EXPECT_EQ(missing, std::set<std::string>());
}

}  // namespace
}  // namespace ptxsim::test
