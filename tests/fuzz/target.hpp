// SPDX-License-Identifier: Apache-2.0
// What a fuzz target has: the function that libFuzzer calls, and the inputs that mutation starts from.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace attend::fuzz {

/// Valid and almost valid inputs.
std::vector<std::string> seeds();

/// Ends the process when a promise is broken, with what it was; that is what a fuzzer sees as a finding.
inline void require(bool kept, const char* promise, const std::string& detail = {}) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %s\n%s\n", promise, detail.c_str());
  std::abort();
}

}  // namespace attend::fuzz
