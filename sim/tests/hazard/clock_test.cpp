// SPDX-License-Identifier: Apache-2.0
#include "sim/hazard/clock.hpp"

#include <gtest/gtest.h>

namespace ptxsim {
namespace {

constexpr uint32_t kHere = 5, kThere = 6;

Event event(uint32_t cluster, ActorId actor, Tick tick, uint32_t lanes = ~0u) { return {cluster, actor, tick, lanes}; }

TEST(clock, knows_what_it_has_seen_and_what_came_before) {
  Clock clock;
  EXPECT_FALSE(clock.knows(kHere, event(kHere, 3, 1)));
  clock.see(kHere, 3, 7);
  EXPECT_TRUE(clock.knows(kHere, event(kHere, 3, 7)));
  EXPECT_TRUE(clock.knows(kHere, event(kHere, 3, 1)));
  EXPECT_FALSE(clock.knows(kHere, event(kHere, 3, 8)));
  EXPECT_FALSE(clock.knows(kHere, event(kHere, 2, 1)));
  EXPECT_FALSE(clock.knows(kHere, event(kThere, 3, 1)));
}

TEST(clock, lanes_that_were_seen_alone_are_known_alone) {
  Clock clock;
  clock.see(kHere, 0, 4);
  clock.see_lanes(kHere, 0, 9, 0x0f);
  EXPECT_TRUE(clock.knows(kHere, event(kHere, 0, 9, 0x01)));
  EXPECT_TRUE(clock.knows(kHere, event(kHere, 0, 4)));
  EXPECT_FALSE(clock.knows(kHere, event(kHere, 0, 5)));
  EXPECT_FALSE(clock.knows(kHere, event(kHere, 0, 5, 0x10)));
  EXPECT_FALSE(clock.knows(kHere, event(kHere, 0, 10, 0x01)));
  clock.see(kHere, 0, 9);
  EXPECT_TRUE(clock.knows(kHere, event(kHere, 0, 9)));
  EXPECT_EQ(clock.own()[0].lanes, 0u) << "a partial entry that says nothing more goes";
}

TEST(clock, join_is_the_maximum_of_both) {
  Clock a, b;
  a.see(kHere, 0, 5);
  b.see(kHere, 0, 3);
  b.see(kHere, 2, 8);
  a.join(kHere, b, kHere);
  EXPECT_TRUE(a.knows(kHere, event(kHere, 0, 5)));
  EXPECT_TRUE(a.knows(kHere, event(kHere, 2, 8)));
  EXPECT_FALSE(a.knows(kHere, event(kHere, 1, 1)));
  EXPECT_FALSE(b.knows(kHere, event(kHere, 0, 5)));
}

TEST(clock, what_another_cluster_knew_comes_along_and_back) {
  Clock here, there, third;
  here.see(kHere, 1, 4);
  there.see(kThere, 0, 2);
  there.join(kThere, here, kHere);
  EXPECT_TRUE(there.knows(kThere, event(kHere, 1, 4)));
  EXPECT_FALSE(there.knows(kThere, event(kHere, 1, 5)));
  third.join(9, there, kThere);
  EXPECT_TRUE(third.knows(9, event(kHere, 1, 4)));
  EXPECT_TRUE(third.knows(9, event(kThere, 0, 2)));
  Clock back;
  back.join(kHere, third, 9);
  EXPECT_TRUE(back.knows(kHere, event(kHere, 1, 4)));
  EXPECT_FALSE(back.knows(kHere, event(kThere, 0, 3)));
}

TEST(clock, grids_that_have_ended_are_known_whole) {
  Clock clock;
  clock.see_before(kThere);
  EXPECT_TRUE(clock.knows(9, event(kHere, 77, 1000)));
  EXPECT_FALSE(clock.knows(9, event(kThere, 0, 1)));
  Clock heir;
  heir.join(9, clock, 9);
  EXPECT_TRUE(heir.knows(9, event(kHere, 77, 1000)));
  clock.clear();
  EXPECT_FALSE(clock.knows(9, event(kHere, 77, 1000)));
}

}  // namespace
}  // namespace ptxsim
