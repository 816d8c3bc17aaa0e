// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/status.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "sim/hazard/report.hpp"
#include "sim/memory/tensor_map.hpp"
#include "sim/trace/options.hpp"

/// Runs PTX for sm_90a on the CPU: right numbers, the rules of synchronisation and of the memory model, no timing.
/// The way in: Module::from_file, Device, Device::launch, RunReport. sim/README.md explains the model and its limits.
namespace ptxsim {

using attend::Result;
using attend::Status;

struct Program;      // isa/program.hpp: a module, lowered
class DeviceMemory;  // memory/global.hpp

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t count() const { return uint64_t{x} * y * z; }
  friend bool operator==(const Dim3&, const Dim3&) = default;
};

/// What the module says of one kernel.
struct EntryInfo {
  struct Param {
    std::string name;
    uint32_t bytes = 0, align = 1, offset = 0;  ///< offset in the block of parameters
  };
  std::string name;  ///< mangled, as in the PTX
  std::vector<Param> params;
  uint32_t param_bytes = 0;
  uint32_t static_shared_bytes = 0;
  uint32_t registers = 0;                                                       ///< declared virtual registers
  Dim3 required_block{0, 0, 0}, max_block{0, 0, 0}, required_cluster{0, 0, 0};  ///< zeros where the module is silent
  uint32_t max_registers = 0;                                                   ///< .maxnreg; 0: silent
  bool uses_dynamic_shared = false;
};

/// A parsed and lowered PTX module; immutable, shared by launches.
class Module {
 public:
  /// Errors: invalid_argument for text that is not PTX (with its line), unsupported for an opcode, a modifier or a
  /// directive that the simulator does not know. `name` stands for the file in reports.
  static Result<Module> parse(std::string_view text, std::string name = "ptx");
  static Result<Module> from_file(const std::string& path);

  const std::vector<EntryInfo>& entries() const;
  /// Exact mangled name, or the one entry whose name contains `name`. Error: invalid_argument, listing the entries.
  Result<EntryInfo> entry(std::string_view name) const;
  const Program& program() const { return *program_; }
  const std::shared_ptr<const Program>& shared_program() const { return program_; }

 private:
  std::shared_ptr<const Program> program_;
};

/// When an asynchronous operation (copy, matrix product) takes effect between its issue and the wait that observes it.
enum class AsyncPolicy : uint8_t {
  eager,   ///< at issue
  random,  ///< after a delay drawn per operation
  latest,  ///< when no warp can run without it
  split,   ///< 16-byte chunks by themselves, their reads early or late, their writes late
};
const char* async_policy_name(AsyncPolicy policy);
inline constexpr std::array kAsyncPolicies = {AsyncPolicy::eager, AsyncPolicy::random, AsyncPolicy::latest,
                                              AsyncPolicy::split};

/// How the lanes of a diverged warp take turns.
enum class LanePolicy : uint8_t {
  reconverge,  ///< the split with the smallest pc first: lanes meet again soon
  any,         ///< any split that can run: code that relies on implicit reconvergence breaks
};

/// How matrix products accumulate; the PTX ISA fixes neither order nor rounding.
enum class Accumulate : uint8_t {
  f32,    ///< fma in f32, k ascending
  f64,    ///< exact enough to be a reference, rounded once at the end
  trunc,  ///< 8-bit floats: products aligned and cut to 13 fraction bits (our model of the device's reduced
          ///< accumulation)
};

/// One schedule. The same options and seed give the same run, bit by bit.
struct Schedule {
  uint64_t seed = 1;
  AsyncPolicy async = AsyncPolicy::random;
  LanePolicy lanes = LanePolicy::reconverge;
  uint32_t quantum = 200;            ///< a warp runs 1..quantum instructions before another gets its turn
  double spurious_failure = 0.1;     ///< probability that a try_wait which could succeed fails first
  bool elect_highest = false;        ///< elect.sync picks the highest lane, not the lowest
  bool perturb_approx = false;       ///< approximate functions err by a seeded amount within their documented bound
  bool interleave_clusters = false;  ///< several clusters resident at once: for kernels that talk through global memory
  uint32_t resident_clusters = 8;    ///< how many, when they interleave
  Accumulate accumulate = Accumulate::f32;
  /// One line of text that replays the schedule, for reports: "seed=7 async=latest lanes=any ..."
  std::string text() const;
};

struct LaunchOptions {
  Dim3 grid, block, cluster;
  uint32_t dynamic_shared_bytes = 0;
  /// Programmatic dependent launch: this grid may start before the one launched just before it on the device has ended,
  /// as early as that one allows.
  bool programmatic = false;
  uint32_t registers_per_thread =
      0;  ///< at launch, for setmaxnreg's pool; 0: .maxnreg, else 65536 / threads, at most 255
  uint64_t instruction_budget = 2'000'000'000;  ///< warp instructions; a launch that needs more counts as livelocked
};

/// Static facts of a run that guide tuning where there is no device.
struct RunCounts {
  uint64_t warp_instructions = 0, thread_instructions = 0;
  uint64_t matrix_instructions = 0, multiply_adds = 0;
  std::vector<std::pair<std::string, uint64_t>> by_class;  ///< warp instructions by class of isa.def
  uint64_t global_read_bytes = 0, global_written_bytes = 0, shared_read_bytes = 0, shared_written_bytes = 0;
  uint64_t async_copied_bytes = 0, local_bytes = 0;
  uint64_t shared_accesses = 0, shared_wavefronts = 0;  ///< equal when no access has a bank conflict
};

/// What came of a launch.
struct RunReport {
  std::vector<Hazard>
      hazards;            ///< in the order found; the same one (id, line, other line) is kept once, with its count
  bool finished = false;  ///< false: fault, deadlock or budget; the reason is a hazard of kind fault/deadlock/livelock
  RunCounts counts;
  std::shared_ptr<const Trace> trace;  ///< when TraceOptions asked for one

  bool clean() const { return finished && hazards.empty(); }
  bool has(HazardId id) const;
  /// One paragraph per hazard, with the schedule that replays it.
  std::string text() const;
};

/// Bytes of the kernel's parameters, laid out as the entry declares them.
class Arguments {
 public:
  /// Appends one parameter, aligned to its own alignment, as nvcc lays out a kernel's parameters.
  template <class T>
  Arguments& add(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return add_bytes(std::as_bytes(std::span(&value, 1)), alignof(T));
  }
  Arguments& add_bytes(std::span<const std::byte> bytes, uint32_t alignment) {
    const size_t at = (bytes_.size() + alignment - 1) / alignment * alignment;
    bytes_.resize(at + bytes.size());
    std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<ptrdiff_t>(at));
    return *this;
  }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};
template <class... T>
Arguments arguments(const T&... values) {
  Arguments out;
  (out.add(values), ...);
  return out;
}

/// A kernel with all that a launch of it needs.
struct LaunchRequest {
  const Module* module = nullptr;
  std::string entry;
  LaunchOptions options;
  Arguments args;
};

/// Which rules are checked. All by default; tests that turn one off say why.
struct Checks {
  bool memory_order = true;  ///< H04, H05, H07 to H10, H24: happens-before
  bool registers = true;     ///< H01 to H03, H11 on registers
  bool initialised = true;   ///< H11 on memory
  std::vector<HazardId> suppressed;
};

/// A simulated GPU: its memory, its loaded modules' global variables, its launches one after the other.
class Device {
 public:
  explicit Device(Schedule schedule = {}, Checks checks = {});
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// Bytes of global memory between red zones, 256-byte aligned, poisoned until written. The address is the device's.
  uint64_t alloc(size_t bytes, std::string name = {});
  void free(uint64_t address);
  /// Copies outside an allocation are errors (invalid_argument).
  Status upload(uint64_t to, std::span<const std::byte> from);
  Status download(std::span<std::byte> to, uint64_t from) const;
  Status fill(uint64_t to, uint8_t value, size_t bytes);
  template <class T>
  uint64_t upload_new(const std::vector<T>& values, std::string name = {}) {
    const uint64_t address = alloc(values.size() * sizeof(T), std::move(name));
    (void)upload(address, std::as_bytes(std::span(values)));
    return address;
  }
  template <class T>
  std::vector<T> download_all(uint64_t address, size_t count) const {
    std::vector<T> out(count);
    (void)download(std::as_writable_bytes(std::span(out)), address);
    return out;
  }

  /// Checks every documented rule of cuTensorMapEncodeTiled; H17's rules at encoding time are errors here.
  Result<TensorMap> encode_tiled(const TiledDesc& desc);
  /// Address of a module's .global or .const variable, loading the module when it is new to the device.
  Result<uint64_t> symbol(const Module& module, std::string_view name);

  /// Runs the kernel to its end, or to the fault, deadlock or exhausted budget that ends it.
  /// Errors: invalid_argument for grid, block, cluster, shared memory or parameters that the device would refuse.
  Result<RunReport> launch(const Module& module, std::string_view entry, const LaunchOptions& options,
                           const Arguments& args);
  /// What launch() would refuse: ok() or invalid_argument.
  static Status check(const LaunchRequest& request);
  /// Kernels launched one after the other into a stream. One with LaunchOptions::programmatic overlaps with the one in
  /// front of it as far as griddepcontrol lets it. The report is of all of them.
  Result<RunReport> launch_chain(std::span<const LaunchRequest> requests);

  void set_schedule(const Schedule& schedule);
  void set_trace(const TraceOptions& options);
  const Schedule& schedule() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Runs `body(schedule)` under every asynchronous policy times `seeds` seeds, varying the other choices with the seed.
/// A body that returns false is counted; returns how many were.
int for_each_schedule(int seeds, const std::function<bool(const Schedule&)>& body);

}  // namespace ptxsim
