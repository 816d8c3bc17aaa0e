// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "sim/isa/copy_op.hpp"
#include "sim/isa/decode.hpp"
#include "sim/isa/type.hpp"

namespace ptxsim {

/// Reductions of bulk copies.
enum class CopyReduce : uint8_t { add, min, max, inc, dec, and_, or_, xor_ };
/// The modifier that must come next.
CopyReduce decode_copy_reduce(Decode& d);
/// Null where the PTX ISA has no such operation on the type.
Reduce copy_reduce(CopyReduce operation, Type type);

}  // namespace ptxsim
