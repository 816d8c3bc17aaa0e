// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/ptxsim.hpp"

// Golden vectors: kernels of one instruction with their inputs and the outputs that a device gave.
namespace ptxsim::golden {

/// How an output is compared with what the device gave.
enum class Match : uint8_t {
  bits,
  f32_ulp,   ///< as f32, at most `tolerance` units in the last place apart (approximate functions)
  f32_near,  ///< as f32, at most tolerance * max(1, |device|) apart (matrix products: the order of sums is the
             ///< device's)
};

/// One kernel `k(u64 out, u64 in [, CUtensorMap map])` and one launch of it, one CTA.
struct Vector {
  std::string name;  ///< what is tried: "ex2.approx.ftz.f32"
  std::string ptx;
  uint32_t threads = 32;
  Match match = Match::bits;
  float tolerance = 0;
  bool has_map = false;  ///< the third parameter is a tensor map of `in`
  TiledDesc desc;        ///< without its address
  std::vector<std::byte> in, out;
};

/// The file's bytes: little-endian, a text that several vectors share is stored once.
std::vector<std::byte> format_vectors(const std::vector<Vector>& vectors, const std::string& device);
struct VectorFile {
  std::string device;  ///< who gave the outputs
  std::vector<Vector> vectors;
};
/// The bytes may come from anybody. Error: invalid_argument.
Result<VectorFile> parse_vectors(std::span<const std::byte> bytes);

/// The first difference between two outputs in one sentence; empty when they match.
std::string difference(const Vector& vector, std::span<const std::byte> found);

/// Vectors with inputs and without outputs. `family` is a part of names, or empty for all; same seed, same vectors.
std::vector<Vector> make_vectors(const std::string& family, uint64_t seed);
/// Names of the families, each with what it tries.
std::vector<std::pair<std::string, std::string>> families();

}  // namespace ptxsim::golden
