// SPDX-License-Identifier: Apache-2.0
// The C ABI and the C++ API are one thing: same Problems, same plans, same bits.
#include <attend/attend.h>
#include <gtest/gtest.h>

#include <array>
#include <attend/attend.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/capi/counted_new.hpp"
#include "verify/verify.hpp"

namespace attend {
namespace {

struct DestroyProblem {
  void operator()(attend_attention_fwd* problem) const { attend_attention_fwd_destroy(problem); }
};
struct DestroyPlan {
  void operator()(attend_attention_fwd_plan* plan) const { attend_attention_fwd_plan_destroy(plan); }
};
using CProblem = std::unique_ptr<attend_attention_fwd, DestroyProblem>;
using CPlan = std::unique_ptr<attend_attention_fwd_plan, DestroyPlan>;

CProblem make(const attend_attention_fwd_desc& desc) {
  attend_attention_fwd* problem = nullptr;
  EXPECT_EQ(attend_attention_fwd_create(&desc, &problem), ATTEND_OK) << attend_last_error_message();
  return CProblem(problem);
}

CProblem make(const std::string& text) {
  attend_attention_fwd* problem = nullptr;
  EXPECT_EQ(attend_attention_fwd_create_from_text(text.c_str(), &problem), ATTEND_OK) << attend_last_error_message();
  return CProblem(problem);
}

CPlan make_plan(const CProblem& problem, const attend_plan_options* options = nullptr) {
  attend_attention_fwd_plan* plan = nullptr;
  EXPECT_EQ(attend_attention_fwd_plan_create(problem.get(), options, &plan), ATTEND_OK) << attend_last_error_message();
  return CPlan(plan);
}

std::string text_of(const CProblem& problem) {
  size_t length = 0;
  EXPECT_EQ(attend_attention_fwd_text(problem.get(), nullptr, 0, &length), ATTEND_OK);
  std::string text(length, '?');
  EXPECT_EQ(attend_attention_fwd_text(problem.get(), text.data(), length + 1, nullptr), ATTEND_OK);
  return text;
}

attend_attention_fwd_args c_args(const AttentionFwdArgs& from) {
  attend_attention_fwd_args to = attend_attention_fwd_args_init();
  to.q = from.q;
  to.k = from.k;
  to.v = from.v;
  to.o = from.o;
  to.lse = from.lse;
  to.alibi_slopes = from.alibi_slopes;
  to.bias = from.bias;
  to.sink = from.sink;
  return to;
}

/// Output bytes of the C++ API, then of the C ABI, on the same inputs with NaN in everything unused.
void expect_same_bits(const AttentionFwd& problem, const CProblem& c_problem, uint64_t seed) {
  SCOPED_TRACE(problem.text());
  verify::Inputs inputs = verify::Inputs::make(problem, {.seed = seed});
  Result<AttentionFwdPlan> cpp = plan(problem);
  ASSERT_TRUE(cpp.ok()) << cpp.status().message();
  const Status status = cpp->run(inputs.args());
  ASSERT_TRUE(status.ok()) << status.message();
  const std::string expected = inputs.output_bytes();

  inputs.poison_outputs();
  const CPlan c_plan = make_plan(c_problem);
  ASSERT_NE(c_plan, nullptr);
  attend_plan_info info = attend_plan_info_init();
  ASSERT_EQ(attend_attention_fwd_plan_query(c_plan.get(), &info), ATTEND_OK);
  EXPECT_EQ(info.kernel, cpp->kernel());
  EXPECT_EQ(info.isa, cpp->isa());
  EXPECT_EQ(info.arithmetic, static_cast<attend_arithmetic>(cpp->arithmetic()));
  EXPECT_EQ(info.threads, cpp->threads());
  EXPECT_EQ(info.tile_rows, cpp->tile_rows());
  EXPECT_EQ(info.tile_keys, cpp->tile_keys());
  EXPECT_EQ(info.workspace_bytes, cpp->workspace_bytes());
  EXPECT_EQ(info.candidate_count, static_cast<int64_t>(cpp->candidates().size()));
  std::vector<std::byte> workspace(info.workspace_bytes + 1);
  const attend_attention_fwd_args args = c_args(inputs.args());
  ASSERT_EQ(attend_attention_fwd_run(c_plan.get(), &args, workspace.data(), info.workspace_bytes), ATTEND_OK)
      << attend_last_error_message();
  EXPECT_EQ(inputs.output_bytes(), expected);

  const Cost cost = problem.cost();
  attend_attention_fwd_cost c_cost = attend_attention_fwd_cost_init();
  ASSERT_EQ(attend_attention_fwd_query_cost(c_problem.get(), &c_cost), ATTEND_OK);
  EXPECT_EQ(c_cost.visible_pairs, cost.visible_pairs);
  EXPECT_EQ(c_cost.flops, cost.flops);
  EXPECT_EQ(c_cost.bytes, cost.bytes);
}

/// One kind of mask, said in C and in C++, for 2 sequences, 4 query heads over 2, 37 queries and 150 keys.
struct MaskCase {
  const char* name;
  std::function<attend_mask_term()> c;
  std::function<Mask(const AttentionFwd&)> cpp;
};

const std::vector<int64_t> kPrefix = {20, 131};
const std::vector<int64_t> kDocuments = {0, 60, 61, 130};
const std::vector<int64_t> kBegin = {0, 17}, kEnd = {150, 93};
const std::vector<int64_t> kRowPtr = {0, 2, 3, 3, 5};
const std::vector<int32_t> kColumns = {0, 2, 1, 0, 4};
const std::vector<int64_t> kRowPtrPerHead = {0, 2, 3, 3, 5, 6, 7, 8, 9, 9, 9, 9, 10, 10, 10, 11, 12};
const std::vector<int32_t> kColumnsPerHead = {0, 2, 1, 0, 4, 0, 1, 2, 3, 4, 0, 2};

std::vector<uint64_t> tree_bits() {
  std::vector<uint64_t> bits(37 * 2);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = 0x9e3779b97f4a7c15u * (i + 1);
  for (size_t row = 0; row < 37; ++row) bits[row * 2 + 1] &= (uint64_t{1} << 6) - 1;  // 70 keys
  return bits;
}
const std::vector<uint64_t> kTree = tree_bits();

std::vector<uint8_t> dense_bytes(size_t copies) {
  std::vector<uint8_t> bytes(copies * 37 * 150);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>((i * 2654435761u >> 13) % 3);
  return bytes;
}
const std::vector<uint8_t> kDense = dense_bytes(1), kDensePerHead = dense_bytes(2 * 4);

template <class T>
attend_mask_term with_data(attend_mask_kind kind, const std::vector<T>& data, int64_t a = 0) {
  return attend_mask_with_data(kind, a, data.data(), static_cast<int64_t>(data.size()));
}

attend_mask_term sparse(const std::vector<int64_t>& row_ptr, const std::vector<int32_t>& columns, int32_t per_head) {
  attend_mask_term term = with_data(ATTEND_MASK_BLOCK_SPARSE, row_ptr, 10);
  term.b = 32;
  term.data2 = columns.data();
  term.count2 = static_cast<int64_t>(columns.size());
  term.per_head = per_head;
  return term;
}

attend_mask_term padding(bool left) {
  attend_mask_term term = with_data(ATTEND_MASK_PADDING, kEnd);
  term.data2 = left ? kBegin.data() : nullptr;
  term.count2 = left ? 2 : 0;
  return term;
}

attend_mask_term streaming() {
  attend_mask_term term = attend_mask_term_init(ATTEND_MASK_STREAMING);
  term.a = 5;
  term.b = 40;
  return term;
}

attend_mask_term dense(const std::vector<uint8_t>& allow, int32_t per_batch, int32_t per_head) {
  attend_mask_term term = with_data(ATTEND_MASK_DENSE, allow);
  term.per_batch = per_batch;
  term.per_head = per_head;
  return term;
}

const std::vector<MaskCase> kMaskCases = {
    {"causal", [] { return attend_mask_term_init(ATTEND_MASK_CAUSAL); },
     [](const AttentionFwd&) { return Mask::causal(); }},
    {"causal_top_left", [] { return attend_mask_term_init(ATTEND_MASK_CAUSAL_TOP_LEFT); },
     [](const AttentionFwd&) { return Mask(CausalTopLeft{}); }},
    {"window", [] { return attend_mask_window(11, 4); }, [](const AttentionFwd&) { return Mask::window(11, 4); }},
    {"chunk", [] { return attend_mask_with_data(ATTEND_MASK_CHUNK, 33, nullptr, 0); },
     [](const AttentionFwd&) { return Mask(Chunk{33}); }},
    {"prefix_lm", [] { return with_data(ATTEND_MASK_PREFIX_LM, kPrefix); },
     [](const AttentionFwd&) { return Mask(PrefixLm{kPrefix}); }},
    {"documents", [] { return with_data(ATTEND_MASK_DOCUMENTS, kDocuments); },
     [](const AttentionFwd&) { return Mask(Documents{kDocuments}); }},
    {"block_sparse", [] { return sparse(kRowPtr, kColumns, 0); },
     [](const AttentionFwd&) {
       return Mask(BlockSparse{10, 32, kRowPtr, kColumns, 1, 4});
     }},
    {"block_sparse_per_head", [] { return sparse(kRowPtrPerHead, kColumnsPerHead, 1); },
     [](const AttentionFwd&) {
       return Mask(BlockSparse{10, 32, kRowPtrPerHead, kColumnsPerHead, 4, 4});
     }},
    {"padding", [] { return padding(false); },
     [](const AttentionFwd&) {
       return Mask(Padding{{}, kEnd});
     }},
    {"padding_left", [] { return padding(true); },
     [](const AttentionFwd&) {
       return Mask(Padding{kBegin, kEnd});
     }},
    {"tree", [] { return with_data(ATTEND_MASK_TREE, kTree, 70); },
     [](const AttentionFwd&) {
       return Mask(Tree{70, kTree, 37});
     }},
    {"dense", [] { return dense(kDense, 0, 0); },
     [](const AttentionFwd&) {
       return Mask(Dense{kDense, 37, 150, false, false, 1});
     }},
    {"dense_per_batch_and_head", [] { return dense(kDensePerHead, 1, 1); },
     [](const AttentionFwd&) {
       return Mask(Dense{kDensePerHead, 37, 150, true, true, 4});
     }},
    {"streaming", streaming,
     [](const AttentionFwd&) {
       return Mask(Streaming{5, 40});
     }},
};

attend_attention_fwd_desc masked_desc(const std::vector<attend_mask_term>& terms) {
  attend_attention_fwd_desc desc = attend_attention_fwd_desc_init();
  desc.b = 2;
  desc.hq = 4;
  desc.hk = 2;
  desc.sq = 37;
  desc.sk = 150;
  desc.d = 24;
  desc.lse = 1;
  desc.layout = ATTEND_BHSD;
  desc.mask_terms = terms.data();
  desc.mask_count = static_cast<int64_t>(terms.size());
  return desc;
}

AttentionFwd masked_problem() {
  AttentionFwd problem = AttentionFwd::dense(Layout::bhsd, DType::f32, 2, 4, 2, 37, 150, 24);
  problem.lse = true;
  return problem;
}

TEST(Capi, every_mask_kind_means_the_same) {
  std::vector<bool> seen(std::variant_size_v<MaskTerm> - 1);
  for (const MaskCase& test : kMaskCases) {
    SCOPED_TRACE(test.name);
    const std::vector<attend_mask_term> terms = {test.c()};
    seen[static_cast<size_t>(terms[0].kind)] = true;
    AttentionFwd problem = masked_problem();
    problem.mask = test.cpp(problem);
    const CProblem c_problem = make(masked_desc(terms));
    ASSERT_NE(c_problem, nullptr);
    EXPECT_EQ(text_of(c_problem), problem.text());
    expect_same_bits(problem, c_problem, 5);
  }
  for (size_t kind = 0; kind < seen.size(); ++kind) {
    EXPECT_TRUE(seen[kind]) << "no case for " << attend_mask_name(static_cast<attend_mask_kind>(kind));
  }
}

TEST(Capi, intersections_keep_order_and_meaning) {
  for (size_t i = 0; i < kMaskCases.size(); ++i) {
    const MaskCase &one = kMaskCases[i], &other = kMaskCases[(i * 5 + 3) % kMaskCases.size()];
    SCOPED_TRACE(std::string(one.name) + "&" + other.name);
    const std::vector<attend_mask_term> terms = {one.c(), other.c()};
    AttentionFwd problem = masked_problem();
    problem.mask = one.cpp(problem) & other.cpp(problem);
    const CProblem c_problem = make(masked_desc(terms));
    ASSERT_NE(c_problem, nullptr);
    EXPECT_EQ(text_of(c_problem), problem.text());
    expect_same_bits(problem, c_problem, 6);
  }
}

// Text, to C, described, made again from the description: nothing gets lost, and the bits are those of the C++ API.
TEST(Capi, random_problems_survive_the_way_through_descriptors) {
  const verify::GeneratorLimits limits{
      .max_rows = 150, .max_batch = 3, .max_heads = 4, .max_columns = 160, .max_work = 2e6, .served = {}};
  for (uint64_t seed = 0; seed < 250; ++seed) {
    const AttentionFwd problem = verify::random_problem(seed, limits);
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + problem.text());
    const CProblem from_text = make(problem.text());
    ASSERT_NE(from_text, nullptr);
    EXPECT_EQ(text_of(from_text), problem.text());
    attend_attention_fwd_desc desc = attend_attention_fwd_desc_init();
    ASSERT_EQ(attend_attention_fwd_describe(from_text.get(), &desc), ATTEND_OK) << attend_last_error_message();
    const CProblem from_desc = make(desc);
    ASSERT_NE(from_desc, nullptr);
    expect_same_bits(problem, from_desc, seed);
    if (HasFatalFailure()) return;
  }
}

TEST(Capi, run_allocates_nothing) {
  const AttentionFwd problem = masked_problem();
  const CProblem c_problem = make(problem.text());
  attend_plan_options options = attend_plan_options_init();
  options.threads = 1;
  const CPlan c_plan = make_plan(c_problem, &options);
  verify::Inputs inputs = verify::Inputs::make(problem);
  attend_plan_info info = attend_plan_info_init();
  ASSERT_EQ(attend_attention_fwd_plan_query(c_plan.get(), &info), ATTEND_OK);
  std::vector<std::byte> workspace(info.workspace_bytes + 1);
  const attend_attention_fwd_args args = c_args(inputs.args());
  const int64_t before = allocations_of_this_thread();
  const attend_status status = attend_attention_fwd_run(c_plan.get(), &args, workspace.data(), info.workspace_bytes);
  const int64_t during = allocations_of_this_thread() - before;
  EXPECT_EQ(status, ATTEND_OK) << attend_last_error_message();
  EXPECT_EQ(during, 0);
  EXPECT_GT(before, 0);  // the counter counts
}

/// Runs the call with its first allocation failing, its second, and so on, until it is through without a failure. It
/// must say that it is out of memory, or succeed all the same (a sort can do without its buffer). Returns how often it
/// said so.
int64_t out_of_memory_answers(const std::function<attend_status()>& call) {
  int64_t answers = 0;
  for (int64_t after = 0;; ++after) {
    const int64_t before = allocations_of_this_thread();
    fail_allocation(after);
    const attend_status status = call();
    fail_allocation(-1);
    if (allocations_of_this_thread() - before <= after) {
      EXPECT_EQ(status, ATTEND_OK) << attend_last_error_message();
      return answers;
    }
    if (status == ATTEND_OK) continue;
    ++answers;
    EXPECT_EQ(status, ATTEND_OUT_OF_MEMORY) << "allocation " << after << ": " << attend_last_error_message();
    const std::string message = attend_last_error_message();
    EXPECT_TRUE(message.find("memory") != message.npos || message.find("allocate") != message.npos) << message;
  }
}

// No handle then, and (under AddressSanitizer) no leak.
TEST(Capi, out_of_memory_is_a_status) {
  const std::vector<attend_mask_term> terms = {padding(true), sparse(kRowPtr, kColumns, 0)};
  const attend_attention_fwd_desc desc = masked_desc(terms);
  const auto create = [&] {
    attend_attention_fwd* problem = nullptr;
    const attend_status status = attend_attention_fwd_create(&desc, &problem);
    EXPECT_EQ(problem == nullptr, status != ATTEND_OK);
    attend_attention_fwd_destroy(problem);
    return status;
  };
  EXPECT_GT(out_of_memory_answers(create), 6);

  const CProblem problem = make(desc);
  const std::string text = text_of(problem);
  const auto parse = [&] {
    attend_attention_fwd* parsed = nullptr;
    const attend_status status = attend_attention_fwd_create_from_text(text.c_str(), &parsed);
    EXPECT_EQ(parsed == nullptr, status != ATTEND_OK);
    attend_attention_fwd_destroy(parsed);
    return status;
  };
  EXPECT_GT(out_of_memory_answers(parse), 6);

  attend_plan_options options = attend_plan_options_init();
  options.threads = 1;
  const auto plan = [&] {
    attend_attention_fwd_plan* planned = nullptr;
    const attend_status status = attend_attention_fwd_plan_create(problem.get(), &options, &planned);
    EXPECT_EQ(planned == nullptr, status != ATTEND_OK);
    attend_attention_fwd_plan_destroy(planned);
    return status;
  };
  EXPECT_GT(out_of_memory_answers(plan), 2);

  const CPlan planned = make_plan(problem, &options);
  verify::Inputs inputs = verify::Inputs::make(masked_problem());
  const attend_attention_fwd_args args = c_args(inputs.args());
  EXPECT_GT(out_of_memory_answers([&] { return attend_attention_fwd_run_alloc(planned.get(), &args); }), 0);
}

TEST(Capi, reasons_are_those_of_the_plan) {
  const AttentionFwd problem = masked_problem();
  const CProblem c_problem = make(problem.text());
  const CPlan c_plan = make_plan(c_problem);
  const Result<AttentionFwdPlan> cpp = plan(problem);
  ASSERT_TRUE(cpp.ok());
  for (size_t i = 0; i < cpp->candidates().size(); ++i) {
    attend_candidate candidate = attend_candidate_init();
    ASSERT_EQ(attend_attention_fwd_plan_candidate(c_plan.get(), static_cast<int64_t>(i), &candidate), ATTEND_OK);
    EXPECT_EQ(candidate.kernel, cpp->candidates()[i].kernel);
    EXPECT_EQ(candidate.reason, cpp->candidates()[i].reason);
    EXPECT_EQ(candidate.accepted != 0, cpp->candidates()[i].accepted);
  }
  std::array<char, 16384> explained;
  ASSERT_EQ(attend_attention_fwd_plan_explain(c_plan.get(), explained.data(), explained.size(), nullptr), ATTEND_OK);
  EXPECT_EQ(std::string(explained.data()), cpp->explain());
}

}  // namespace
}  // namespace attend
