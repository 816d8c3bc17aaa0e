// SPDX-License-Identifier: Apache-2.0
#include "stage.hpp"

namespace attend::bench::cuda {

Result<std::unique_ptr<Stage>> make_simulated_stage() {
  return Status(StatusCode::unsupported,
                "--device is sim, expected cuda: this program has no simulator, configure with -DATTEND_BUILD_SIM=ON");
}

}  // namespace attend::bench::cuda
