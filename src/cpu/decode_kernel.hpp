// SPDX-License-Identifier: Apache-2.0
// The contract between the schedule of decoding (few query rows against a long cache; compiled for the baseline CPU)
// and its kernels (compiled once per ISA). Plain data and function pointers only, as in kernel.hpp.
//
// A kernel reads K and V where they lie, once for all rows that share them, and is as fast as memory if its calls come
// in the order of addresses. Head by head where a head's tokens are neighbours. Where the heads of a token are
// neighbours, one worker takes all key heads of a range of tokens: for each block of 64 tokens, each head in turn, with
// a state per head; so DRAM delivers one stream. `fetch` names what comes next, in the order of memory; where heads are
// neighbours, head h of hk asks for the h-th part of the next 64 tokens, all heads of each.
#pragma once
#include "cpu/kernel.hpp"

namespace attend::cpu {

/// Keys of a block at most; one mask word covers a row of it.
inline constexpr int kDecodeKeys = 64;
/// Query rows of a block at most: query heads of a key head, times queries.
inline constexpr int kDecodeRows = 16;
/// d and dv at most.
inline constexpr int kDecodeColumns = 512;

enum class DecodeFormat : int32_t {
#define ATTEND_DECODE_FORMAT(name, row) name,
#include "cpu/decode_formats.def"
#undef ATTEND_DECODE_FORMAT
};

/// What stays the same over all blocks of a call.
struct DecodeShape {
  int32_t d = 0, dv = 0;  ///< 1 to kDecodeColumns
  DecodeFormat k_format = DecodeFormat::f32, v_format = DecodeFormat::f32;
};

/// K or V of one block. Neighbouring addresses are not assumed; offsets let the heads of the same tokens share the
/// arrays.
struct DecodeSide {
  const void* const* rows = nullptr;    ///< [keys]; the row of key i begins at rows[i] + offset
  int64_t offset = 0;                   ///< in bytes
  const void* const* scales = nullptr;  ///< [keys]; its scales begin at scales[i] + scale_offset; null: all 1
  int64_t scale_offset = 0;             ///< in bytes
};

/// A piece of memory to bring into L2.
struct DecodeFetch {
  const void* from = nullptr;
  int64_t bytes = 0;
};

/// Query rows of one sequence and key head against one block of neighbouring keys.
struct DecodeBlock {
  DecodeShape shape;
  int32_t rows = 0;         ///< 1 to kDecodeRows
  int32_t keys = 0;         ///< 1 to kDecodeKeys; nothing of later keys is read
  int64_t first_key = 0;    ///< position of key 0 of the block in the sequence; for terms only
  const void* q = nullptr;  ///< packed rows
  DecodeSide k, v;
  const uint64_t* bits = nullptr;      ///< a word per row, bit set = kept; null: every row keeps all keys
  const StripeTerms* terms = nullptr;  ///< as in attention_fwd, softcap included in the factor of pack_q
  const DecodeFetch* fetch = nullptr;  ///< [fetches] what comes next; it is asked for evenly over the computation
  int32_t fetches = 0;
  /// State of the rows: -inf, zeros, zeros before their first block. States of the same row from different keys join
  /// lane by lane: with m the larger maximum, sum and out of each times exp2(its max - m), added.
  float* max = nullptr;  ///< [rows] largest score so far in log2 units
  float* sum = nullptr;  ///< [rows][kMaxLanes] partial sums of exp2(s - max)
  float* out = nullptr;  ///< [rows][out_stride] unnormalised output, columns in the kernel's own order
  int64_t out_stride = 0;
};

/// One kernel of one ISA. Packed q, sum and out are aligned to 64 bytes; rows of K and V need no alignment beyond that
/// of their elements. The bits of a row do not depend on the other rows of a block.
struct DecodeKernel {
  /// Bytes of `rows` packed query rows.
  int64_t (*q_bytes)(const DecodeShape& shape, int32_t rows);
  /// Packs query rows, each at its own address, multiplied by `factor`. `k_scales`: f32 [d], scales of K's channels, or
  /// null. `k_mean`: f32 [d], what is to be added to every key (after scaling), or null.
  void (*pack_q)(const DecodeShape& shape, void* packed, const void* const* rows, Element type, int32_t count,
                 float factor, const float* k_scales, const float* k_mean);
  /// Columns of a row of `out`; a multiple of kMaxLanes.
  int64_t (*out_stride)(const DecodeShape& shape);
  void (*run_block)(const DecodeBlock& block);
  /// Writes dv elements in their order: out * factor, rounded to the type. `v_scales`: f32 [dv], scales of V's
  /// channels, or null.
  void (*store_row)(const DecodeShape& shape, void* o, Element type, const float* out, float factor,
                    const float* v_scales);
};

}  // namespace attend::cpu
