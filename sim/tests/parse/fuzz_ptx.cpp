// SPDX-License-Identifier: Apache-2.0
// PTX from anybody: any text is a module or an error, a module is one that the machine can run, and a launch of it
// ends.
#include <cstring>

#include "fuzz/target.hpp"
#include "sim/isa/decode.hpp"
#include "sim/isa/program.hpp"
#include "sim/parse/syntax.hpp"
#include "sim/ptxsim.hpp"

namespace attend::fuzz {
namespace {

std::string module_text(const std::string& body) { return ".version 8.7\n.target sm_90a\n.address_size 64\n" + body; }

/// One instruction of each row of isa.def.
constexpr const char* kExamples[] = {
#include "sim/tests/parse/examples.inc"
};

}  // namespace

std::vector<std::string> seeds() {
  std::vector<std::string> all = {
      module_text(
          ".visible .entry k(.param .u64 k_0, .param .align 8 .b8 k_1[24])\n.maxntid 128, 1, 1\n{\n.reg .pred %p<3>;\n"
          ".reg .b32 %r<9>;\n.reg .b64 %rd<5>;\nld.param.u64 %rd1, [k_0];\nmov.u32 %r1, %tid.x;\n"
          "setp.gt.u32 %p1, %r1, 63;\n@%p1 bra $L__BB0_2;\nmul.wide.u32 %rd2, %r1, 4;\nadd.s64 %rd3, %rd1, %rd2;\n"
          "st.global.u32 [%rd3+16], %r1;\n$L__BB0_2:\nret;\n}\n"),
      module_text(
          ".extern .shared .align 128 .b8 smem[];\n.shared .b64 bar[4];\n.entry k() {\n.reg .b32 r; .reg .pred p;\n"
          "mov.u32 r, smem+64;\nmbarrier.init.shared::cta.b64 [bar], 1;\n{ W: mbarrier.try_wait.parity.shared::cta.b64 "
          "p, "
          "[bar], 0; @!p bra W; }\nelect.sync _|p, -1;\n}\n"),
      module_text(
          ".global .align 8 .u64 p[2][2] = {{generic(q)+4, 5}, {q}};\n.const .f32 q[3] = {0f3F800000, -1.5, 1e3};\n"
          ".global .v2 .u8 c[] = {{1, 2}, {3}};\n.alias a, b;\n.func b() { ret; }\n"),
      module_text(
          ".func (.param .b32 r) f(.param .b32 x)\n{\n.local .b8 d[16];\n.reg .b32 %r<4>;\n.loc 1 2 3\n"
          "T: .branchtargets A, B;\nld.param.u32 %r1, [x];\nbrx.idx %r1, T;\nA: { .param .b32 p; .param .b32 q;\n"
          "st.param.b32 [p], (1+2)*4;\ncall.uni (q), f, (p);\n}\nB: st.param.b32 [r], 0x10;\nret;\n}\n.file 1 "
          "\"a.cu\"\n"),
      module_text(
          ".entry k() {\n.reg .f32 %f<8>; .reg .b64 d; .reg .b32 %r<6>; .reg .v2 .b32 v;\nwgmma.fence.sync.aligned;\n"
          "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f0, %f1, %f2, %f3}, d, d, 1, 1, 1, 0, 0;\n"
          "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [d, {%r2, 0}], [%r3];\n"
          "mov.b64 d, {%r1, %r2};\nld.global.v2.f32 {%f1, _}, [d+-8];\nmov.b32 v.x, 5;\n}\n"),
      module_text(".section .debug_str { $x: .b8 95, 0 }\n.pragma \"a\";\n.weak .entry k() .reqnctapercluster 2 { // "
                  "end\n/* x */ }"),
      module_text(".entry k() {" + std::string(100, '{') + "mov.u32 r, " + std::string(100, '(')),
      module_text(".entry k() { .reg .b32 %r<4294967295>; .shared .b8 x[4294967295][4294967295]; }"),
      module_text(".global .b8 x[1099511627776]; .entry k() { .local .b8 d[500000]; .reg .b64 a; mov.b64 a, d; "
                  "st.local.u8 [a+499999], 1; f: call g; bra f; }\n.func g() { .local .b8 d[500000]; call g; ret; }"),
  };
  for (const char* example : kExamples)
    all.push_back(
        module_text(".visible .entry k(.param .u64 a, .param .align 8 .b8 b[24]) { .reg .pred %p<4>; .reg .b16 "
                    "%h<4>; .reg .b32 %r<40>; .reg .f32 %f<4>; .reg .b64 %d<8>; .reg .f64 %e<4>; .reg .b128 "
                    "%q<2>;\nld.param.u64 %d1, [a];\nmov.b32 %r1, 1024; mov.b32 %r2, 1032;\nTABLE: "
                    ".branchtargets END;\n") +
        example + "\nEND:\nret; }\n.func CALLEE() { ret; }\n");
  return all;
}

namespace {

/// Runs an entry on zeros and one pointer, for a few instructions.
void launch(const ptxsim::Module& module, const ptxsim::EntryInfo& entry) {
  using namespace ptxsim;
  Device device({.seed = 3, .async = AsyncPolicy::split});
  const uint64_t buffer = device.upload_new(std::vector<uint32_t>(256, 1));
  std::vector<std::byte> params(entry.param_bytes);
  if (params.size() >= sizeof buffer) std::memcpy(params.data(), &buffer, sizeof buffer);
  LaunchRequest request{&module, entry.name, {}, {}};
  request.options.grid = {2};
  request.options.block = entry.required_block.x != 0 ? entry.required_block : Dim3{64};
  request.options.cluster = entry.required_cluster;
  request.options.instruction_budget = 2000;
  request.args.add_bytes(params, 1);
  const bool accepted = Device::check(request).ok();
  const Result<RunReport> report = device.launch(module, entry.name, request.options, request.args);
  require(accepted || !report.ok(), "what check() refuses is not launched", entry.name);
  if (!report.ok()) return;
  require(report->finished || !report->hazards.empty(), "a launch that ends early says why", entry.name);
  require(report->counts.warp_instructions <= 2000 + 1, "a launch keeps to its budget", entry.name);
}

}  // namespace

}  // namespace attend::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attend;
  using namespace ptxsim;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const Result<Module> module = Module::parse(text, "fuzz");
  if (!module.ok()) {
    const StatusCode code = module.status().code();
    fuzz::require(code == StatusCode::invalid_argument || code == StatusCode::unsupported, "errors have a known kind",
                  module.status().message());
    return 0;
  }
  const Program& program = module->program();
  for (const Function& function : program.functions) {
    const auto inside = [&](const Operand& operand) { return operand.slot + operand.units <= function.units; };
    fuzz::require(function.first_pc < function.end_pc, "a function has instructions");
    for (int32_t pc = function.first_pc; pc < function.end_pc; ++pc) {
      const Inst& inst = program.code[static_cast<size_t>(pc)];
      fuzz::require(inst.run != nullptr, "an instruction has a handler");
      for (const Operand& operand : program.operands_of(inst))
        fuzz::require(inside(operand), "operands lie in the file");
      for (const Operand& operand : program.reads_of(inst)) fuzz::require(inside(operand), "reads lie in the file");
      for (const Operand& operand : program.writes_of(inst)) fuzz::require(inside(operand), "writes lie in the file");
      const bool branches = std::string_view(inst.row->name) == "bra";
      fuzz::require(!branches || (inst.target >= function.first_pc && inst.target < function.end_pc),
                    "a branch stays in its function");
    }
  }
  for (const EntryInfo& entry : module->entries()) fuzz::launch(*module, entry);
  const syntax::Module tree = parse_module(text);
  const std::string printed = print(tree);
  try {
    fuzz::require(parse_module(printed) == tree, "printing and parsing gives the same tree", printed);
  } catch (const PtxError& error) {
    fuzz::require(false, "what was printed parses", error.message + "\n" + printed);
  }
  return 0;
}
