// SPDX-License-Identifier: Apache-2.0
// Which sequences of a batch begin with the same pages: what a cascade computes once for all of them (FlashInfer,
// arXiv:2501.01005, section 3.1.2, "composable formats").
#pragma once
#include <attend/attention.hpp>
#include <string>
#include <vector>

namespace attend::plan_detail {

/// Tokens [tokens.begin, tokens.end) of sequences [first, end) lie in the same pages and are seen by all their queries.
struct SharedPrefix {
  int64_t first = 0, end = 0;
  Range tokens;  ///< whole pages
};

/// The prefixes that sequences which follow one another share, of any number of levels: those of a group before those
/// of the groups within it, so that the tokens of a sequence's prefixes are all its first ones.
std::vector<SharedPrefix> shared_prefixes(const AttentionFwd& problem, int64_t least_tokens);

/// Why nothing of this Problem can be computed apart from its own keys; empty: it can.
std::string refuse_cascade(const AttentionFwd& problem);

/// The Problem of a prefix: all rows of its sequences against its tokens, without a mask. Its q, and o and lse, begin
/// at the first row of sequence `first`; o is f32, dense.
AttentionFwd prefix_problem(const AttentionFwd& problem, const SharedPrefix& prefix);

/// The Problem of the keys that are left: the first `skipped[n]` of each sequence are taken away. o is f32, dense.
AttentionFwd rest_problem(const AttentionFwd& problem, const std::vector<int64_t>& skipped);

}  // namespace attend::plan_detail
