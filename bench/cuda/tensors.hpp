// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attend.hpp>
#include <cstdint>
#include <vector>

#include "verify/device_memory.hpp"

namespace attend::bench::cuda {

enum class Distribution {
  normal,    ///< N(0, 1)
  outliers,  ///< N(0, 1) + N(0, 100) in one of a thousand (arXiv:2407.08608, section 4.3)
};

/// `count` numbers of the type, stretches of a pool that is drawn once: filling a tensor costs what copying it does.
std::vector<uint16_t> drawn(DType type, Distribution distribution, int64_t count, uint64_t seed);

/// q, k, v and o of a Problem with dense tensors of one 16-bit type: on the host, and the same several times on a
/// device, so that runs in turn on all of them find nothing in its caches.
class Tensors {
 public:
  /// As many sets as it takes to be three times `cache_bytes`, 16 at most. Errors: unsupported for other Problems;
  /// out_of_memory; device.
  static Result<Tensors> make(const Device& device, const AttentionFwd& problem, Distribution distribution,
                              int64_t cache_bytes);

  int64_t sets() const { return static_cast<int64_t>(sets_.size()); }
  int64_t bytes() const;  ///< of one set
  AttentionFwdArgs host();
  AttentionFwdArgs on_device(int64_t set) const;
  /// o of set 0 becomes NaN there; read_output() fetches it.
  Status poison_output();
  Status read_output();

 private:
  enum Tensor { kQ, kK, kV, kO, kTensors };
  struct Set {
    verify::DeviceMemory memory[kTensors];
  };
  Device device_;
  std::vector<uint16_t> host_[kTensors];
  std::vector<Set> sets_;
};

}  // namespace attend::bench::cuda
