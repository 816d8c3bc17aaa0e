// SPDX-License-Identifier: Apache-2.0
#include "sim/ptxsim.hpp"

namespace ptxsim {

const char* async_policy_name(AsyncPolicy policy) {
  switch (policy) {
    case AsyncPolicy::eager: return "eager";
    case AsyncPolicy::random: return "random";
    case AsyncPolicy::latest: return "latest";
    case AsyncPolicy::split: return "split";
  }
  return "unknown";
}

std::string Schedule::text() const {
  const Schedule plain;
  std::string text = "seed=" + std::to_string(seed) + " async=" + async_policy_name(async);
  if (lanes != plain.lanes) text += " lanes=any";
  if (quantum != plain.quantum) text += " quantum=" + std::to_string(quantum);
  if (spurious_failure != plain.spurious_failure) {
    std::string value = std::to_string(spurious_failure);
    value.erase(value.find_last_not_of('0') + 1);
    text += " spurious=" + value + (value.back() == '.' ? "0" : "");
  }
  if (elect_highest) text += " elect=highest";
  if (perturb_approx) text += " approx=perturbed";
  if (interleave_clusters) text += " interleave=" + std::to_string(resident_clusters);
  if (accumulate != plain.accumulate) text += accumulate == Accumulate::f64 ? " accumulate=f64" : " accumulate=trunc";
  return text;
}

int for_each_schedule(int seeds, const std::function<bool(const Schedule&)>& body) {
  int failed = 0;
  for (const AsyncPolicy async : kAsyncPolicies) {
    for (int seed = 1; seed <= seeds; ++seed) {
      Schedule schedule;
      schedule.seed = static_cast<uint64_t>(seed);
      schedule.async = async;
      schedule.lanes = seed % 2 == 0 ? LanePolicy::any : LanePolicy::reconverge;
      schedule.elect_highest = seed % 3 == 0;
      // Short turns order neighbouring instructions of two warps every way; long ones let one warp run far ahead.
      schedule.quantum = seed % 4 == 0 ? 8 : seed % 4 == 1 ? 2000 : 200;
      if (!body(schedule)) ++failed;
    }
  }
  return failed;
}

}  // namespace ptxsim
