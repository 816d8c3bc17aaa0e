// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "sim/memory/sync_object.hpp"

namespace ptxsim {

struct Step;

// Flags: what strong reads and writes of a location do to happens-before. `key` is its address.

/// A read: an acquire learns what the writes have released, a relaxed one leaves it to a later fence.
void observe_flag(const Step& step, const SyncObjects& objects, uint64_t key, Order order, Scope scope);
/// A write by `lanes`: a release publishes what they know, a relaxed one what they knew at their last fence.
void publish_flag(const Step& step, SyncObjects& objects, uint64_t key, uint32_t lanes, Order order, Scope scope,
                  bool read_modify_write);

}  // namespace ptxsim
