// SPDX-License-Identifier: Apache-2.0
// A decoding kernel run block by block over stored rows, as a schedule would, and compared with the oracle.
#pragma once
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "cpu/decode_kernel.hpp"
#include "decode/stored_rows.hpp"

namespace attend::test {

/// A row ATTEND_CPU_DECODE of kernels.def.
struct DecodeCase {
  const char* target;
  const char* arithmetic;
  const cpu::DecodeKernel* kernel;
  std::string name() const { return std::string(target) + "_" + arithmetic; }
};
void PrintTo(const DecodeCase& each, std::ostream* out);
const std::vector<DecodeCase>& decode_cases();
/// Why this machine cannot run the row; empty when it can.
std::string missing(const DecodeCase& each);

/// What the rows of one key head ask: query heads hq of one sequence with sq queries, folded into hq * sq rows, row
/// q * hq + head.
struct DecodeInputs {
  AttentionFwd problem;  ///< k and v in f32, as decoded
  std::vector<float> q;  ///< [sq][hq][d]
  StoredRows k, v;
  std::vector<float> k_decoded, v_decoded;
  std::vector<float> slopes, bias;

  static DecodeInputs random(int hq, int sq, int keys, int d, int dv, cpu::DecodeFormat k_format,
                             cpu::DecodeFormat v_format, uint64_t seed);
  /// After k or v has changed.
  void decode();
  AttentionFwdArgs args() const;
  int rows() const { return static_cast<int>(problem.hq * problem.sq); }
  cpu::DecodeShape shape() const;
};

/// State and results of some rows.
struct DecodeOutput {
  std::vector<float> max, sum, out;  ///< as the kernel keeps them
  std::vector<float> o, lse;         ///< [rows][dv], [rows]
};

struct DecodeOptions {
  int block_keys = cpu::kDecodeKeys;
  int first_row = 0, rows = -1;  ///< of the folded rows; -1: all from there
  bool fetch = true;             ///< of the next block
};
DecodeOutput run_decode(const cpu::DecodeKernel& kernel, const DecodeInputs& inputs, const DecodeOptions& options = {});

/// Largest error over bound, o and lse; failures of the test where it is above 1.
double expect_within_bound(const DecodeCase& each, const DecodeInputs& inputs, const DecodeOptions& options = {});

}  // namespace attend::test
