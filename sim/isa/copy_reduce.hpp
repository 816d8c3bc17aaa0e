// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "sim/isa/copy_op.hpp"
#include "sim/isa/type.hpp"

namespace ptxsim {

/// Reductions of bulk copies, in the order of kCopyReduceNames.
enum class CopyReduce : uint8_t { add, min, max, inc, dec, and_, or_, xor_ };

/// Null where the PTX ISA has no such operation on the type.
Reduce copy_reduce(CopyReduce operation, Type type);

}  // namespace ptxsim
