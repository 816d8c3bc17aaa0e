// SPDX-License-Identifier: Apache-2.0
// What a backend offers for one operation: rows, and for a Problem that a row takes, a prepared run.
#pragma once
#include <attend/attention.hpp>
#include <attend/attention_bwd.hpp>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace attend::plan_detail {

/// A Problem made ready for one row: everything that depends on lengths and masks alone. Immutable.
template <class Args>
class BasicPreparedRun {
 public:
  virtual ~BasicPreparedRun() = default;
  virtual int threads() const = 0;  ///< of the CPU; 0 on a device
  virtual int64_t tile_rows() const = 0;
  virtual int64_t tile_keys() const = 0;
  virtual size_t workspace_bytes() const = 0;
  /// Lines of explain() that only the backend knows: work list, packing, memory.
  virtual std::string explain() const = 0;
  /// `workspace` holds at least workspace_bytes().
  virtual Status run(const Args& args, std::byte* workspace) const = 0;
};

class PreparedRun : public BasicPreparedRun<AttentionFwdArgs> {
 public:
  /// As AttentionFwdPlan::memory_traffic().
  virtual Result<MemoryTraffic> memory_traffic(int64_t level_bytes) const = 0;
};
using PreparedBwdRun = BasicPreparedRun<AttentionBwdArgs>;

/// One kernel row.
template <class Problem, class Prepared>
struct BasicKernelRow {
  std::string id;   ///< `attention_fwd.avx512.f32`
  std::string isa;  ///< `avx512`
  Arithmetic arithmetic = Arithmetic::f32;
  std::string why;          ///< what the row is for
  std::string unavailable;  ///< why this machine cannot run it; empty: it can
  std::string slower;       ///< why it is not chosen on this machine though it could run; empty: it may be
  int index = 0;            ///< the backend's own number of the row
  /// Why the row does not take the Problem; empty: it does.
  std::string (*refuse)(const BasicKernelRow& row, const Problem& problem) = nullptr;
  Result<std::shared_ptr<const Prepared>> (*prepare)(const BasicKernelRow& row, const Problem& problem,
                                                     const PlanOptions& options) = nullptr;
};

using KernelRow = BasicKernelRow<AttentionFwd, PreparedRun>;
using BwdKernelRow = BasicKernelRow<AttentionBwd, PreparedBwdRun>;

}  // namespace attend::plan_detail
