// SPDX-License-Identifier: Apache-2.0
// Files of golden vectors: any bytes are vectors or an error, and vectors survive being written.
#include "fuzz/target.hpp"
#include "sim/golden/vectors.hpp"

namespace attend::fuzz {

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (const char* family : {"permute", "tensor_copy"}) {
    std::vector<ptxsim::golden::Vector> vectors = ptxsim::golden::make_vectors(family, 1);
    vectors.resize(2);
    for (ptxsim::golden::Vector& each : vectors) {
      each.in.resize(24);
      each.out.resize(8);
    }
    const std::vector<std::byte> bytes = ptxsim::golden::format_vectors(vectors, "device");
    all.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return all;
}

}  // namespace attend::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attend;
  using namespace ptxsim::golden;
  const Result<VectorFile> file = parse_vectors(std::as_bytes(std::span(data, size)));
  if (!file.ok()) {
    fuzz::require(file.status().code() == StatusCode::invalid_argument, "errors have a known kind");
    return 0;
  }
  const Result<VectorFile> again = parse_vectors(format_vectors(file->vectors, file->device));
  fuzz::require(again.ok(), "what was written can be read", again.status().message());
  fuzz::require(again->vectors.size() == file->vectors.size(), "every vector is there");
  for (size_t i = 0; i < file->vectors.size(); ++i) {
    const Vector &a = file->vectors[i], &b = again->vectors[i];
    fuzz::require(a.name == b.name && a.ptx == b.ptx && a.in == b.in && a.out == b.out, "a vector is what it was",
                  a.name);
    (void)difference(a, b.out);
    // Against outputs of another size, and none.
    fuzz::require(a.out.empty() || !difference(a, {}).empty(), "nothing is no output", a.name);
  }
  return 0;
}
