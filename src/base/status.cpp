// SPDX-License-Identifier: Apache-2.0
#include <attend/status.hpp>

namespace attend {

const char* status_code_name(StatusCode code) {
  switch (code) {
    case StatusCode::ok: return "ok";
    case StatusCode::invalid_argument: return "invalid_argument";
    case StatusCode::unsupported: return "unsupported";
    case StatusCode::out_of_memory: return "out_of_memory";
    case StatusCode::device: return "device";
    case StatusCode::internal: return "internal";
  }
  return "unknown";
}

}  // namespace attend
