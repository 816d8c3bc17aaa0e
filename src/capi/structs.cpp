// SPDX-License-Identifier: Apache-2.0
#include "capi/structs.hpp"

namespace attend::capi {

Status copy_text(std::string_view operation, const std::string& text, char* buffer, size_t size, size_t* length) {
  if (buffer == nullptr && size > 0) {
    return refuse_null(operation, "buffer", "room for " + std::to_string(size) + " bytes (= size)");
  }
  if (length != nullptr) *length = text.size();
  if (size > 0) {
    const size_t copied = text.size() < size ? text.size() : size - 1;
    std::memcpy(buffer, text.data(), copied);
    buffer[copied] = '\0';
  }
  return {};
}

}  // namespace attend::capi
