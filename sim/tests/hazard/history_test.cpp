// SPDX-License-Identifier: Apache-2.0
#include "sim/hazard/history.hpp"

#include <gtest/gtest.h>

#include <random>

#include "sim/hazard/shadow.hpp"

namespace ptxsim {
namespace {

constexpr uint32_t kCluster = 1;

/// A warp with a clock, as the memory's chapters keep it.
struct Actor {
  ActorId actor = 0;
  Tick tick = 1, converged = 1;
  Clocks clocks{};
  std::vector<LaneGroup> groups{};

  Accessor lanes(uint32_t mask, uint8_t lane_bytes = 0) const {
    Accessor who;
    who.access.event = {kCluster, actor, tick, mask};
    who.access.by = {kCluster, 0};
    who.access.lane_bytes = lane_bytes;
    who.access.line = static_cast<int32_t>(actor) + 1;
    who.access.warp = static_cast<int32_t>(actor);
    who.clocks = &clocks;
    who.warp = actor;
    who.lanes = mask;
    who.converged = converged;
    who.groups = groups;
    return who;
  }
  Accessor all(uint8_t lane_bytes = 0) const { return lanes(~0u, lane_bytes); }
  Accessor strong(Scope scope = Scope::cta) const {
    Accessor who = all();
    who.access.strong = true;
    who.access.scope = scope;
    return who;
  }
  Accessor issue(ActorId stream, Tick stream_tick, bool in_flight) const {
    Accessor who = all();
    who.access.event = {kCluster, stream, stream_tick, ~0u};
    who.access.async = who.access.proxy = true;
    who.access.in_flight = in_flight;
    return who;
  }
  void sync() { converged = ++tick; }
};

void pass(Actor& from, Actor& to) {
  to.clocks.generic.join(kCluster, from.clocks.generic, kCluster);
  to.clocks.async_.join(kCluster, from.clocks.async_, kCluster);
  to.clocks.generic.see(kCluster, from.actor, from.tick++);
}
void fence(Actor& actor) {
  actor.clocks.async_.join(kCluster, actor.clocks.generic, kCluster);
  actor.clocks.async_.see(kCluster, actor.actor, actor.tick++);
}

class history : public ::testing::Test {
 protected:
  void SetUp() override { history_.reset(65536, true); }
  Race read(uint64_t at, uint64_t bytes, const Accessor& who) { return history_.read(at, bytes, who).race; }
  Race write(uint64_t at, uint64_t bytes, const Accessor& who) { return history_.write(at, bytes, who).race; }

  History history_;
  Actor a{0}, b{1}, c{2};
};

TEST_F(history, bytes_nobody_wrote_are_reported_each_by_itself) {
  EXPECT_EQ(write(4, 3, a.all()), Race::none);
  a.sync();
  EXPECT_EQ(read(4, 3, a.all()), Race::none);
  EXPECT_EQ(read(4, 4, a.all()), Race::never_written);
  EXPECT_EQ(history_.read(4, 4, a.all()).offset, 7u);
  EXPECT_FALSE(history_.written(4, 4));
  history_.set_written(7, 1, true);
  EXPECT_TRUE(history_.written(4, 4));
  EXPECT_EQ(read(4, 4, a.all()), Race::none);
}

TEST_F(history, a_read_of_another_warps_write_needs_an_edge) {
  write(0, 128, a.all(4));
  EXPECT_EQ(read(0, 128, b.all(4)), Race::unordered_write);
  pass(a, b);
  EXPECT_EQ(read(0, 128, b.all(4)), Race::none);
  EXPECT_EQ(read(0, 128, c.all(4)), Race::unordered_write);
}

TEST_F(history, an_edge_does_not_carry_what_comes_after_it) {
  write(0, 4, a.all());
  pass(a, b);
  write(4, 4, a.all());
  EXPECT_EQ(read(0, 4, b.all()), Race::none);
  EXPECT_EQ(read(4, 4, b.all()), Race::unordered_write);
}

TEST_F(history, a_write_needs_an_edge_from_every_reader) {
  history_.set_written(0, 64, true);
  read(0, 64, a.all());
  read(0, 64, b.all());
  pass(a, c);
  const Finding finding = history_.write(0, 64, c.all());
  EXPECT_EQ(finding.race, Race::unordered_read);
  EXPECT_EQ(finding.other.event.actor, b.actor);
  history_.set_written(0, 64, true);
  read(0, 64, a.all());
  read(0, 64, b.all());
  pass(a, c);
  pass(b, c);
  EXPECT_EQ(write(0, 64, c.all()), Race::none);
}

TEST_F(history, an_edge_through_a_third_warp_counts) {
  write(0, 4, a.all());
  pass(a, b);
  pass(b, c);
  EXPECT_EQ(write(0, 4, c.all()), Race::none);
  EXPECT_EQ(history_.last_write(0)->event.actor, c.actor);
}

TEST_F(history, neighbouring_bytes_of_a_cell_are_apart) {
  EXPECT_EQ(write(0, 2, a.all()), Race::none);
  EXPECT_EQ(write(2, 2, b.all()), Race::none);
  a.sync();
  b.sync();
  EXPECT_EQ(read(0, 2, a.all()), Race::none);
  EXPECT_EQ(read(2, 2, b.all()), Race::none);
  EXPECT_EQ(read(1, 2, a.all()), Race::unordered_write);
  pass(a, c);
  pass(b, c);
  EXPECT_EQ(write(0, 4, c.all()), Race::none);
  c.sync();
  EXPECT_EQ(read(1, 2, c.all()), Race::none);
}

TEST_F(history, lanes_of_one_instruction_touch_their_own_bytes) {
  EXPECT_EQ(write(0, 64, a.all(2)), Race::none);
  EXPECT_EQ(read(0, 64, a.all(2)), Race::none) << "each lane reads what it wrote";
  EXPECT_EQ(read(10, 2, a.lanes(1u << 5)), Race::none);
  const Finding finding = history_.read(10, 2, a.lanes(1u << 6));
  EXPECT_EQ(finding.race, Race::unordered_write);
  EXPECT_EQ(finding.lanes, 1u << 6);
  EXPECT_EQ(finding.other_lanes, 1u << 5);
  a.sync();
  EXPECT_EQ(read(10, 2, a.lanes(1u << 6)), Race::none);
}

TEST_F(history, a_lane_shifted_by_one_is_noticed_wherever_it_stands) {
  write(0, 128, a.all(4));
  Accessor shifted = a.lanes(~0u >> 1, 4);
  EXPECT_EQ(read(4, 124, shifted), Race::unordered_write);
  a.sync();
  EXPECT_EQ(read(4, 124, shifted = a.lanes(~0u >> 1, 4)), Race::none);
  EXPECT_EQ(write(0, 128, a.all(4)), Race::unordered_read);
}

TEST_F(history, part_of_a_warp_may_synchronise_by_itself) {
  write(0, 128, a.all(4));
  a.groups.push_back({0x00ff, ++a.tick});
  EXPECT_EQ(read(0, 4, a.lanes(1u << 7)), Race::none);
  EXPECT_EQ(read(0, 4, a.lanes(1u << 8)), Race::unordered_write);
  a.groups.push_back({0x0180, ++a.tick});
  EXPECT_EQ(read(0, 4, a.lanes(1u << 8)), Race::none) << "lane 7 has passed it on";
  EXPECT_EQ(read(0, 4, a.lanes(1u << 9)), Race::unordered_write);
}

TEST_F(history, a_release_by_one_lane_publishes_that_lane) {
  write(0, 128, a.all(4));
  b.clocks.generic.see_lanes(kCluster, a.actor, a.tick, 1u);
  EXPECT_EQ(read(0, 4, b.all()), Race::none);
  EXPECT_EQ(read(4, 4, b.all()), Race::unordered_write);
  EXPECT_EQ(read(0, 128, b.all(4)), Race::unordered_write) << "cells that look alike may differ by lane";
}

TEST_F(history, strong_accesses_do_not_race_with_each_other) {
  EXPECT_EQ(write(0, 4, a.strong()), Race::none);
  EXPECT_EQ(write(0, 4, b.strong()), Race::none);
  EXPECT_EQ(read(0, 4, c.strong()), Race::none);
  EXPECT_EQ(read(0, 4, c.all()), Race::unordered_write);
  pass(b, c);
  EXPECT_EQ(read(0, 4, c.all()), Race::unordered_write) << "the first of the two writes is still unknown";
  pass(a, c);
  EXPECT_EQ(read(0, 4, c.all()), Race::none);
}

TEST_F(history, scopes_must_include_each_other) {
  Accessor other = b.strong(Scope::cta);
  other.access.by = {kCluster, 1};
  write(0, 4, a.strong(Scope::cta));
  EXPECT_EQ(write(0, 4, other), Race::unordered_write);
  other.access.scope = Scope::gpu;
  history_.set_written(0, 4, true);
  write(0, 4, a.strong(Scope::gpu));
  EXPECT_EQ(write(0, 4, other), Race::none);
}

TEST_F(history, an_asynchronous_read_needs_a_proxy_fence_behind_the_write) {
  write(0, 1024, a.all());
  EXPECT_EQ(read(0, 1024, a.issue(9, 1, false)), Race::unfenced);
  fence(a);
  EXPECT_EQ(read(0, 1024, a.issue(9, 1, false)), Race::none);
  pass(a, b);
  EXPECT_EQ(read(0, 1024, b.issue(10, 1, false)), Race::none) << "the writer's fence serves the reader";
  EXPECT_EQ(read(0, 1024, c.issue(11, 1, false)), Race::unordered_write);
  c.clocks.generic.see(kCluster, a.actor, a.tick);
  EXPECT_EQ(read(0, 1024, c.issue(11, 1, false)), Race::unfenced);
  fence(c);
  EXPECT_EQ(read(0, 1024, c.issue(11, 1, false)), Race::none) << "so does the reader's own";
}

TEST_F(history, an_asynchronous_write_is_read_when_its_completion_is_known) {
  EXPECT_EQ(write(0, 4096, a.issue(9, 1, true)), Race::none);
  EXPECT_EQ(read(16, 4, b.all()), Race::in_flight);
  Access done = a.issue(20, 3, false).access;
  history_.overwrite(0, 4096, done);
  EXPECT_EQ(read(16, 4, b.all()), Race::unobserved_write);
  b.clocks.generic.see(kCluster, 20, 2);
  EXPECT_EQ(read(16, 4, b.all()), Race::unobserved_write) << "that was an earlier phase";
  b.clocks.generic.see(kCluster, 20, 3);
  EXPECT_EQ(read(16, 4, b.all()), Race::none);
  EXPECT_EQ(read(16, 4, b.issue(10, 1, false)), Race::none) << "asynchronous to asynchronous needs no fence";
}

TEST_F(history, an_asynchronous_write_waits_for_generic_readers_and_asynchronous_ones) {
  history_.set_written(0, 64, true);
  read(0, 64, a.all());
  EXPECT_EQ(write(0, 64, b.issue(9, 1, true)), Race::unordered_read);
  history_.set_written(0, 64, true);
  read(0, 64, a.issue(8, 2, false));
  pass(a, b);
  EXPECT_EQ(write(0, 64, b.issue(9, 1, true)), Race::unordered_read) << "issued is not done";
  b.clocks.generic.see(kCluster, 8, 2);
  history_.set_written(0, 64, true);
  read(0, 64, a.issue(8, 2, false));
  EXPECT_EQ(write(0, 64, b.issue(9, 1, true)), Race::none);
}

TEST_F(history, the_worst_of_a_range_is_what_counts) {
  history_.set_written(0, 256, true);
  write(128, 64, a.issue(9, 1, true));
  write(0, 64, a.all());
  const Finding finding = history_.read(0, 256, b.all());
  EXPECT_EQ(finding.race, Race::in_flight);
  EXPECT_EQ(finding.offset, 128u);
}

/// Against a model that keeps every access: after dropping what the history drops, verdicts must be the same.
TEST_F(history, agrees_with_a_model_that_forgets_nothing) {
  struct Past {
    uint64_t first, end;
    bool writes;
    ActorId actor = 0;
    Tick tick;
  };
  std::mt19937 random(7);
  constexpr uint64_t kBytes = 64;
  for (int round = 0; round < 200; ++round) {
    history_.reset(kBytes, false);
    std::vector<Past> past;
    std::vector<Actor> actors{{0}, {1}, {2}};
    bool raced = false;
    for (int step = 0; step < 60 && !raced; ++step) {
      Actor& who = actors[random() % 3];
      if (random() % 2 == 0) {
        Actor& to = actors[random() % 3];
        if (to.actor != who.actor) pass(who, to);
        continue;
      }
      const uint64_t first = random() % kBytes, bytes = 1 + random() % std::min<uint64_t>(16, kBytes - first);
      const bool writes = random() % 4 == 0;
      for (const Past& old : past) {
        const bool overlap = old.first < first + bytes && first < old.end;
        const bool known =
            old.actor == who.actor || who.clocks.generic.knows(kCluster, {kCluster, old.actor, old.tick, ~0u});
        raced = raced || (overlap && (writes || old.writes) && !known);
      }
      who.sync();
      const Race found = writes ? write(first, bytes, who.all()) : read(first, bytes, who.all());
      ASSERT_EQ(found != Race::none, raced) << "round " << round << ", step " << step;
      past.push_back({first, first + bytes, writes, who.actor, who.tick});
    }
  }
}

TEST_F(history, forgets_accesses_that_no_byte_names) {
  for (int i = 0; i < 1000000; ++i) {
    write(static_cast<uint64_t>(i % 100) * 4, 4, a.all());
    ++a.tick;
  }
  EXPECT_LT(history_.memory(), 40u << 20);
  a.sync();
  EXPECT_EQ(read(0, 4, a.all()), Race::none);
  EXPECT_EQ(read(0, 4, b.all()), Race::unordered_write);
  pass(a, b);
  EXPECT_EQ(read(0, 400, b.all()), Race::none);
}

TEST(shared_shadow, a_full_cta_stays_within_its_memory) {
  constexpr uint32_t kBytes = 232448;
  SharedShadow shadow;
  shadow.reset(kBytes);
  std::vector<Actor> warps;
  for (ActorId i = 0; i < 12; ++i) warps.push_back({i});
  Conflict conflict;
  for (int round = 0; round < 8; ++round)
    for (Actor& warp : warps) {
      for (uint32_t at = 0; at < kBytes; at += 64) {
        if (round == 0)
          shadow.write(at, 64, warp.all(2), &conflict);
        else
          shadow.read(at, 64, warp.all(2), &conflict);
      }
      warp.sync();
    }
  EXPECT_LT(shadow.memory(), 200u << 20);
}

TEST(shared_shadow, names_the_rule_that_was_broken) {
  SharedShadow shadow;
  shadow.reset(1024);
  Actor a{0}, b{1};
  Conflict conflict;
  EXPECT_TRUE(shadow.read(0, 4, a.all(), &conflict));
  EXPECT_EQ(conflict.id, HazardId::H11);
  shadow.set_initialised(0, 1024, true);
  EXPECT_FALSE(shadow.read(0, 4, a.all(), &conflict));
  EXPECT_TRUE(shadow.write(0, 4, b.all(), &conflict));
  EXPECT_EQ(conflict.id, HazardId::H09);
  EXPECT_TRUE(shadow.read(0, 4, a.all(), &conflict));
  EXPECT_EQ(conflict.id, HazardId::H08);
  EXPECT_TRUE(shadow.read(0, 4, b.issue(7, 1, false), &conflict));
  EXPECT_EQ(conflict.id, HazardId::H04);
  Accessor bulk = a.issue(6, 1, false);
  bulk.access.bulk = true;
  shadow.read(64, 16, bulk, &conflict);
  EXPECT_TRUE(shadow.write(64, 4, a.all(), &conflict));
  EXPECT_EQ(conflict.id, HazardId::H05);
  EXPECT_FALSE(shadow.write(128, 16, a.issue(8, 1, true), &conflict));
  EXPECT_TRUE(shadow.read(128, 4, a.all(), &conflict));
  EXPECT_EQ(conflict.id, HazardId::H07);
  shadow.complete(128, 16, {kCluster, 30, 1}, 12);
  EXPECT_TRUE(shadow.read(128, 4, a.all(), &conflict));
  EXPECT_EQ(conflict.id, HazardId::H07);
  a.clocks.generic.see(kCluster, 30, 1);
  EXPECT_FALSE(shadow.read(128, 4, a.all(), &conflict));
}

}  // namespace
}  // namespace ptxsim
