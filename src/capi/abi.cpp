// SPDX-License-Identifier: Apache-2.0
// No code: what attend.h says by hand must agree with the rows and enumerations behind it, and must never move.
#include <attend/attend.h>

#include <attend/attention.hpp>
#include <attend/rope.hpp>
#include <cstddef>
#include <iterator>

namespace attend {
namespace {

template <class E>
struct Number {
  int32_t c;
  E cpp;
};

/// Whether the list names 0, 1, 2, ... in order, the same on both sides, `rows` of them.
template <class E, size_t n>
constexpr bool agree(const Number<E> (&numbers)[n], size_t rows) {
  for (size_t i = 0; i < n; ++i) {
    if (numbers[i].c != static_cast<int32_t>(i) || numbers[i].cpp != static_cast<E>(i)) return false;
  }
  return n == rows;
}

constexpr Number<StatusCode> kStatus[] = {
    {ATTEND_OK, StatusCode::ok},
    {ATTEND_INVALID_ARGUMENT, StatusCode::invalid_argument},
    {ATTEND_UNSUPPORTED, StatusCode::unsupported},
    {ATTEND_OUT_OF_MEMORY, StatusCode::out_of_memory},
    {ATTEND_DEVICE, StatusCode::device},
    {ATTEND_INTERNAL, StatusCode::internal},
};
static_assert(agree(kStatus, std::size(kStatus)));

constexpr int kDTypeRows[] = {
#define ATTEND_DTYPE(name, bytes, significand_bits, safetensors, npy) bytes,
#include <attend/dtypes.def>
#undef ATTEND_DTYPE
};
constexpr Number<DType> kDTypes[] = {{ATTEND_F32, DType::f32}, {ATTEND_F16, DType::f16}, {ATTEND_BF16, DType::bf16}};
static_assert(agree(kDTypes, std::size(kDTypeRows)), "dtypes.def has a row that attend.h lacks: append ATTEND_<NAME>");

constexpr Number<MaskKind> kMasks[] = {
    {ATTEND_MASK_CAUSAL, MaskKind::causal},
    {ATTEND_MASK_CAUSAL_TOP_LEFT, MaskKind::causal_top_left},
    {ATTEND_MASK_WINDOW, MaskKind::window},
    {ATTEND_MASK_CHUNK, MaskKind::chunk},
    {ATTEND_MASK_PREFIX_LM, MaskKind::prefix_lm},
    {ATTEND_MASK_DOCUMENTS, MaskKind::documents},
    {ATTEND_MASK_BLOCK_SPARSE, MaskKind::block_sparse},
    {ATTEND_MASK_PADDING, MaskKind::padding},
    {ATTEND_MASK_TREE, MaskKind::tree},
    {ATTEND_MASK_DENSE, MaskKind::dense},
    {ATTEND_MASK_STREAMING, MaskKind::streaming},
};
static_assert(
    agree(kMasks, std::variant_size_v<MaskTerm> - 1),
    "masks.def has a row that attend.h lacks: append ATTEND_MASK_<NAME>, and read() and describe() in mask.cpp");

constexpr Number<Guarantee> kGuarantees[] = {{ATTEND_DETERMINISTIC, Guarantee::deterministic},
                                             {ATTEND_FAST, Guarantee::fast},
                                             {ATTEND_BATCH_INVARIANT, Guarantee::batch_invariant}};
static_assert(agree(kGuarantees, std::size(kGuarantees)));

constexpr int32_t kKvFormatRows[] = {
#define ATTEND_KV_FORMAT(name, bits, scales, scale_type, doc) bits,
#include <attend/kv_formats.def>
#undef ATTEND_KV_FORMAT
};
constexpr Number<KvFormat> kKvFormats[] = {{ATTEND_KV_PLAIN, KvFormat::plain},
                                           {ATTEND_KV_INT8, KvFormat::int8},
                                           {ATTEND_KV_INT8_CHANNEL, KvFormat::int8_channel},
                                           {ATTEND_KV_INT4_32, KvFormat::int4_32},
                                           {ATTEND_KV_INT4_64, KvFormat::int4_64},
                                           {ATTEND_KV_E4M3, KvFormat::e4m3}};
static_assert(agree(kKvFormats, std::size(kKvFormatRows)),
              "kv_formats.def has a row that attend.h lacks: append ATTEND_KV_<NAME>");

constexpr Number<RopeScaling> kRopeScalings[] = {{ATTEND_ROPE_NONE, RopeScaling::none},
                                                 {ATTEND_ROPE_LINEAR, RopeScaling::linear},
                                                 {ATTEND_ROPE_NTK, RopeScaling::ntk},
                                                 {ATTEND_ROPE_LLAMA3, RopeScaling::llama3},
                                                 {ATTEND_ROPE_YARN, RopeScaling::yarn}};
static_assert(agree(kRopeScalings, std::size(kRopeScalings)));

constexpr Number<KvPlacement> kKvPlacements[] = {{ATTEND_KV_CONTIGUOUS, KvPlacement::contiguous},
                                                 {ATTEND_KV_RING, KvPlacement::ring},
                                                 {ATTEND_KV_PAGED, KvPlacement::paged}};
static_assert(agree(kKvPlacements, std::size(kKvPlacements)));

constexpr Number<Layout> kLayouts[] = {
    {ATTEND_BSHD, Layout::bshd}, {ATTEND_BHSD, Layout::bhsd}, {ATTEND_THD, Layout::thd}};
static_assert(agree(kLayouts, std::size(kLayouts)));

constexpr Number<Arithmetic> kArithmetics[] = {{ATTEND_ARITHMETIC_F32, Arithmetic::f32},
                                               {ATTEND_ARITHMETIC_BF16_DOT, Arithmetic::bf16_dot},
                                               {ATTEND_ARITHMETIC_F32_SCALED, Arithmetic::f32_scaled},
                                               {ATTEND_ARITHMETIC_MMA16, Arithmetic::mma16}};
static_assert(agree(kArithmetics, std::size(kArithmetics)));

constexpr Number<Schedule> kSchedules[] = {{ATTEND_SCHEDULE_NAIVE, Schedule::naive},
                                           {ATTEND_SCHEDULE_FLASH_ATTENTION_1, Schedule::flash_attention_1}};
static_assert(agree(kSchedules, std::size(kSchedules)));

// Layout of version 0.1 where pointers have 64 bits. A later version appends fields, so sizes may grow; what stands
// here stays.
static_assert(sizeof(void*) != 8 || (offsetof(attend_mask_term, kind) == 8 && offsetof(attend_mask_term, a) == 24 &&
                                     offsetof(attend_mask_term, data) == 40 &&
                                     offsetof(attend_mask_term, data2) == 56 && sizeof(attend_mask_term) >= 72));
static_assert(sizeof(void*) != 8 ||
              (offsetof(attend_attention_fwd_desc, b) == 8 && offsetof(attend_attention_fwd_desc, q_type) == 64 &&
               offsetof(attend_attention_fwd_desc, q_strides) == 88 &&
               offsetof(attend_attention_fwd_desc, scale) == 184 && offsetof(attend_attention_fwd_desc, alibi) == 200 &&
               offsetof(attend_attention_fwd_desc, cu_q) == 232 &&
               offsetof(attend_attention_fwd_desc, mask_terms) == 272 && sizeof(attend_attention_fwd_desc) >= 288));
static_assert(sizeof(void*) != 8 ||
              (offsetof(attend_attention_fwd_args, q) == 8 && offsetof(attend_attention_fwd_args, sink) == 64 &&
               offsetof(attend_attention_fwd_args, stream) == 72 && sizeof(attend_attention_fwd_args) >= 80));
static_assert(sizeof(void*) != 8 || (offsetof(attend_executor, parallel) == 8 &&
                                     offsetof(attend_executor, workers) == 24 && sizeof(attend_executor) >= 32));
static_assert(sizeof(void*) != 8 ||
              (offsetof(attend_plan_options, executor) == 16 && offsetof(attend_plan_options, kernel) == 24 &&
               offsetof(attend_plan_options, device) == 32 && sizeof(attend_plan_options) >= 40));

}  // namespace
}  // namespace attend
