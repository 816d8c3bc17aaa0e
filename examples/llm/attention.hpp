// SPDX-License-Identifier: Apache-2.0
// Who computes attention: attend, or one of two to compare with.
#pragma once
#include <attend/attend.hpp>
#include <memory>
#include <span>
#include <string>

namespace llm {

class Attention {
 public:
  virtual ~Attention() = default;
  /// Called once for a step, with a Problem for each kind of layer; what it prepares serves all layers. The Problems
  /// outlive the step.
  virtual void begin_step(std::span<const attend::AttentionFwd> problems) = 0;
  virtual void run(size_t kind, const attend::AttentionFwdArgs& args) = 0;
};

/// `attend`; `naive`: scores of a head in memory, products by BLAS, f32; `reference`: the same in fp64.
/// Both others decode what a cache holds first. Throws Error for another name.
std::unique_ptr<Attention> make_attention(const std::string& name, const attend::PlanOptions& options);

}  // namespace llm
