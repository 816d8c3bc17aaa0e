// SPDX-License-Identifier: Apache-2.0
#include "contender.hpp"

namespace attend::bench {

bool openblas_built() { return false; }

Result<std::unique_ptr<Runner>> make_openblas_runner(const AttentionFwd&, SharedInputs, int) {
  return unsupported("openblas_unfused: this build found no cblas.h of OpenBLAS (Debian: libopenblas-dev)");
}

}  // namespace attend::bench
