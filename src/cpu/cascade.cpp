// SPDX-License-Identifier: Apache-2.0
#include "cpu/cascade.hpp"

#include <algorithm>

#include "cpu/block.hpp"
#include "cpu/merge.hpp"
#include "cpu/parallel.hpp"
#include "ops/row_bytes.hpp"

namespace attend::cpu {
namespace {

using plan_detail::PreparedRun;
using plan_detail::SharedPrefix;

/// Shorter prefixes save less than their merge costs.
constexpr int64_t kLeastTokens = 256;

class CascadeRun final : public PreparedRun {
 public:
  CascadeRun(const AttentionFwd& problem, const PlanOptions& options, const std::vector<SharedPrefix>& prefixes,
             const PrepareRun& prepare)
      : problem_(problem), executor_(options.executor) {
    std::vector<int64_t> skipped(static_cast<size_t>(problem.b));
    for (const SharedPrefix& prefix : prefixes) {
      add(plan_detail::prefix_problem(problem, prefix), prefix, prepare);
      for (int64_t n = prefix.first; n < prefix.end; ++n) skipped[n] = prefix.tokens.end;
    }
    add(plan_detail::rest_problem(problem, skipped), {0, problem.b, {}}, prepare);
    for (int64_t n = 0; n < problem.b; ++n) {
      first_row_.push_back(rows_);
      rows_ += problem.query_length(n);
    }
  }

  int threads() const override { return parts_.back().run->threads(); }
  int64_t tile_rows() const override { return parts_.back().run->tile_rows(); }
  int64_t tile_keys() const override { return parts_.back().run->tile_keys(); }
  size_t workspace_bytes() const override { return static_cast<size_t>(outputs_ + largest_ + kWorkspaceAlignment); }

  /// The runs of the parts, then a row and head after the other: o and log-sum-exp of each part that has it come in.
  Result<MemoryTraffic> memory_traffic(int64_t level_bytes) const override {
    const RowBytes row(problem_);
    MemoryTraffic moved;
    for (const Part& part : parts_) {
      const Result<MemoryTraffic> own = part.run->memory_traffic(level_bytes);
      if (!own.ok()) return own.status();
      const RowBytes of_part(part.problem);
      moved.read += own->read + part.rows * problem_.hq * (of_part.o + of_part.lse);
      moved.written += own->written;
    }
    moved.written += rows_ * problem_.hq * (row.o + row.lse);
    return moved;
  }

  std::string explain() const override {
    std::string text =
        "cascade    " + std::to_string(parts_.size() - 1) + " shared prefixes, then each sequence's rest\n";
    for (const Part& part : parts_)
      text += "  part     " + std::to_string(part.problem.sq) + " rows of sequences " +
              std::to_string(part.prefix.first) + " to " + std::to_string(part.prefix.end - 1) + ", at most " +
              std::to_string(part.problem.sk) + " keys\n";
    return text + parts_.back().run->explain();
  }

  Status run(const AttentionFwdArgs& args, std::byte* workspace) const override {
    std::byte* base = workspace + (-reinterpret_cast<uintptr_t>(workspace) & (kWorkspaceAlignment - 1));
    for (const Part& part : parts_) {
      AttentionFwdArgs own = args;
      own.q =
          static_cast<const char*>(args.q) + problem_.q_offset(part.prefix.first, 0, 0) * dtype_bytes(problem_.q_type);
      own.o = base + part.o;
      own.lse = reinterpret_cast<float*>(base + part.lse);
      if (Status status = part.run->run(own, base + outputs_); !status.ok()) return status;
    }
    parallel_for(executor_, threads(), rows_, [&](int64_t i, int) {
      const int64_t n = std::upper_bound(first_row_.begin(), first_row_.end(), i) - first_row_.begin() - 1;
      for (int64_t head = 0; head < problem_.hq; ++head) merge_heads(args, base, n, i - first_row_[n], head);
    });
    return {};
  }

 private:
  struct Part {
    AttentionFwd problem;
    SharedPrefix prefix;
    std::shared_ptr<const PreparedRun> run;
    int64_t rows = 0;        ///< of each head
    int64_t o = 0, lse = 0;  ///< in the workspace
  };

  void add(AttentionFwd problem, const SharedPrefix& prefix, const PrepareRun& prepare) {
    Part part{std::move(problem), prefix, nullptr, 0, 0, 0};
    part.run = prepare(part.problem);
    for (int64_t n = 0; n < part.problem.b; ++n) part.rows += part.problem.query_length(n);
    part.o = outputs_;
    part.lse = outputs_ + align_up(part.rows * part.problem.hq * part.problem.dv * 4);
    outputs_ = align_up(part.lse + part.problem.lse_size() * 4);
    largest_ = std::max(largest_, static_cast<int64_t>(part.run->workspace_bytes()));
    parts_.push_back(std::move(part));
  }

  /// One row of one head of sequence n, from all parts that have it.
  void merge_heads(const AttentionFwdArgs& args, const std::byte* base, int64_t n, int64_t row, int64_t head) const {
    struct Row {
      const CascadeRun& self;
      const std::byte* base;
      int64_t n, row, head;
    } here{*this, base, n, row, head};
    const MergeParts found{static_cast<int64_t>(parts_.size()),
                           [](const void* self, int64_t i) -> MergePart {
                             const Row& at = *static_cast<const Row*>(self);
                             return at.self.part_of(at.base, at.self.parts_[static_cast<size_t>(i)], at.n, at.row,
                                                    at.head);
                           },
                           &here};
    auto* o = static_cast<std::byte*>(args.o) + problem_.o_offset(n, row, head) * dtype_bytes(problem_.o_type);
    const float lse = merge_row(found, o, problem_.o_type, problem_.dv);
    if (problem_.lse) args.lse[problem_.lse_offset(n, row, head)] = lse;
  }

  MergePart part_of(const std::byte* base, const Part& part, int64_t n, int64_t row, int64_t head) const {
    if (n < part.prefix.first || n >= part.prefix.end) return {nullptr, DType::f32, -__builtin_inff()};
    const bool rest = &part == &parts_.back();
    const int64_t sequence = rest ? n : 0, at = rest ? row : first_row_[n] - first_row_[part.prefix.first] + row;
    return {base + part.o + part.problem.o_offset(sequence, at, head) * 4, DType::f32,
            reinterpret_cast<const float*>(base + part.lse)[part.problem.lse_offset(sequence, at, head)]};
  }

  AttentionFwd problem_;
  const Executor* executor_;
  std::vector<Part> parts_;  ///< prefixes, then the rest
  std::vector<int64_t> first_row_;
  int64_t rows_ = 0, outputs_ = 0, largest_ = 0;
};

}  // namespace

std::shared_ptr<const PreparedRun> prepare_cascade(const AttentionFwd& problem, const PlanOptions& options,
                                                   const PrepareRun& prepare) {
  if (!options.cascade || options.guarantee == Guarantee::batch_invariant) return nullptr;
  if (!plan_detail::refuse_cascade(problem).empty()) return nullptr;
  const std::vector<SharedPrefix> prefixes = plan_detail::shared_prefixes(problem, kLeastTokens);
  if (prefixes.empty()) return nullptr;
  return std::make_shared<CascadeRun>(problem, options, prefixes, prepare);
}

}  // namespace attend::cpu
