// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cases.hpp"
#include "peers.hpp"
#include "product.hpp"
#include "record.hpp"
#include "stage.hpp"
#include "tensors.hpp"

namespace attend::bench::cuda {

/// Operations by the papers' count: 4 * sq * sk * d * heads * batch, half of it under one causal mask; under any other
/// mask 2 * (d + dv) for each pair that is kept.
double counted_flops(const AttentionFwd& problem);

/// Measures cases, one at a time. Each kernel's answer is checked first, and a wrong one is not timed. Then rounds: in
/// each, every contender runs for a fraction of a millisecond or once, whichever is longer, the product and the copy
/// among them, so that a clock that moves meets all of them alike. Medians are taken over rounds, ratios within them.
class Measurer {
 public:
  /// `sensors` may be null. `brief`: short versions of the cases, as always in the simulator; targets are not judged.
  Measurer(Stage& stage, Peers& peers, const Sensors* sensors, bool brief);

  /// The record of the plan's own choice first, then those of rows for comparison and of peers. Takes about `seconds`,
  /// more where five rounds need more.
  std::vector<DeviceRecord> measure(int64_t index, const Case& line, double seconds);
  /// For a case that is not measured.
  DeviceRecord skipped(int64_t index, const Case& line, const std::string& reason) const;
  /// The device has failed: nothing more can be measured by this process.
  bool lost() const { return lost_; }
  const std::map<DType, std::string>& products() const { return product_names_; }

 private:
  struct Contender;
  using Contenders = std::vector<std::unique_ptr<Contender>>;

  DeviceRecord describe(int64_t index, const Case& line) const;
  Status add_kernel(const AttentionFwd& problem, const std::string& kernel, const char* role, Tensors& tensors,
                    Contenders& contenders, DeviceRecord& record);
  void add_comparisons(const AttentionFwd& problem, Tensors& tensors, Contenders& contenders,
                       std::vector<DeviceRecord>& records);
  void add_peers(const std::string& problem, const Tensors& tensors, Contenders& contenders, DeviceRecord& subject);
  void add_ceilings(DType type, Contenders& contenders, DeviceRecord& subject);
  Status time_rounds(Contenders& contenders, double seconds, std::vector<Reading>& readings);
  void fill(DeviceRecord& record, const Contender& contender, const Contenders& all) const;
  void judge(DeviceRecord& record, const Case& line, const Contenders& all) const;
  Status noted(Status status);  ///< remembers that the device is lost

  Stage& stage_;
  Peers& peers_;
  const Sensors* sensors_;
  Provenance provenance_;
  std::map<DType, std::optional<Product>> products_;
  std::map<DType, std::string> product_names_, product_absent_;
  const bool brief_;
  bool lost_ = false;
};

}  // namespace attend::bench::cuda
