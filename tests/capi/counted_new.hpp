// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

/// How often this thread has called operator new. The program that links this file counts.
int64_t allocations_of_this_thread();

/// One allocation of this thread will fail, after `after` others that succeed; -1: none will.
void fail_allocation(int64_t after);
