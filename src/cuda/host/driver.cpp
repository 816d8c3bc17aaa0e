// SPDX-License-Identifier: Apache-2.0
#include "cuda/host/driver.hpp"

#include <dlfcn.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace attend::cuda::driver {
namespace {

Result<const Api*> open(const char* library, Api& api) {
  // Never closed: the driver keeps threads and state of its own.
  void* const handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const reason = dlerror();
    return Status(StatusCode::device,
                  std::string("no CUDA driver: ") + (reason != nullptr ? reason : "unknown reason"));
  }
  const char* missing = nullptr;
  const auto find = [&](auto& member, const char* name) {
    member = reinterpret_cast<std::remove_reference_t<decltype(member)>>(dlsym(handle, name));
    if (member == nullptr && missing == nullptr) missing = name;
  };
#define ATTEND_DRIVER_FIND(member, name, parameters) find(api.member, name);
  ATTEND_DRIVER_FUNCTIONS(ATTEND_DRIVER_FIND)
#undef ATTEND_DRIVER_FIND
  if (missing != nullptr)
    return Status(StatusCode::device, std::string(library) + " has no " + missing + ": a driver for CUDA 12 is needed");
  return static_cast<const Api*>(&api);
}

}  // namespace

Result<const Api*> load(const char* library) {
  struct Loaded {
    Api api;
    Result<const Api*> result = Status();
  };
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<Loaded>> known;
  const std::lock_guard lock(mutex);
  std::unique_ptr<Loaded>& loaded = known[library];
  if (loaded == nullptr) {
    loaded = std::make_unique<Loaded>();
    loaded->result = open(library, loaded->api);
  }
  return loaded->result;
}

Status check(const Api& api, Code code, const char* call) {
  if (code == kSuccess) return {};
  const char *name = nullptr, *text = nullptr;
  if (api.error_name(code, &name) != kSuccess || name == nullptr) name = "unknown error";
  if (api.error_string(code, &text) != kSuccess || text == nullptr) text = "no text";
  return {code == kOutOfMemory ? StatusCode::out_of_memory : StatusCode::device,
          std::string(call) + ": " + name + " (" + std::to_string(code) + "): " + text};
}

}  // namespace attend::cuda::driver
