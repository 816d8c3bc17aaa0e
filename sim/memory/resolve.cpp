// SPDX-License-Identifier: Apache-2.0
// Addresses of the state spaces (PTX ISA, chapter 5 "State spaces, types and variables") and their generic windows.
#include <cstdio>

#include "sim/machine/cta.hpp"
#include "sim/machine/machine.hpp"
#include "sim/memory/access.hpp"

namespace ptxsim {
namespace {

/// The CTA's rank in an address of the cluster's shared window: 0 for the own one, else rank + 1.
constexpr uint32_t kRankShift = 24;

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

struct Request {
  const Step& step;
  uint64_t address;
  uint32_t bytes;
  int lane;

  [[noreturn]] void refuse(const std::string& why) const {
    step.fault(HazardId::H22, std::to_string(bytes) + " bytes: " + why, lane);
  }
};

Cta& cta_of_rank(const Request& request, uint32_t field, bool cluster_window) {
  Cta& own = request.step.cta;
  if (field == 0 || field == own.rank + 1) return own;
  auto& ctas = own.cluster->ctas;
  if (!cluster_window)
    request.refuse("address " + hex(request.address) + " of the cluster's shared window (rank " +
                   std::to_string(field - 1) + ") is used with .shared::cta");
  if (field > ctas.size())
    request.step.fault(HazardId::H19,
                       "address " + hex(request.address) + " names rank " + std::to_string(field - 1) +
                           " of a cluster of " + std::to_string(ctas.size()) + " CTAs",
                       request.lane);
  Cta& cta = *ctas[field - 1];
  if (cta.exited)
    request.step.fault(HazardId::H19,
                       "address " + hex(request.address) + " is in the shared memory of rank " +
                           std::to_string(field - 1) + ", CTA " + std::to_string(cta.index) + ", which has exited",
                       request.lane);
  return cta;
}

Place in_shared(const Request& request, bool cluster_window) {
  const uint64_t field = request.address >> kRankShift;
  if (field > 0xff) request.refuse("address " + hex(request.address) + " is not in the shared window");
  Cta& cta = cta_of_rank(request, static_cast<uint32_t>(field), cluster_window);
  const uint64_t offset = request.address & ((uint64_t{1} << kRankShift) - 1);
  const uint64_t end = kSharedWindow + cta.shared.size();
  if (offset < kSharedWindow || offset + request.bytes > end)
    request.refuse("shared address " + hex(offset) + " is outside the CTA's " + std::to_string(cta.shared.size()) +
                   " bytes from " + hex(kSharedWindow) + " to " + hex(end));
  return {Space::shared, &cta, offset, cta.shared.data() + (offset - kSharedWindow)};
}

Place in_local(const Request& request, uint64_t offset) {
  const size_t thread = size_t{request.step.warp.index} * kLanes + static_cast<size_t>(request.lane);
  auto& local = request.step.cta.local[thread];
  if (offset + request.bytes > local.size())
    request.refuse("local address " + hex(offset) + " is outside the thread's " + std::to_string(local.size()) +
                   " bytes");
  return {Space::local, &request.step.cta, offset, local.data() + offset};
}

Place in_param(const Request& request, uint64_t offset) {
  if ((offset & kFrameParam) != 0) return in_local(request, offset & ~uint64_t{kFrameParam});
  auto& params = request.step.cta.launch->params;
  if (offset + request.bytes > params.size())
    request.refuse("parameter offset " + std::to_string(offset) + " is outside the kernel's " +
                   std::to_string(params.size()) + " bytes of parameters");
  return {Space::param, nullptr, offset, params.data() + offset};
}

Place in_global(const Request& request, Space space) {
  DeviceMemory& memory = request.step.machine.memory();
  DeviceMemory::Block* block = memory.find(request.address, request.bytes);
  if (block == nullptr) {
    if (request.address >= kGenericShared)
      request.refuse("generic address " + hex(request.address) + " is used as global");
    request.refuse(memory.describe(request.address));
  }
  if (space == Space::constant && !block->constant)
    request.refuse(memory.describe(request.address) + ", which is not constant memory");
  return {Space::global, nullptr, request.address, block->data.get() + (request.address - block->address)};
}

}  // namespace

Place resolve(const Step& step, Space space, uint64_t address, uint32_t bytes, uint32_t lane, uint32_t alignment) {
  const Request request{step, address, bytes, static_cast<int>(lane)};
  if (address % alignment != 0)
    request.refuse("address " + hex(address) + " is not a multiple of " + std::to_string(alignment));
  switch (space) {
    case Space::global:
    case Space::constant: return in_global(request, space);
    case Space::shared: return in_shared(request, false);
    case Space::shared_cluster: return in_shared(request, true);
    case Space::local: return in_local(request, address);
    case Space::param: return in_param(request, address);
    case Space::generic: break;
  }
  // A generic address past the end of a window is refused there: windows are far apart.
  const auto within = [&](uint64_t window) { return Request{step, address - window, bytes, static_cast<int>(lane)}; };
  if (address < kGenericShared) return in_global(request, space);
  if (address < kGenericLocal) return in_shared(within(kGenericShared), true);
  if (address < kGenericParam) return in_local(within(kGenericLocal), address - kGenericLocal);
  return in_param(within(kGenericParam), address - kGenericParam);
}

}  // namespace ptxsim
