// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "sim/hazard/history.hpp"
#include "sim/isa/program.hpp"

namespace ptxsim {

struct Cta;
struct Step;

// What an access to a range does to the histories, and the reports that come of it.

enum class Touch : uint8_t { read, write, read_write };

/// The access of some lanes of the step's warp.
Accessor generic_accessor(const Step& step, uint32_t lanes);
/// The access of an asynchronous operation that the step issues.
Accessor async_accessor(const Step& step, const Event& event);

/// `address` in the window of `cta`. H04, H05, H07, H08, H09, H11, H13.
void check_shared(const Step& step, Cta& cta, uint32_t address, uint32_t bytes, const Accessor& who, Touch touch);
/// A device address inside one allocation. H04, H07, H10, H11, H22 for a write of constant memory. Written bytes count
/// as initialised from here on.
void check_global(const Step& step, uint64_t address, uint64_t bytes, const Accessor& who, Touch touch,
                  bool non_coherent = false);
/// The thread of `lane`. H11.
void check_local(const Step& step, uint32_t lane, uint64_t offset, uint32_t bytes, Touch touch);

}  // namespace ptxsim
