// SPDX-License-Identifier: Apache-2.0
#include "product.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdint>
#include <type_traits>

#include "tensors.hpp"
#include "verify/device_memory.hpp"

namespace attend::bench::cuda {
namespace {

constexpr int kSide = 8192;
// cublas_api.h and library_types.h.
constexpr int kNormal = 0, kTransposed = 1, kTypeF16 = 2, kTypeBf16 = 14, kSumInF32 = 68, kOwnChoice = -1;

/// The part of cublas_api.h that is used.
struct Api {
  int (*create)(void** handle) = nullptr;
  int (*destroy)(void* handle) = nullptr;
  int (*set_stream)(void* handle, void* stream) = nullptr;
  int (*version)(void* handle, int* version) = nullptr;
  int (*multiply)(void* handle, int transpose_a, int transpose_b, int m, int n, int k, const void* alpha, const void* a,
                  int a_type, int a_stride, const void* b, int b_type, int b_stride, const void* beta, void* c,
                  int c_type, int c_stride, int compute_type, int algorithm) = nullptr;
};

/// Never closed: the library keeps state of its own. Null: `reason` says why.
void* open(const std::vector<std::string>& libraries, std::string& reason) {
  std::vector<std::string> names = libraries;
  names.insert(names.end(), {"libcublas.so.13", "libcublas.so.12", "/usr/local/cuda/lib64/libcublas.so"});
  for (const std::string& name : names) {
    if (void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    const char* const why = dlerror();
    reason += (reason.empty() ? "" : "; ") + std::string(why != nullptr ? why : name);
  }
  return nullptr;
}

}  // namespace

struct Product::State {
  Api api;
  void* handle = nullptr;
  int type = kTypeF16, version = 0;
  verify::DeviceMemory a, b, c;

  ~State() {
    if (handle != nullptr) (void)api.destroy(handle);
  }
};

Product::Product(std::unique_ptr<State> state) : state_(std::move(state)) {}
Product::Product(Product&&) noexcept = default;
Product& Product::operator=(Product&&) noexcept = default;
Product::~Product() = default;

Result<Product> Product::make(const Stage& stage, DType type, const std::vector<std::string>& libraries) {
  if (stage.simulated()) return unsupported("cuBLAS: not in the simulator");
  if (type != DType::f16 && type != DType::bf16) return unsupported("cuBLAS: no product of this type is asked for");
  std::string reason;
  void* const library = open(libraries, reason);
  if (library == nullptr) return Status(StatusCode::device, "no cuBLAS: " + reason);
  auto state = std::make_unique<State>();
  bool complete = true;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    complete = complete && function != nullptr;
  };
  find(state->api.create, "cublasCreate_v2");
  find(state->api.destroy, "cublasDestroy_v2");
  find(state->api.set_stream, "cublasSetStream_v2");
  find(state->api.version, "cublasGetVersion_v2");
  find(state->api.multiply, "cublasGemmEx");
  if (!complete) return Status(StatusCode::device, "no cuBLAS: functions are missing in the library that was found");
  if (const int code = state->api.create(&state->handle); code != 0)
    return Status(StatusCode::device, fmt::format("cublasCreate: {}", code));
  (void)state->api.version(state->handle, &state->version);
  if (const int code = state->api.set_stream(state->handle, stage.stream()); code != 0)
    return Status(StatusCode::device, fmt::format("cublasSetStream: {}", code));
  state->type = type == DType::f16 ? kTypeF16 : kTypeBf16;
  constexpr int64_t kElements = int64_t{kSide} * kSide;
  for (verify::DeviceMemory* matrix : {&state->a, &state->b, &state->c})
    if (Status status = matrix->allocate(stage.device(), 2 * kElements); !status.ok()) return status;
  // Numbers matter: zeros take less power, so that the clock stays higher.
  for (verify::DeviceMemory* matrix : {&state->a, &state->b}) {
    const auto values = drawn(type, Distribution::normal, kElements, matrix == &state->a ? 11 : 12);
    if (Status status = stage.device().copy_to_device(matrix->data(), values.data(), 2 * kElements); !status.ok())
      return status;
  }
  Product product(std::move(state));
  if (Status status = product.run(); !status.ok()) return status;
  if (Status status = stage.device().synchronize(stage.stream()); !status.ok()) return status;
  return product;
}

Status Product::run() {
  const float one = 1, zero = 0;
  const int code = state_->api.multiply(state_->handle, kTransposed, kNormal, kSide, kSide, kSide, &one,
                                        state_->a.data(), state_->type, kSide, state_->b.data(), state_->type, kSide,
                                        &zero, state_->c.data(), state_->type, kSide, kSumInF32, kOwnChoice);
  if (code != 0) return {StatusCode::device, fmt::format("cublasGemmEx: {}", code)};
  return {};
}

double Product::flops() const { return 2.0 * kSide * kSide * kSide; }

std::string Product::name() const {
  const int v = state_->version;
  return fmt::format("cuBLAS {}.{}.{}, {}x{}x{}", v / 10000, v % 10000 / 100, v % 100, kSide, kSide, kSide);
}

}  // namespace attend::bench::cuda
