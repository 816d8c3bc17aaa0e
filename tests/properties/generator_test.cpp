// SPDX-License-Identifier: Apache-2.0
// The tools that judge kernels are judged first.
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <string>

#include "support/kernel_test.hpp"
#include "verify/element.hpp"
#include "verify/guarded_buffer.hpp"

namespace attend::test {
namespace {

TEST(generator, problems_are_valid_and_round_trip) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const AttentionFwd problem = verify::random_problem(seed);
    ASSERT_TRUE(problem.check().ok()) << problem.text() << "\n  " << problem.check().message();
    const auto parsed = AttentionFwd::parse(problem.text());
    ASSERT_TRUE(parsed.ok()) << problem.text() << "\n  " << parsed.status().message();
    EXPECT_EQ(parsed->text(), problem.text());
    EXPECT_EQ(parsed->cost().visible_pairs, problem.cost().visible_pairs) << problem.text();
  }
}

TEST(generator, draws_everything_a_problem_can_say) {
  std::map<std::string, int> seen;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const AttentionFwd p = verify::random_problem(seed);
    for (const MaskTerm& term : p.mask.terms()) ++seen[mask_name(static_cast<MaskKind>(term.index()))];
    seen["intersection"] += p.mask.terms().size() > 1;
    seen["softcap"] += p.softcap != 0;
    seen["alibi"] += p.alibi;
    seen["bias"] += p.bias.has_value();
    seen["sink"] += p.sink;
    seen["scale"] += p.scale.has_value();
    seen["lse"] += p.lse;
    seen["int32 offsets"] += !p.cu_q.empty() && !p.cu_q.is_wide();
    seen["int64 offsets"] += p.cu_k.is_wide();
    seen["mixed types"] += p.q_type != p.k_type;
    seen["ratio 3"] += p.group() == 3;
    seen["one key head"] += p.hk == 1 && p.hq > 1;
    seen["broadcast"] += p.k_strides.row == 0 && p.sk > 1;
    seen["padded rows"] += p.q_strides.row > p.d && p.q_strides.head > p.q_strides.row;
    seen["no sequence"] += p.b == 0;
    seen["no query"] += p.sq == 0;
    seen["no key"] += p.sk == 0;
    seen["wide"] += p.d > 256;
    for (const DType type : {p.q_type, p.k_type, p.v_type, p.o_type}) ++seen[dtype_name(type)];
  }
  for (const MaskKind kind : mask_kinds()) EXPECT_GT(seen[mask_name(kind)], 50) << mask_name(kind);
  for (const auto& [what, count] : seen) EXPECT_GT(count, 4) << what;
}

TEST(generator, seeds_mean_the_same_everywhere) {
  uint64_t hash = 1469598103934665603u;  // FNV-1a
  for (uint64_t seed = 0; seed < 200; ++seed) {
    for (const char c : verify::random_problem(seed).text())
      hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  }
  EXPECT_EQ(hash, 5981681406010511042u) << "the generator changed: failures reported by seed mean other Problems now";
}

TEST(generator, draws_what_devices_serve_among_the_others) {
  verify::GeneratorLimits limits;
  limits.served.share = 0.5;
  int served = 0, others = 0;
  std::map<std::string, int> seen;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const AttentionFwd p = verify::random_problem(seed, limits);
    ASSERT_TRUE(p.check().ok()) << p.text() << "\n  " << p.check().message();
    bool fits = p.q_type != DType::f32 && p.effective_scale() > 0 && p.d <= 256 && p.dv <= 256;
    for (const DType type : {p.k_type, p.v_type, p.o_type}) fits = fits && type == p.q_type;
    for (const Strides& s : {p.q_strides, p.k_strides, p.v_strides, p.o_strides})
      for (const int64_t stride : {s.row, s.head, s.batch}) fits = fits && stride % 8 == 0;
    ++(fits ? served : others);
    if (!fits) continue;
    for (const MaskTerm& term : p.mask.terms()) ++seen[mask_name(static_cast<MaskKind>(term.index()))];
    ++seen["d " + std::to_string(p.d)];
    seen["192 and 128"] += p.d == 192 && p.dv == 128;
    seen["ragged"] += !p.cu_q.empty();
    seen["group"] += p.group() > 1;
    seen["one row"] += p.sq == 1;
    seen["many keys"] += p.sk > 384;
    seen["terms"] += p.softcap != 0 || p.alibi || p.bias || p.sink;
  }
  EXPECT_GT(served, 450);
  EXPECT_GT(others, 400);
  for (const MaskKind kind : mask_kinds()) EXPECT_GT(seen[mask_name(kind)], 15) << mask_name(kind);
  for (const char* what :
       {"d 64", "d 96", "d 128", "d 192", "d 256", "192 and 128", "ragged", "group", "one row", "many keys", "terms"})
    EXPECT_GT(seen[what], 8) << what;
}

TEST(generator, respects_limits) {
  verify::GeneratorLimits limits;
  limits.max_rows = 20;
  limits.max_batch = 2;
  limits.max_heads = 3;
  limits.max_columns = 17;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const AttentionFwd p = verify::random_problem(seed, limits);
    EXPECT_LE(std::max(p.sq, p.sk), 20) << p.text();
    EXPECT_LE(p.b, 2) << p.text();
    EXPECT_LE(p.hq, 3) << p.text();
    EXPECT_LE(std::max(p.d, p.dv), 17) << p.text();
  }
}

AttentionFwd causal_problem() {
  AttentionFwd problem = AttentionFwd::dense(Layout::bshd, DType::bf16, 1, 2, 1, 3, 10, 5);
  problem.k_strides.row = 9;
  problem.o_strides = {100, 20, 7};
  problem.mask = Padding{{}, std::vector<int64_t>{8}};
  problem.lse = true;
  return problem;
}

TEST(inputs, unused_slots_hold_nan_and_used_ones_do_not) {
  const AttentionFwd problem = causal_problem();
  const verify::Inputs inputs = verify::Inputs::make(problem);
  const auto* k = static_cast<const uint16_t*>(inputs.args().k);
  for (int64_t key = 0; key < 10; ++key) {
    for (int64_t c = 0; c < (key < 9 ? 9 : 5); ++c) {
      const bool used = key < 8 && c < 5;
      EXPECT_EQ(std::isnan(verify::load_element(DType::bf16, k, key * 9 + c)), !used) << key << ", " << c;
    }
  }
  for (int64_t i = 0; i < inputs.elements(3); ++i)
    EXPECT_TRUE(std::isnan(verify::load_element(DType::bf16, inputs.args().o, i)));
  EXPECT_EQ(inputs.elements(3), 2 * 20 + 7 + 5);
  EXPECT_EQ(inputs.elements(4), 6);
  EXPECT_EQ(inputs.elements(5), 0);
}

TEST(inputs, one_element_too_far_faults) {
  const verify::Inputs inputs = verify::Inputs::make(causal_problem());
  volatile const auto* q = static_cast<const uint16_t*>(inputs.args().q);
  const int64_t count = inputs.elements(0);
  EXPECT_NE(q[count - 1], 0);
  EXPECT_DEATH(static_cast<void>(q[count]), "");
}

TEST(inputs, output_faults_are_found) {
  const AttentionFwd problem = causal_problem();
  const verify::Inputs inputs = verify::Inputs::make(problem);
  EXPECT_NE(inputs.output_fault().find("was not written"), std::string::npos);
  const auto write_all = [&] {
    for (int64_t head = 0; head < 2; ++head) {
      for (int64_t row = 0; row < 3; ++row) {
        for (int64_t c = 0; c < 5; ++c)
          verify::store_element(DType::bf16, inputs.data(3), problem.o_offset(0, row, head) + c, 1);
        verify::store_element(DType::f32, inputs.data(4), problem.lse_offset(0, row, head), 0);
      }
    }
  };
  write_all();
  EXPECT_EQ(inputs.output_fault(), "");
  for (const int64_t gap : {-1, 5, 6, 12, 19, 45}) {
    verify::store_element(DType::bf16, inputs.data(3), gap, 1);
    EXPECT_EQ(inputs.output_fault(), "element " + std::to_string(gap) + " of o lies in no row and was written");
    verify::set_element_bits(DType::bf16, inputs.data(3), gap, verify::output_poison(DType::bf16));
  }
  EXPECT_EQ(inputs.output_fault(), "");
  verify::set_element_bits(DType::f32, inputs.data(4), 3, verify::output_poison(DType::f32));
  EXPECT_EQ(inputs.output_fault(), "lse[3] was not written");
}

TEST(inputs, same_seed_same_numbers) {
  verify::FillOptions fill;
  fill.seed = 5;
  AttentionFwd problem = AttentionFwd::dense(Layout::bshd, DType::f32, 1, 2, 1, 40, 50, 16);
  const auto bytes = [](const verify::Inputs& inputs, int buffer) {
    return std::string(static_cast<const char*>(inputs.data(buffer)), static_cast<size_t>(inputs.elements(buffer)) * 4);
  };
  const verify::Inputs first = verify::Inputs::make(problem, fill), again = verify::Inputs::make(problem, fill);
  fill.seed = 6;
  const verify::Inputs other = verify::Inputs::make(problem, fill);
  for (const int buffer : {0, 1, 2}) {
    EXPECT_EQ(bytes(first, buffer), bytes(again, buffer));
    EXPECT_NE(bytes(first, buffer), bytes(other, buffer));
  }
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < first.elements(1); ++i) {
    const double k = verify::load_element(DType::f32, first.args().k, i);
    sum += k;
    squares += k * k;
  }
  EXPECT_NEAR(sum / 800, 0, 0.15);
  EXPECT_NEAR(squares / 800, 1, 0.2);
}

TEST(check, failure_names_the_replay) {
  // A Problem that no kernel takes fails to plan, and says how to see that again.
  AttentionFwd problem = AttentionFwd::dense(Layout::bshd, DType::f32, 1, 2, 1, 4, 4, 8);
  problem.scale = std::nan("");
  verify::FillOptions fill;
  fill.seed = 77;
  const verify::CheckResult result = verify::check_problem(problem, fill);
  EXPECT_FALSE(result.passed);
  EXPECT_FALSE(result.refused);
  EXPECT_NE(result.message.find("attend check \"" + problem.text() + "\" --seed 77"), std::string::npos)
      << result.message;
}

}  // namespace
}  // namespace attend::test
