// SPDX-License-Identifier: Apache-2.0
// The text form of a Problem: no line crashes, hangs or exhausts memory; what parses prints as a line that parses to
// the same.
#include <attend/attend.hpp>
#include <cmath>
#include <string>
#include <string_view>

#include "fuzz/target.hpp"
#include "verify/verify.hpp"

namespace attend::fuzz {

std::vector<std::string> seeds() {
  std::vector<std::string> lines{
      "attention_fwd b=2 hq=32 hk=8 sq=1000 sk=1000 d=128 dtype=bf16 mask=causal&window:512:0",
      "attention_fwd sq=1 d=1",
      "attention_fwd sq=5,0,4 sk=5,3, d=64",
      "attention_fwd b=0 sq=, sk=, d=8",
      "attention_fwd sq=99999999999999999999 d=64",
      "attention_fwd b=2147483647 sq=2147483647 d=512",
      "attention_fwd sq=4 d=8 mask=dense:0101/1010/1111/0000",
      "attention_fwd sq=4 sk=70 d=8 mask=tree:66:3ffffffffffffffff,1,0,2",
      "attention_fwd sq=64 d=8 hq=2 mask=block_sparse:32x32:0,1/1|/0",
      "attention_fwd sq=4 d=8 scale=nan softcap=inf",
      "",
  };
  verify::GeneratorLimits limits;
  limits.caches = 0.4;
  for (uint64_t seed = 0; seed < 150; ++seed) lines.push_back(verify::random_problem(seed, limits).text());
  return lines;
}

namespace {

/// Whether asking for cost and plan is a matter of milliseconds.
bool is_small(const AttentionFwd& problem) {
  return static_cast<double>(problem.b * problem.hq) * static_cast<double>(problem.sq * problem.sk + problem.sq) <
             2e6 &&
         problem.b * problem.hq < 10000;
}

void look_closer(const AttentionFwd& problem) {
  const Cost cost = problem.cost();
  int64_t pairs = 0;
  for (int64_t n = 0; n < problem.b; ++n) pairs += problem.hq * problem.query_length(n) * problem.key_length(n);
  require(cost.visible_pairs >= 0 && cost.visible_pairs <= pairs, "no more pairs are visible than there are",
          problem.text());
  require(std::isfinite(cost.flops) && std::isfinite(cost.bytes), "costs are finite", problem.text());
  PlanOptions options;
  options.threads = 2;
  const auto planned = plan(problem, options);
  require(planned.ok(), "some kernel takes every Problem that is valid",
          problem.text() + ": " + planned.status().message());
  require(!planned->explain().empty() && !planned->kernel().empty(), "a plan says what it is", problem.text());
}

}  // namespace
}  // namespace attend::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attend;
  if (size > 4096) return 0;
  // A copy of its own length: reading past the end of the view shows.
  const std::vector<char> line(data, data + size);
  const auto problem = AttentionFwd::parse(std::string_view(line.data(), line.size()));
  if (!problem.ok()) {
    fuzz::require(problem.status().code() == StatusCode::invalid_argument, "a bad line is an invalid argument");
    fuzz::require(problem.status().message().rfind("attention_fwd: ", 0) == 0, "an error names the operation",
                  problem.status().message());
    return 0;
  }
  fuzz::require(problem->check().ok(), "what parses is valid", problem->check().message());
  const std::string text = problem->text();
  const auto again = AttentionFwd::parse(text);
  fuzz::require(again.ok(), "what was printed parses", text + ": " + again.status().message());
  fuzz::require(again->text() == text, "what was printed prints the same again", text + "\n" + again->text());
  if (fuzz::is_small(*problem)) {
    fuzz::look_closer(*problem);
    fuzz::require(again->cost().visible_pairs == problem->cost().visible_pairs, "the same line is the same Problem",
                  text);
  }
  return 0;
}
