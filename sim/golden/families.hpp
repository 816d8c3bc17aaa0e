// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <random>
#include <string>
#include <vector>

#include "sim/golden/vectors.hpp"

namespace ptxsim::golden {

using Random = std::mt19937_64;

/// Vectors of one kind of instruction. A new one is a row in families.cpp.
struct Family {
  const char* name;
  const char* about;
  void (*make)(Random& random, std::vector<Vector>& out);
};

/// An entry `k(u64 out, u64 in)`, or `k(u64 out, u64 in, CUtensorMap map)`, of `threads` threads: registers %a0.. %d0..
/// (b32), %f0.. (f32), %h0.. (b16), %l0.. (b64), %p0.. and %thread, %out, %in are declared; `body` ends before ret.
std::string kernel_text(const std::string& shared, const std::string& body, bool has_map = false);
/// `count` words drawn from the edges of f32 (zeros, infinities, NaN, subnormals, ties) and between.
std::vector<std::byte> float_words(Random& random, size_t count);
std::vector<std::byte> any_words(Random& random, size_t count);
/// One of the choices.
template <class T, size_t N>
T pick(Random& random, const T (&choices)[N]) {
  return choices[random() % N];
}

// families_shared.cpp: instructions on shared memory
void make_ldmatrix(Random& random, std::vector<Vector>& out);
void make_stmatrix(Random& random, std::vector<Vector>& out);
void make_mbarrier(Random& random, std::vector<Vector>& out);
// families_copy.cpp: tensor copies
void make_tensor_copy(Random& random, std::vector<Vector>& out);
void make_tensor_store(Random& random, std::vector<Vector>& out);
// families_wgmma.cpp
void make_wgmma(Random& random, std::vector<Vector>& out);
void make_wgmma_sum(Random& random, std::vector<Vector>& out);

}  // namespace ptxsim::golden
