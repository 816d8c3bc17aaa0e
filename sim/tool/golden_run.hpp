// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "cuda/host/launch_backend.hpp"
#include "sim/golden/vectors.hpp"

namespace ptxsim::tool {

/// "simulator", under the schedule, or "driver". Error: device where there is none.
Result<std::unique_ptr<attend::cuda::LaunchBackend>> open_backend(const std::string& device, const Schedule& schedule);

/// Runs a vector's kernel on its input; the output's bytes. Errors: what the backend says.
Result<std::vector<std::byte>> run_vector(attend::cuda::LaunchBackend& backend, const golden::Vector& vector);

}  // namespace ptxsim::tool
