// SPDX-License-Identifier: Apache-2.0
#include "sim/machine/frame.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"

namespace ptxsim {
namespace {

constexpr size_t kUnitBytes = kLanes * 4;

void fill(Frame& frame, uint32_t slot, uint8_t units, uint64_t value) {
  std::byte* at = frame.registers + size_t{slot} * kUnitBytes;
  if (units == 1) {
    std::fill_n(reinterpret_cast<uint32_t*>(at), kLanes, static_cast<uint32_t>(value));
  } else {
    const uint32_t step = units / 2u;  // 128-bit constants: low half, then zeros
    auto* wide = reinterpret_cast<uint64_t*>(at);
    for (uint32_t lane = 0; lane < kLanes; ++lane)
      for (uint32_t part = 0; part < step; ++part) wide[lane * step + part] = part == 0 ? value : 0;
  }
}

uint32_t component(const Dim3& dim, char axis) { return axis == 'x' ? dim.x : axis == 'y' ? dim.y : dim.z; }

/// Position of a linear index in a grid, a block or a cluster.
Dim3 position(uint64_t linear, const Dim3& extent) {
  return {static_cast<uint32_t>(linear % extent.x), static_cast<uint32_t>(linear / extent.x % extent.y),
          static_cast<uint32_t>(linear / extent.x / extent.y)};
}

/// PTX ISA, chapter 10 "Special registers".
uint64_t special_value(Machine& machine, const Cta& cta, uint32_t warp, uint32_t lane, const std::string& name) {
  const LaunchOptions& options = cta.launch->options;
  const Dim3 clusters{options.grid.x / options.cluster.x, options.grid.y / options.cluster.y,
                      options.grid.z / options.cluster.z};
  const std::string_view base = std::string_view(name).substr(0, name.find('.'));
  const char axis = base.size() < name.size() ? name.back() : 'x';
  const auto at = [&](const Dim3& dim) -> uint64_t { return axis == 'w' ? 0 : component(dim, axis); };
  if (base == "%tid") return at(position(uint64_t{warp} * kLanes + lane, options.block));
  if (base == "%ntid") return at(options.block);
  if (base == "%laneid") return lane;
  if (base == "%warpid") return warp;
  if (base == "%nwarpid") return cta.warps.size();
  if (base == "%ctaid") return at({cta.id[0], cta.id[1], cta.id[2]});
  if (base == "%nctaid") return at(options.grid);
  if (base == "%smid") return cta.index % 132;  // an H100 has 132 multiprocessors
  if (base == "%nsmid") return 132;
  if (base == "%gridid") return cta.launch->uid;
  if (base == "%is_explicit_cluster") return options.cluster.count() > 1 ? 1 : 0;
  if (base == "%clusterid")
    return at({cta.id[0] / options.cluster.x, cta.id[1] / options.cluster.y, cta.id[2] / options.cluster.z});
  if (base == "%nclusterid") return at(clusters);
  if (base == "%cluster_ctaid") return at(position(cta.rank, options.cluster));
  if (base == "%cluster_nctaid") return at(options.cluster);
  if (base == "%cluster_ctarank") return cta.rank;
  if (base == "%cluster_nctarank") return options.cluster.count();
  if (base == "%lanemask_eq") return uint32_t{1} << lane;
  if (base == "%lanemask_le") return (uint64_t{2} << lane) - 1;
  if (base == "%lanemask_lt") return (uint32_t{1} << lane) - 1;
  if (base == "%lanemask_ge") return ~((uint32_t{1} << lane) - 1);
  if (base == "%lanemask_gt") return static_cast<uint32_t>(~((uint64_t{2} << lane) - 1));
  if (base == "%clock" || base == "%clock64" || base == "%globaltimer" || base == "%globaltimer_lo")
    return machine.now();
  if (base == "%clock_hi" || base == "%globaltimer_hi") return machine.now() >> 32;
  if (base == "%dynamic_smem_size") return options.dynamic_shared_bytes;
  if (base == "%total_smem_size" || base == "%aggr_smem_size") return cta.shared.size();
  if (base == "%reserved_smem_offset_begin") return 0;
  if (base == "%reserved_smem_offset_end") return kSharedWindow;
  return 0;  // performance monitors and environment registers
}

bool is_clock(const std::string& name) { return name.starts_with("%clock") || name.starts_with("%globaltimer"); }

void fill_special(Machine& machine, Frame& frame, const Cta& cta, uint32_t warp, const Function::Special& special) {
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    const uint64_t value = special_value(machine, cta, warp, lane, special.name);
    std::byte* at = frame.registers + size_t{special.slot} * kUnitBytes;
    if (special.units == 1)
      reinterpret_cast<uint32_t*>(at)[lane] = static_cast<uint32_t>(value);
    else
      reinterpret_cast<uint64_t*>(at)[lane] = value;
  }
}

}  // namespace

uint32_t local_base_of(const Frame& caller, const Function& callee) {
  const uint32_t end = caller.local_base + caller.function->local_bytes;
  const uint32_t align = std::max<uint32_t>(callee.local_align, 16);
  return (end + align - 1) / align * align;
}

std::shared_ptr<Frame> new_frame(Machine& machine, Cta& cta, uint32_t warp, const Function& function,
                                 std::shared_ptr<Frame> caller) {
  auto frame = std::make_shared<Frame>();
  frame->function = &function;
  // calloc: pages of registers that no instruction reaches are never touched.
  const size_t bytes = std::max<size_t>(size_t{function.units} * kUnitBytes, kUnitBytes) + kUnitBytes;
  frame->storage.reset(static_cast<std::byte*>(std::calloc(bytes, 1)));
  if (frame->storage == nullptr) throw std::bad_alloc();
  void* aligned = frame->storage.get();
  size_t space = bytes;
  frame->registers = static_cast<std::byte*>(std::align(kUnitBytes, bytes - kUnitBytes, aligned, space));
  frame->state.resize(std::max<uint32_t>(function.units, 1));
  if (caller) {
    frame->local_base = local_base_of(*caller, function);
    frame->depth = caller->depth + 1;
  }
  if (function.local_bytes > 0) {
    const size_t first = size_t{warp} * kLanes;
    for (size_t thread = first; thread < std::min(first + kLanes, cta.local.size()); ++thread)
      if (cta.local[thread].size() < frame->local_base + function.local_bytes)
        cta.local[thread].resize(frame->local_base + function.local_bytes);
  }
  for (const Function::Constant& constant : function.constants)
    fill(*frame, constant.slot, constant.units, constant.value);
  for (const Function::LocalSlot& local : function.locals)
    fill(*frame, local.slot, local.units, (frame->local_base + local.offset) | (local.param ? kFrameParam : 0));
  for (const Function::SymbolSlot& symbol : function.symbols) {
    const auto& variables = cta.launch->program->variables;
    for (size_t i = 0; i < variables.size(); ++i)
      if (variables[i].name == symbol.symbol)
        fill(*frame, symbol.slot, 2, cta.launch->symbol_values[i] + static_cast<uint64_t>(symbol.addend));
  }
  for (const Function::Special& special : function.specials) fill_special(machine, *frame, cta, warp, special);
  frame->caller = std::move(caller);
  return frame;
}

void refresh_clocks(Machine& machine, Warp& warp, Frame& frame) {
  for (const Function::Special& special : frame.function->specials)
    if (is_clock(special.name)) fill_special(machine, frame, *warp.cta, warp.index, special);
}

}  // namespace ptxsim
