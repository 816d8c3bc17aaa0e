// SPDX-License-Identifier: Apache-2.0
// A batch whose sequences share prefixes: each prefix once for all rows that see it, then what is left of each
// sequence, then one merge of a row's parts.
#pragma once
#include <functional>
#include <memory>

#include "plan/kernel_row.hpp"
#include "plan/shared_prefix.hpp"

namespace attend::cpu {

using PrepareRun = std::function<std::shared_ptr<const plan_detail::PreparedRun>(const AttentionFwd&)>;

/// Null when no prefix is worth it. `prepare` makes the run of a part.
std::shared_ptr<const plan_detail::PreparedRun> prepare_cascade(const AttentionFwd& problem, const PlanOptions& options,
                                                                const PrepareRun& prepare);

}  // namespace attend::cpu
