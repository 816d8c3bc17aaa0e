// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace attend {

/// Instruction sets that the CPU kernels are compiled for, one row each, slowest first.
struct IsaInfo {
  std::string name;  ///< `emu`, `avx2`, `avx512`, `avx512_bf16`
  bool available = false;
  std::string reason;  ///< why not, when it is not: what the CPU lacks, or ATTEND_MAX_ISA
};

struct MachineInfo {
  std::string cpu;  ///< model name
  std::string vendor;
  int cores = 0;                                      ///< that this process may use
  int64_t l1d_bytes = 0, l2_bytes = 0, l3_bytes = 0;  ///< 0 when unknown
  std::vector<IsaInfo> isas;
};

MachineInfo machine_info();

/// Arithmetic whose rate is a roof.
enum class PeakKind : int32_t { fma_f32, dot_bf16 };

/// Measured rate in GFLOP/s of a register-only loop of that ISA's instruction on `threads` threads; 0 when the ISA is
/// not available or has no such instruction. Takes about `seconds`.
double measure_peak(const std::string& isa, PeakKind kind, int threads, double seconds = 0.05);
/// Measured rate in GB/s of reading a large buffer once on `threads` threads.
double measure_read_bandwidth(int threads, double seconds = 0.2);

}  // namespace attend
