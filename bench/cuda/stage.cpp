// SPDX-License-Identifier: Apache-2.0
#include "stage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "cuda/host/driver.hpp"
#include "verify/device_memory.hpp"

namespace attend::bench::cuda {
namespace {

namespace driver = attend::cuda::driver;
using Clock = std::chrono::steady_clock;

/// A kernel that waits for what never comes would hold everything else up.
constexpr double kPatienceSeconds = 30;
constexpr int64_t kSmallestFlush = int64_t{512} << 20;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

class CudaStage final : public Stage {
 public:
  CudaStage(const driver::Api& api, Device device) : api_(api), device_(std::move(device)) {}
  ~CudaStage() override {
    for (const driver::Event event : {begin_, end_})
      if (event != nullptr) (void)api_.event_destroy(event);
    if (stream_ != nullptr) (void)api_.stream_destroy(stream_);
  }

  Status open() {
    driver::Device ordinal = 0;
    int version = 0, l2 = 0;
    char bus[32] = "";
    Status status = check(api_.device_get(&ordinal, 0), "cuDeviceGet");
    if (status.ok()) status = check(api_.driver_version(&version), "cuDriverGetVersion");
    if (status.ok())
      status = check(api_.device_attribute(&l2, driver::kDeviceL2Bytes, ordinal), "cuDeviceGetAttribute");
    if (status.ok()) status = check(api_.device_bus_id(bus, sizeof bus, ordinal), "cuDeviceGetPCIBusId");
    // Device's calls make its context the current one of this thread.
    if (status.ok())
      status = flush_.allocate(device_, static_cast<size_t>(2 * std::max<int64_t>(kSmallestFlush, 2 * l2)));
    if (status.ok()) status = check(api_.stream_create(&stream_, driver::kStreamNonBlocking), "cuStreamCreate");
    if (status.ok()) status = check(api_.event_create(&begin_, 0), "cuEventCreate");
    if (status.ok()) status = check(api_.event_create(&end_, 0), "cuEventCreate");
    facts_ = {device_.name(), fmt::format("{}.{}", version / 1000, version % 1000 / 10), bus, l2};
    for (int i = 0; i < 3 && status.ok(); ++i) {  // the last one is warm
      const Result<Lap> one = timed([&](int64_t) { return flush(); }, 4, {});
      if (!one.ok()) return one.status();
      flush_seconds_ = one->seconds;
    }
    return status;
  }

  const Device& device() const override { return device_; }
  void* stream() const override { return stream_; }
  bool simulated() const override { return false; }
  const StageFacts& facts() const override { return facts_; }
  int64_t copy_bytes() const override { return static_cast<int64_t>(flush_.bytes() / 2); }

  Status copy() override {
    const size_t half = flush_.bytes() / 2;
    return check(api_.copy_inside(address() + half, address(), half, stream_), "cuMemcpyDtoDAsync");
  }

  Result<Lap> lap(const Enqueue& run, int runs, double hide_seconds, const std::function<void()>& meanwhile) override {
    const double times = flush_seconds_ > 0 ? std::ceil(hide_seconds / flush_seconds_) : 1;
    for (int i = 0; i < std::clamp(static_cast<int>(times), 1, 20); ++i)
      if (Status status = flush(); !status.ok()) return status;
    return timed(run, runs, meanwhile);
  }

 private:
  Status check(driver::Code code, const char* call) const { return driver::check(api_, code, call); }
  driver::Address address() const { return reinterpret_cast<driver::Address>(flush_.data()); }
  Status flush() { return check(api_.fill(address(), 1, flush_.bytes() / 2, stream_), "cuMemsetD8Async"); }

  Result<Lap> timed(const Enqueue& run, int runs, const std::function<void()>& meanwhile) {
    if (Status status = check(api_.event_record(begin_, stream_), "cuEventRecord"); !status.ok()) return status;
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < runs; ++i)
      if (Status status = run(index_++); !status.ok()) return status;
    const double host = seconds_since(start);
    if (Status status = check(api_.event_record(end_, stream_), "cuEventRecord"); !status.ok()) return status;
    if (meanwhile) meanwhile();
    if (Status status = wait(); !status.ok()) return status;
    float milliseconds = 0;
    if (Status status = check(api_.event_elapsed(&milliseconds, begin_, end_), "cuEventElapsedTime"); !status.ok())
      return status;
    return Lap{1e-3 * static_cast<double>(milliseconds) / runs, host / runs};
  }

  Status wait() const {
    const Clock::time_point start = Clock::now();
    for (;;) {
      const driver::Code code = api_.event_query(end_);
      if (code != driver::kNotReady) return check(code, "cuEventQuery");
      const double waited = seconds_since(start);
      if (waited > kPatienceSeconds)
        return {StatusCode::device, fmt::format("the device has not finished after {} seconds", kPatienceSeconds)};
      if (waited > 0.01) std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }

  const driver::Api& api_;
  Device device_;
  StageFacts facts_;
  verify::DeviceMemory flush_;  ///< one half is overwritten, and copied to the other
  driver::Stream stream_ = nullptr;
  driver::Event begin_ = nullptr, end_ = nullptr;
  double flush_seconds_ = 0;
  int64_t index_ = 0;
};

}  // namespace

Result<std::unique_ptr<Stage>> make_cuda_stage() {
  Result<Device> device = Device::cuda();
  if (!device.ok()) return device.status();
  const Result<const driver::Api*> api = driver::load();
  if (!api.ok()) return api.status();
  auto stage = std::make_unique<CudaStage>(**api, std::move(device).value());
  if (Status status = stage->open(); !status.ok()) return status;
  return std::unique_ptr<Stage>(std::move(stage));
}

}  // namespace attend::bench::cuda
