// SPDX-License-Identifier: Apache-2.0
#include "support/kernel_test.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <stdexcept>
#include <utility>

#include "verify/element.hpp"

namespace attend::test {
namespace {

constexpr DType kTypes[] = {
#define ATTEND_DTYPE(name, bytes, significand_bits, safetensors, npy) DType::name,
#include <attend/dtypes.def>
#undef ATTEND_DTYPE
};

AttentionFwd smallest(DType type) { return AttentionFwd::dense(Layout::bshd, type, 1, 1, 1, 1, 1, 1); }

/// Words of a row's id: `attention_fwd.avx512.f32`.
std::vector<std::string> words_of(const std::string& kernel) {
  std::vector<std::string> words(1);
  for (const char c : kernel) {
    if (c == '.') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  words.resize(std::max<size_t>(words.size(), 3));
  return words;
}

/// Why the machine cannot run the row, by what it says of its instruction sets.
std::string missing_isa(const std::string& kernel) {
  const std::string isa = words_of(kernel)[1];
  for (const IsaInfo& each : machine_info().isas) {
    if (each.name == isa) return each.available ? "" : each.reason.empty() ? "not available" : each.reason;
  }
  return "";
}

std::vector<KernelCase> find_cases() {
  std::vector<KernelCase> cases;
  const auto planned = plan(smallest(DType::f32));
  if (!planned.ok()) {
    std::fprintf(stderr, "no kernel: %s\n", planned.status().message().c_str());
    return cases;
  }
  for (const Candidate& row : planned->candidates()) {
    if (std::string missing = missing_isa(row.kernel); !missing.empty()) {
      cases.push_back({row.kernel, DType::f32, std::move(missing)});
      continue;
    }
    for (const DType type : kTypes) {
      PlanOptions options;
      options.kernel = row.kernel;
      if (plan(smallest(type), options).ok()) cases.push_back({row.kernel, type, ""});
    }
  }
  return cases;
}

struct Ratio {
  double largest = 0;
  int64_t problems = 0, rows = 0;
};

/// Prints at the end of the program.
class Ratios : public ::testing::Environment {
 public:
  void TearDown() override {
    for (const auto& [kernel, ratio] : kernels) {
      std::printf("[   ratio  ] %s: largest error / bound %.3f (%lld problems, %lld rows)\n", kernel.c_str(),
                  ratio.largest, static_cast<long long>(ratio.problems), static_cast<long long>(ratio.rows));
    }
  }
  std::map<std::string, Ratio> kernels;
};
Ratios* const ratios = static_cast<Ratios*>(::testing::AddGlobalTestEnvironment(new Ratios));

/// GoogleTest makes the exception a failure of the test.
AttentionFwdPlan must_plan(const AttentionFwd& problem, const PlanOptions& options) {
  auto planned = plan(problem, options);
  if (!planned.ok()) throw std::runtime_error("plan: " + planned.status().message() + "\n  " + problem.text());
  return *planned;
}

}  // namespace

const std::vector<KernelCase>& kernel_cases() {
  static const std::vector<KernelCase> cases = find_cases();
  return cases;
}

std::string case_name(const KernelCase& each) {
  const std::vector<std::string> words = words_of(each.kernel);
  std::string name = words[1];
  for (size_t i = 2; i < words.size(); ++i) name += "_" + words[i];
  return each.missing.empty() ? name + "_on_" + dtype_name(each.type) : name;
}

void PrintTo(const KernelCase& each, std::ostream* out) { *out << case_name(each); }

const std::vector<MaskKind>& mask_kinds() {
  static const std::vector<MaskKind> kinds = {
#define ATTEND_MASK(Type, name, doc) MaskKind::name,
#include <attend/mask/masks.def>
#undef ATTEND_MASK
  };
  return kinds;
}

const char* mask_name(MaskKind kind) {
  switch (kind) {
#define ATTEND_MASK(Type, name, doc) \
  case MaskKind::name:               \
    return #name;
#include <attend/mask/masks.def>
#undef ATTEND_MASK
  }
  return "?";
}

Evaluation::Evaluation(const AttentionFwd& asked, const PlanOptions& options, const verify::FillOptions& fill)
    : problem(asked), inputs(verify::Inputs::make(asked, fill)), planned(must_plan(asked, options)) {
  again();
}

void Evaluation::again() {
  inputs.poison_outputs();
  const Status status = planned.run(inputs.args());
  EXPECT_TRUE(status.ok()) << status.message() << "\n  " << problem.text();
}

double Evaluation::o(int64_t n, int64_t head, int64_t row, int64_t c) const {
  return verify::load_element(problem.o_type, inputs.args().o, problem.o_offset(n, row, head) + c);
}

double Evaluation::lse(int64_t n, int64_t head, int64_t row) const {
  return static_cast<double>(inputs.args().lse[problem.lse_offset(n, row, head)]);
}

std::string Evaluation::row_bytes(int64_t n, int64_t head, int64_t row) const {
  const auto* begin =
      static_cast<const char*>(inputs.args().o) + problem.o_offset(n, row, head) * dtype_bytes(problem.o_type);
  std::string bytes(begin, static_cast<size_t>(problem.dv * dtype_bytes(problem.o_type)));
  if (problem.lse) {
    bytes.append(reinterpret_cast<const char*>(inputs.args().lse + problem.lse_offset(n, row, head)), sizeof(float));
  }
  return bytes;
}

Comparison Evaluation::compare() const {
  const Comparison comparison = compare_with_reference(problem, inputs.args(), planned.arithmetic());
  record_ratio(planned.kernel(), comparison);
  return comparison;
}

::testing::AssertionResult same_bytes(const std::string& found, const std::string& expected, DType type) {
  if (found == expected) return ::testing::AssertionSuccess();
  if (found.size() != expected.size())
    return ::testing::AssertionFailure() << found.size() << " bytes, not " << expected.size();
  const auto [at, other] = std::mismatch(found.begin(), found.end(), expected.begin());
  const int64_t i = (at - found.begin()) / dtype_bytes(type);
  return ::testing::AssertionFailure() << "element " << i << " is " << verify::load_element(type, found.data(), i)
                                       << ", expected " << verify::load_element(type, expected.data(), i);
}

bool expect_within_bound(const AttentionFwd& problem, const PlanOptions& options, const verify::FillOptions& fill) {
  const verify::CheckResult result = verify::check_problem(problem, fill, options);
  if (result.refused) return false;
  EXPECT_TRUE(result.passed) << result.message;
  record_ratio(result.kernel, result.comparison);
  return true;
}

void record_ratio(const std::string& kernel, const Comparison& comparison) {
  Ratio& ratio = ratios->kernels[kernel];
  ratio.largest = std::max(ratio.largest, comparison.max_ratio);
  ratio.rows += comparison.rows;
  ++ratio.problems;
}

}  // namespace attend::test
