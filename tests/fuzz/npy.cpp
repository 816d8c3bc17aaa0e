// SPDX-License-Identifier: Apache-2.0
// The reader of .npy files: the array it gives lies in the bytes and is as long as its shape says.
#include "cli/io/npy.hpp"

#include <algorithm>

#include "fuzz/target.hpp"

namespace attend::fuzz {
namespace {

std::string file(int version, const std::string& header, size_t data_bytes) {
  std::string out = "\x93NUMPY";
  out += static_cast<char>(version);
  out += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) out += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return out + header + std::string(data_bytes, '\x3c');
}

}  // namespace

std::vector<std::string> seeds() {
  return {
      file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n", 24),
      file(2, "{'descr': '<f2', 'fortran_order': False, 'shape': (5,), }\n", 10),
      file(3, "{'descr': '<u2', 'fortran_order': False, 'shape': (), }\n", 2),
      file(1, "{\"shape\": (1, 0, 4), \"fortran_order\": False, \"descr\": \"<f8\"}\n", 0),
      file(1, "{'descr': '>f4', 'fortran_order': True, 'shape': (2, 3), }\n", 24),
      file(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }\n", 8),
      file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9), }\n", 24),
      file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }\n", 4),
      file(2, "{" + std::string(300, '('), 0),
      "\x93NUMPY",
  };
}

}  // namespace attend::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attend;
  const std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(data),
                                     reinterpret_cast<const std::byte*>(data) + size);
  const auto array = io::parse_npy(bytes);
  if (!array.ok()) {
    fuzz::require(array.status().code() == StatusCode::invalid_argument, "a bad file is an invalid argument",
                  array.status().message());
    return 0;
  }
  const auto expected = io::tensor_bytes("npy", array->element, array->shape);
  fuzz::require(expected.ok() && *expected == static_cast<int64_t>(array->data.size()),
                "the array is as long as its shape says");
  fuzz::require(array->data.empty() || (array->data.data() >= bytes.data() &&
                                        array->data.data() + array->data.size() <= bytes.data() + bytes.size()),
                "the array lies in the file");
  fuzz::require(array->shape.size() <= 32, "no more dimensions than promised");
  const auto written = io::format_npy(*array);
  fuzz::require(written.ok(), "what was read can be written", written.status().message());
  const auto again = io::parse_npy(*written);
  fuzz::require(again.ok(), "what was written can be read", again.status().message());
  fuzz::require(again->shape == array->shape && again->element == array->element &&
                    std::equal(again->data.begin(), again->data.end(), array->data.begin(), array->data.end()),
                "nothing is lost");
  return 0;
}
