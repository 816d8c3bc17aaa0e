// SPDX-License-Identifier: Apache-2.0
// Partial results, joined.
#include <attend/merge.hpp>
#include <vector>

#include "capi/executor.hpp"
#include "capi/problem.hpp"
#include "capi/structs.hpp"

namespace attend::capi {
namespace {

/// A descriptor as the C++ calls take it; tensors without data.
struct Merge {
  ConstTensor part;
  Tensor o;
  Executor executor;
  MergeOptions options;
};

Status read_layout(std::string_view operation, const attend_merge_desc& desc, Merge* to) {
  if (desc.layout == ATTEND_STRIDED) {
    to->part.strides = to_strides(desc.part_strides);
    to->o.strides = to_strides(desc.o_strides);
    return {};
  }
  if (desc.layout != ATTEND_BSHD && desc.layout != ATTEND_BHSD)
    return refuse(operation, "desc.layout", std::to_string(desc.layout),
                  "ATTEND_STRIDED (-1), ATTEND_BSHD (0) or ATTEND_BHSD (1)");
  const auto layout = static_cast<Layout>(desc.layout);
  to->part.strides = dense_strides(layout, desc.rows, desc.heads, desc.cols);
  to->o.strides = to->part.strides;
  return {};
}

Status read_merge(std::string_view operation, const attend_merge_desc* from, Merge* to) {
  attend_merge_desc desc = attend_merge_desc_init();
  ATTEND_CAPI_TRY(read_struct(operation, "desc", from, &desc));
  to->o.batch = desc.b;
  to->o.rows = desc.rows;
  to->o.heads = desc.heads;
  to->o.cols = desc.cols;
  to->part.batch = desc.b;
  to->part.rows = desc.rows;
  to->part.heads = desc.heads;
  to->part.cols = desc.cols;
  // Dense strides are products of sizes, which may be anything so far.
  const struct {
    const char* name;
    int64_t value;
  } sizes[] = {{"desc.b", desc.b}, {"desc.rows", desc.rows}, {"desc.heads", desc.heads}, {"desc.cols", desc.cols}};
  constexpr int64_t kMost = (int64_t{1} << 31) - 1;
  for (const auto& size : sizes)
    if (size.value < 0 || size.value > kMost)
      return refuse(operation, size.name, std::to_string(size.value), "0 to 2147483647");
  int64_t elements = 0;
  if (__builtin_mul_overflow(desc.rows * desc.heads, desc.cols, &elements))
    return refuse(operation, "desc.rows * heads * cols", "too large", "less than 2^60 elements");
  ATTEND_CAPI_TRY(read_dtype(operation, "desc.part_type", desc.part_type, &to->part.dtype));
  ATTEND_CAPI_TRY(read_dtype(operation, "desc.o_type", desc.o_type, &to->o.dtype));
  ATTEND_CAPI_TRY(read_layout(operation, desc, to));
  to->options.threads = desc.threads;
  if (desc.executor != nullptr) {
    ATTEND_CAPI_TRY(read_executor(operation, "desc.executor", desc.executor, &to->executor));
    to->options.executor = &to->executor;
  }
  return {};
}

}  // namespace
}  // namespace attend::capi

using attend::Offsets;
using attend::PartialResult;
using attend::Status;
using attend::capi::refuse;
using attend::capi::refuse_null;

attend_status attend_merge(const attend_merge_desc* desc, const void* const* parts, const float* const* parts_lse,
                           int64_t count, void* o, float* lse) {
  constexpr const char* kOperation = "merge";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    attend::capi::Merge merge;
    ATTEND_CAPI_TRY(attend::capi::read_merge(kOperation, desc, &merge));
    if (count < 0) return refuse(kOperation, "count", std::to_string(count), "0 or more");
    if (count > 0 && parts == nullptr) return refuse_null(kOperation, "parts", std::to_string(count) + " pointers");
    if (count > 0 && parts_lse == nullptr)
      return refuse_null(kOperation, "parts_lse", std::to_string(count) + " pointers");
    std::vector<PartialResult> given(static_cast<size_t>(count), {merge.part, nullptr});
    for (size_t i = 0; i < given.size(); ++i) {
      given[i].o.data = parts[i];
      given[i].lse = parts_lse[i];
    }
    merge.o.data = o;
    return attend::merge(given, merge.o, lse, merge.options);
  });
}

attend_status attend_merge_ragged(const attend_merge_desc* desc, const void* parts, const float* parts_lse,
                                  const void* cu_parts, int64_t cu_parts_count, attend_index_type cu_parts_type,
                                  void* o, float* lse) {
  constexpr const char* kOperation = "merge_ragged";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    attend::capi::Merge merge;
    ATTEND_CAPI_TRY(attend::capi::read_merge(kOperation, desc, &merge));
    if (cu_parts == nullptr)
      return refuse_null(kOperation, "cu_parts", std::to_string(merge.o.rows) + " + 1 numbers (= desc.rows + 1)");
    Offsets cu;
    ATTEND_CAPI_TRY(attend::capi::read_offsets(kOperation, "cu_parts", cu_parts, cu_parts_count, cu_parts_type,
                                               merge.o.rows, "desc.rows", &cu));
    merge.part.data = parts;
    merge.part.rows = cu[merge.o.rows];
    merge.o.data = o;
    return attend::merge_ragged(merge.part, parts_lse, cu, merge.o, lse, merge.options);
  });
}
