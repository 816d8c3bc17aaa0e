// SPDX-License-Identifier: Apache-2.0
// The bound is wide enough for a correct kernel and narrow enough for each planted fault.
#include <attend/reference.hpp>

#include "tiled_attention.hpp"

namespace attend {
namespace {

using test::Fault;
using test::Memory;
using test::tiled_attention;

double ratio(const std::string& line, Fault fault, uint64_t seed, double magnitude = 1,
             Arithmetic arithmetic = Arithmetic::f32) {
  Memory memory(line, seed, magnitude);
  tiled_attention(memory, fault);
  return compare_with_reference(memory.problem, memory.args(), arithmetic).max_ratio;
}

constexpr const char* kCorrect[] = {
    "attention_fwd sq=9 sk=300 d=64 lse=1",
    "attention_fwd b=2 hq=4 hk=2 sq=33 sk=50 d=40 dv=24 dtype=bf16 lse=1 mask=causal",
    "attention_fwd hq=3 sq=17,0,5 sk=40,3,9 d=16 dtype=f16 lse=1 sink=1 mask=window:5:2",
    "attention_fwd hq=2 sq=20 sk=31 d=8 softcap=3 alibi=1 bias=hq lse=1",
    "attention_fwd hq=2 sq=20 sk=100 d=8 sink=1 lse=1 bias=b mask=dense:random:0.2:1",
    "attention_fwd sq=6 sk=1000 d=1 dv=3 lse=1",
    "attention_fwd sq=5 sk=3 d=512 dtype=f32,f16,bf16,f16 lse=1 mask=causal",
};

TEST(bound, correct_kernels_stay_within) {
  double largest = 0;
  for (const char* line : kCorrect) {
    for (const double magnitude : {0.001, 1.0, 8.0}) {
      for (uint64_t seed = 1; seed <= 3; ++seed) {
        const double found = ratio(line, Fault::none, seed, magnitude);
        EXPECT_LE(found, 1) << line << ", seed " << seed << ", magnitude " << magnitude;
        largest = std::max(largest, found);
      }
    }
  }
  std::cout << "largest error / bound of the tiled f32 loop: " << largest << "\n";
  EXPECT_GT(largest, 0.02) << "a bound that no kernel comes near to notices nothing";
}

struct Planted {
  Fault fault;
  const char* name;
  const char* line;
};

constexpr Planted kPlanted[] = {
    {Fault::dropped_key, "dropped key", "attention_fwd sq=4 sk=1000 d=64"},
    {Fault::dropped_key, "dropped key, f16", "attention_fwd sq=40 sk=200 d=64 dtype=f16"},
    {Fault::dropped_key, "dropped key, bf16", "attention_fwd sq=40 sk=40 d=64 dtype=bf16"},
    {Fault::mask_off_by_one, "mask off by one", "attention_fwd sq=64 sk=300 d=64 mask=causal"},
    {Fault::mask_off_by_one, "mask off by one, bf16", "attention_fwd sq=64 sk=64 d=64 dtype=bf16 mask=window:10:0"},
    {Fault::forgotten_rescale, "forgotten rescale of o", "attention_fwd sq=4 sk=300 d=64"},
    {Fault::forgotten_sum_rescale, "forgotten rescale of the sum", "attention_fwd sq=4 sk=300 d=64 dtype=bf16"},
    {Fault::wrong_scale, "wrong scale", "attention_fwd sq=4 sk=300 d=64"},
    {Fault::wrong_scale, "wrong scale, f16", "attention_fwd sq=20 sk=300 d=128 dtype=f16"},
    {Fault::swapped_head, "swapped head", "attention_fwd hq=4 hk=2 sq=4 sk=300 d=64 dtype=bf16"},
    {Fault::missing_sink_in_lse, "missing sink in lse", "attention_fwd sq=4 sk=30 d=64 dtype=bf16 sink=1 lse=1"},
    {Fault::wrong_position, "wrong ALiBi position", "attention_fwd sq=4 sk=30 d=64 dtype=bf16 alibi=1"},
    {Fault::softcap_after_bias, "softcap after the bias", "attention_fwd sq=4 sk=30 d=64 dtype=f16 softcap=2 bias=q"},
    {Fault::rounded_twice, "probabilities cut to bf16", "attention_fwd sq=40 sk=300 d=64 mask=causal"},
};

TEST(bound, planted_faults_are_noticed) {
  for (const Planted& each : kPlanted) {
    double least = std::numeric_limits<double>::infinity();
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      EXPECT_LE(ratio(each.line, Fault::none, seed), 1) << each.line;
      least = std::min(least, ratio(each.line, each.fault, seed));
    }
    std::cout << each.name << ": error / bound at least " << least << "\n";
    EXPECT_GT(least, 1) << each.name << ": " << each.line;
  }
}

/// The wider bound of a kernel that rounds its probabilities still sees the coarse ones.
TEST(bound, faults_are_noticed_beside_bf16_probabilities) {
  const char* line = "attention_fwd hq=2 hk=2 sq=60 sk=60 d=64 dtype=bf16 mask=causal";
  EXPECT_LE(ratio(line, Fault::rounded_twice, 1, 1, Arithmetic::bf16_dot), 1);
  for (const Fault fault :
       {Fault::dropped_key, Fault::mask_off_by_one, Fault::forgotten_rescale, Fault::swapped_head}) {
    EXPECT_GT(ratio(line, fault, 1, 1, Arithmetic::bf16_dot), 1);
  }
}

}  // namespace
}  // namespace attend
