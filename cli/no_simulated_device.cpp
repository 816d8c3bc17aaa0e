// SPDX-License-Identifier: Apache-2.0
#include "device.hpp"

namespace attend::cli {

Result<Device> make_simulated_device(uint64_t) {
  return unsupported(
      "--device is sim, expected cpu or cuda: this tool has no simulator, configure with -DATTEND_BUILD_SIM=ON");
}

}  // namespace attend::cli
