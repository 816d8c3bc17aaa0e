// SPDX-License-Identifier: Apache-2.0
// The reader of safetensors files: every view it gives lies in the bytes and is as long as its shape says.
#include "cli/io/safetensors.hpp"

#include <cstring>
#include <span>

#include "fuzz/target.hpp"

namespace attend::fuzz {
namespace {

std::string with_header(const std::string& header, size_t data_bytes) {
  std::string file(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(file.data(), &length, 8);
  return file + header + std::string(data_bytes, '\x3c');
}

}  // namespace

std::vector<std::string> seeds() {
  return {
      with_header(R"({})", 0),
      with_header(R"({"q":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})", 24),
      with_header(R"({"__metadata__":{"format":"pt"},"q":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]},)"
                  R"("k":{"dtype":"F16","shape":[1,0,4],"data_offsets":[8,8]}}   )",
                  8),
      with_header(
          R"({"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}})",
          11),
      with_header(R"({"q":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,24]}})", 24),
      with_header(R"({"q":{"dtype":"F32","shape":[-1],"data_offsets":[4,0]}})", 4),
      with_header(
          R"({"q":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"q":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
          4),
      with_header(std::string(200, '[') + std::string(200, ']'), 0),
      std::string(7, '\0'),
      std::string(16, '\xff'),
  };
}

}  // namespace attend::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attend;
  const std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(data),
                                     reinterpret_cast<const std::byte*>(data) + size);
  const auto file = io::parse_safetensors(bytes);
  if (!file.ok()) {
    fuzz::require(file.status().code() == StatusCode::invalid_argument, "a bad file is an invalid argument",
                  file.status().message());
    return 0;
  }
  size_t total = 0;
  for (const auto& [name, tensor] : file->tensors) {
    const auto expected = io::tensor_bytes(name, tensor.element, tensor.shape);
    fuzz::require(expected.ok() && *expected == static_cast<int64_t>(tensor.data.size()),
                  "a tensor is as long as its shape says", name);
    fuzz::require(tensor.data.empty() || (tensor.data.data() >= bytes.data() &&
                                          tensor.data.data() + tensor.data.size() <= bytes.data() + bytes.size()),
                  "a tensor lies in the file", name);
    total += tensor.data.size();
    fuzz::require(file->find(name) != nullptr, "a tensor is found by its name", name);
  }
  fuzz::require(total <= bytes.size(), "tensors do not overlap");
  const auto written = io::format_safetensors(*file);
  fuzz::require(written.ok(), "what was read can be written", written.status().message());
  const auto again = io::parse_safetensors(*written);
  fuzz::require(again.ok(), "what was written can be read", again.status().message());
  fuzz::require(again->tensors.size() == file->tensors.size() && again->metadata == file->metadata, "nothing is lost");
  return 0;
}
