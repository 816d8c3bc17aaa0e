// SPDX-License-Identifier: Apache-2.0
// What the library says of itself, names of numbers, and the units of log-sum-exp.
#include <attend/attend.h>

#include <attend/dtype.hpp>
#include <attend/mask.hpp>
#include <attend/status.hpp>
#include <numbers>
#include <string>

#include "capi/error.hpp"

#define ATTEND_CAPI_TEXT_OF(value) #value
#define ATTEND_CAPI_TEXT(value) ATTEND_CAPI_TEXT_OF(value)
#define ATTEND_CAPI_VERSION              \
  ATTEND_CAPI_TEXT(ATTEND_VERSION_MAJOR) \
  "." ATTEND_CAPI_TEXT(ATTEND_VERSION_MINOR) "." ATTEND_CAPI_TEXT(ATTEND_VERSION_PATCH)

static_assert(std::string_view(ATTEND_CAPI_VERSION) == ATTEND_CAPI_PROJECT_VERSION,
              "ATTEND_VERSION_* in attend.h and project(VERSION) in CMakeLists.txt must agree");

#if defined(__clang__)
#define ATTEND_CAPI_COMPILER __VERSION__
#else
#define ATTEND_CAPI_COMPILER "g++ " __VERSION__
#endif
#if defined(__x86_64__)
#define ATTEND_CAPI_TARGET "x86-64"
#elif defined(__aarch64__)
#define ATTEND_CAPI_TARGET "aarch64"
#else
#define ATTEND_CAPI_TARGET "other target"
#endif
#if defined(ATTEND_OPENMP)
#define ATTEND_CAPI_THREADS "OpenMP"
#else
#define ATTEND_CAPI_THREADS "no threads of its own"
#endif

namespace {

attend_status scale(const char* operation, const float* in, float* out, size_t count, double factor) {
  return attend::capi::guarded(operation, [&]() -> attend::Status {
    if (count > 0 && (in == nullptr || out == nullptr)) {
      return attend::capi::refuse_null(operation, in == nullptr ? "in" : "out",
                                       std::to_string(count) + " floats (= count)");
    }
    for (size_t i = 0; i < count; ++i) out[i] = static_cast<float>(in[i] * factor);
    return {};
  });
}

}  // namespace

const char* attend_status_string(attend_status status) {
  if (status < ATTEND_OK || status > ATTEND_INTERNAL) return "?";
  return attend::status_code_name(static_cast<attend::StatusCode>(status));
}

int32_t attend_version(void) { return ATTEND_VERSION; }

const char* attend_version_string(void) { return ATTEND_CAPI_VERSION; }

const char* attend_build_info(void) {
  return "attend " ATTEND_CAPI_VERSION ", " ATTEND_CAPI_COMPILER ", " ATTEND_CAPI_BUILD_TYPE ", " ATTEND_CAPI_TARGET
         ", " ATTEND_CAPI_THREADS;
}

const char* attend_dtype_name(attend_dtype dtype) { return attend::dtype_name(static_cast<attend::DType>(dtype)); }

int32_t attend_dtype_bytes(attend_dtype dtype) { return attend::dtype_bytes(static_cast<attend::DType>(dtype)); }

const char* attend_mask_name(attend_mask_kind kind) {
  switch (static_cast<attend::MaskKind>(kind)) {
#define ATTEND_MASK(Type, name, doc) \
  case attend::MaskKind::name:       \
    return #name;
#include <attend/mask/masks.def>
#undef ATTEND_MASK
  }
  return "?";
}

attend_status attend_lse_natural_to_base2(const float* in, float* out, size_t count) {
  return scale("lse_natural_to_base2", in, out, count, std::numbers::log2e);
}

attend_status attend_lse_base2_to_natural(const float* in, float* out, size_t count) {
  return scale("lse_base2_to_natural", in, out, count, std::numbers::ln2);
}
