// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "sim/machine/machine.hpp"
#include "sim/memory/tensor_map_codec.hpp"
#include "sim/ptxsim.hpp"

namespace ptxsim {
namespace {

using attend::invalid_argument;
using attend::StatusCode;

/// The largest of a Hopper device (CUDA C++ Programming Guide, "Compute capabilities").
constexpr uint64_t kMaxThreads = 1024, kMaxBlockZ = 64, kMaxGridX = 0x7fffffff, kMaxGridYZ = 65535, kMaxCluster = 16;

std::string text(const Dim3& dim) {
  return std::to_string(dim.x) + " x " + std::to_string(dim.y) + " x " + std::to_string(dim.z);
}

Status check_block(const EntryInfo& entry, const Dim3& block) {
  if (block.count() == 0 || block.x > kMaxThreads || block.y > kMaxThreads || block.z > kMaxBlockZ ||
      block.count() > kMaxThreads)
    return invalid_argument("launch: block is " + text(block) + ", expected 1 to 1024 threads, at most 64 in z");
  if (entry.required_block.x != 0 && !(block == entry.required_block))
    return invalid_argument("launch: block is " + text(block) + ", expected " + text(entry.required_block) +
                            " (.reqntid of " + entry.name + ")");
  if (entry.max_block.x != 0 && block.count() > entry.max_block.count())
    return invalid_argument("launch: block is " + text(block) + ", expected at most " +
                            std::to_string(entry.max_block.count()) + " threads (.maxntid of " + entry.name + ")");
  return {};
}

Status check_grid(const EntryInfo& entry, const Dim3& grid, const Dim3& cluster) {
  if (grid.count() == 0 || grid.x > kMaxGridX || grid.y > kMaxGridYZ || grid.z > kMaxGridYZ)
    return invalid_argument("launch: grid is " + text(grid) + ", expected 1 to 2147483647 x 65535 x 65535 CTAs");
  if (grid.count() > UINT32_MAX / 2)
    return invalid_argument("launch: grid has " + std::to_string(grid.count()) + " CTAs, expected at most 2147483647");
  if (cluster.count() == 0 || cluster.count() > kMaxCluster)
    return invalid_argument("launch: cluster is " + text(cluster) + ", expected 1 to 16 CTAs");
  if (entry.required_cluster.x != 0 && !(cluster == entry.required_cluster))
    return invalid_argument("launch: cluster is " + text(cluster) + ", expected " + text(entry.required_cluster) +
                            " (.reqnctapercluster of " + entry.name + ")");
  if (grid.x % cluster.x != 0 || grid.y % cluster.y != 0 || grid.z % cluster.z != 0)
    return invalid_argument("launch: grid is " + text(grid) + ", expected a multiple of the cluster " + text(cluster));
  return {};
}

Status check_sizes(const Function& entry, const LaunchOptions& options, size_t param_bytes) {
  const uint64_t shared = uint64_t{entry.dynamic_shared_offset} - kSharedWindow + options.dynamic_shared_bytes;
  if (shared > kMaxSharedBytes)
    return invalid_argument("launch: static and dynamic shared memory take " + std::to_string(shared) +
                            " bytes, expected at most " + std::to_string(kMaxSharedBytes));
  if (param_bytes != entry.entry.param_bytes)
    return invalid_argument("launch: args has " + std::to_string(param_bytes) + " bytes, expected " +
                            std::to_string(entry.entry.param_bytes) + " (parameters of " + entry.entry.name + ")");
  return {};
}

}  // namespace

struct Device::Impl {
  Schedule schedule;
  Checks checks;
  TraceOptions trace;
  DeviceMemory memory;
  uint64_t launches = 0;
  uint32_t next_cluster_uid = 1;
  /// Addresses of the variables of the modules seen; the module is kept, so that its key stays its own.
  struct Loaded {
    std::shared_ptr<const Program> program;
    std::vector<uint64_t> addresses;
  };
  std::map<const Program*, Loaded> loaded;

  Result<const Loaded*> load(const Module& module);
};

/// Gives a module's variables their places in global memory.
Result<const Device::Impl::Loaded*> Device::Impl::load(const Module& module) {
  const Program& program = module.program();
  if (const auto found = loaded.find(&program); found != loaded.end()) return &found->second;
  Loaded fresh{module.shared_program(), {}};
  for (const Variable& variable : program.variables) {
    const uint64_t address =
        memory.alloc(std::max<uint64_t>(variable.bytes, 1), variable.name, variable.space == Space::constant);
    fresh.addresses.push_back(address);
    DeviceMemory::Block& block = *memory.find(address, 1);
    std::fill(block.initialised.begin(), block.initialised.end(), uint8_t{1});
    std::fill_n(block.data.get(), block.bytes, std::byte{0});
    std::copy(variable.initial.begin(), variable.initial.end(), block.data.get());
  }
  for (size_t i = 0; i < program.variables.size(); ++i) {
    for (const Variable::Relocation& relocation : program.variables[i].relocations) {
      const auto target = std::find_if(program.variables.begin(), program.variables.end(),
                                       [&](const Variable& each) { return each.name == relocation.symbol; });
      if (target == program.variables.end())
        return attend::unsupported("launch: initial value of " + program.variables[i].name + " is the address of " +
                                   relocation.symbol + ", which is no variable of the module");
      const uint64_t value = fresh.addresses[static_cast<size_t>(target - program.variables.begin())] +
                             static_cast<uint64_t>(relocation.addend);
      std::memcpy(memory.find(fresh.addresses[i], 1)->data.get() + relocation.at, &value, sizeof value);
    }
  }
  return &loaded.emplace(&program, std::move(fresh)).first->second;
}

Device::Device(Schedule schedule, Checks checks) : impl_(std::make_unique<Impl>()) {
  impl_->schedule = schedule;
  impl_->checks = std::move(checks);
}

Device::~Device() = default;

uint64_t Device::alloc(size_t bytes, std::string name) { return impl_->memory.alloc(bytes, std::move(name)); }
void Device::free(uint64_t address) { impl_->memory.free(address); }
void Device::set_schedule(const Schedule& schedule) { impl_->schedule = schedule; }
void Device::set_trace(const TraceOptions& options) { impl_->trace = options; }
const Schedule& Device::schedule() const { return impl_->schedule; }

Status Device::upload(uint64_t to, std::span<const std::byte> from) {
  if (from.empty()) return {};
  DeviceMemory::Block* block = impl_->memory.find(to, from.size());
  if (block == nullptr)
    return invalid_argument("upload: " + std::to_string(from.size()) + " bytes: " + impl_->memory.describe(to));
  const size_t at = to - block->address;
  std::copy(from.begin(), from.end(), block->data.get() + at);
  std::fill_n(block->initialised.begin() + static_cast<ptrdiff_t>(at), from.size(), uint8_t{1});
  return {};
}

Status Device::download(std::span<std::byte> to, uint64_t from) const {
  if (to.empty()) return {};
  const DeviceMemory::Block* block = std::as_const(impl_->memory).find(from, to.size());
  if (block == nullptr)
    return invalid_argument("download: " + std::to_string(to.size()) + " bytes: " + impl_->memory.describe(from));
  std::copy_n(block->data.get() + (from - block->address), to.size(), to.begin());
  return {};
}

Status Device::fill(uint64_t to, uint8_t value, size_t bytes) {
  const std::vector<std::byte> values(bytes, std::byte{value});
  return upload(to, values);
}

Result<TensorMap> Device::encode_tiled(const TiledDesc& desc) { return encode_tensor_map(desc); }

Result<uint64_t> Device::symbol(const Module& module, std::string_view name) {
  const Result<const Impl::Loaded*> loaded = impl_->load(module);
  if (!loaded.ok()) return loaded.status();
  const auto& variables = module.program().variables;
  for (size_t i = 0; i < variables.size(); ++i)
    if (variables[i].name == name) return (*loaded)->addresses[i];
  return invalid_argument("symbol: " + module.program().name + " has no variable " + std::string(name));
}

Result<RunReport> Device::launch(const Module& module, std::string_view entry, const LaunchOptions& options,
                                 const Arguments& args) {
  const LaunchRequest request{&module, std::string(entry), options, args};
  return launch_chain({&request, 1});
}

Status Device::check(const LaunchRequest& request) {
  if (request.module == nullptr) return invalid_argument("launch: module is null");
  const Result<EntryInfo> info = request.module->entry(request.entry);
  if (!info.ok()) return info.status();
  const Function& entry = *request.module->program().function(info.value().name);
  const LaunchOptions& options = request.options;
  Status status = check_block(entry.entry, options.block);
  if (status.ok()) status = check_grid(entry.entry, options.grid, options.cluster);
  if (status.ok()) status = check_sizes(entry, options, request.args.bytes().size());
  return status;
}

Result<RunReport> Device::launch_chain(std::span<const LaunchRequest> requests) {
  std::vector<Launch> launches(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    const LaunchRequest& request = requests[i];
    if (Status status = check(request); !status.ok()) return status;
    const Function& entry = *request.module->program().function(request.module->entry(request.entry)->name);
    const Result<const Impl::Loaded*> loaded = impl_->load(*request.module);
    if (!loaded.ok()) return loaded.status();
    Launch& launch = launches[i];
    launch.program = request.module->shared_program();
    launch.entry = &entry;
    launch.options = request.options;
    launch.params.assign(request.args.bytes().begin(), request.args.bytes().end());
    launch.uid = ++impl_->launches;
    launch.symbol_values = (*loaded)->addresses;
    launch.clusters = static_cast<uint32_t>(request.options.grid.count() / request.options.cluster.count());
  }
  Machine machine(impl_->memory, impl_->schedule, impl_->checks, impl_->trace, impl_->next_cluster_uid);
  RunReport report;
  report.finished = machine.run(launches);
  impl_->next_cluster_uid = machine.new_cluster_uid();
  report.hazards = machine.checker().take();
  report.counts = machine.counts();
  if (impl_->trace.timeline || impl_->trace.coverage || impl_->trace.bank_conflicts)
    report.trace = std::make_shared<Trace>(machine.recorder().take(machine.now()));
  return report;
}

bool RunReport::has(HazardId id) const {
  return std::any_of(hazards.begin(), hazards.end(), [&](const Hazard& hazard) { return hazard.id == id; });
}

std::string RunReport::text() const {
  std::string out;
  for (const Hazard& hazard : hazards) out += hazard.text() + "\n";
  if (!finished) out += "the launch did not finish\n";
  return out;
}

}  // namespace ptxsim
