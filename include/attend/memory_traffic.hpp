// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

namespace attend {

/// Schedules of the literature, for one query head of one sequence at a time: heads of a group read the same keys
/// again.
enum class Schedule : int32_t {
  /// Three passes over the whole of S = QK^T and P = softmax(S), which are written and read back (FlashAttention,
  /// arXiv:2205.14135, algorithm 0). S has the type of q, P that of v. A mask saves nothing.
  naive = 0,
  /// Outer loop over blocks of K and V, inner loop over blocks of Q, O, l and m, which are read and written each time
  /// (the same, algorithm 1). O has the type of o, l and m are f32. Tiles that the mask skips are not moved (section
  /// 3.3, block-sparse FlashAttention).
  flash_attention_1 = 1,
};

/// Bytes that cross between main memory and a memory level of limited size (registers, shared memory or a cache) that
/// everything computed passes through and that is managed by hand: nothing comes before it is asked for or goes before
/// it is let go. Counted are Q, K, V, O, the log-sum-exp and what the schedule itself stores; not masks, biases, slopes
/// and sinks. Counts stop at 2^63 - 1.
struct MemoryTraffic {
  int64_t read = 0;     ///< from main memory
  int64_t written = 0;  ///< to main memory
  bool operator==(const MemoryTraffic&) const = default;
};

}  // namespace attend
