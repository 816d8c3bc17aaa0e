// SPDX-License-Identifier: Apache-2.0
// One function per suite; suites.cpp lists them.
#pragma once
#include <vector>

#include "case.hpp"

namespace attend::bench {

std::vector<Case> cpu_backward_cases();
std::vector<Case> cpu_decode_cases();
std::vector<Case> cpu_prefill_cases();
std::vector<Case> cpu_serve_cases();
std::vector<Case> paper_cases();
std::vector<Case> quick_cases();

}  // namespace attend::bench
