// SPDX-License-Identifier: Apache-2.0
#include "sim/memory/global.hpp"

#include <algorithm>
#include <cstdio>

namespace ptxsim {
namespace {

constexpr uint64_t kAlignment = 256, kRedZone = 4096;

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

std::string block_text(uint64_t address, size_t bytes, const std::string& name) {
  return (name.empty() ? "an allocation" : name) + " (" + std::to_string(bytes) + " bytes at " + hex(address) + ")";
}

}  // namespace

uint64_t DeviceMemory::alloc(size_t bytes, std::string name, bool constant) {
  Block block;
  block.address = next_;
  block.bytes = bytes;
  block.name = std::move(name);
  block.constant = constant;
  block.data.reset(new std::byte[bytes]);
  std::fill_n(block.data.get(), bytes, std::byte{0xa5});
  block.initialised.assign(bytes, 0);
  block.history.reset(bytes, false);
  next_ += (bytes + kAlignment - 1) / kAlignment * kAlignment + kRedZone;
  const uint64_t address = block.address;
  blocks_.emplace(address, std::move(block));
  return address;
}

void DeviceMemory::free(uint64_t address) {
  const auto found = blocks_.find(address);
  if (found == blocks_.end()) return;
  if (last_ == &found->second) last_ = nullptr;
  freed_[address] = {found->second.bytes, found->second.name};
  blocks_.erase(found);
}

DeviceMemory::Block* DeviceMemory::find(uint64_t address, uint64_t bytes) {
  const auto holds = [&](const Block& block) {
    return address >= block.address && bytes <= block.bytes && address - block.address <= block.bytes - bytes;
  };
  if (last_ != nullptr && holds(*last_)) return last_;
  auto next = blocks_.upper_bound(address);
  if (next == blocks_.begin()) return nullptr;
  Block& block = std::prev(next)->second;
  if (!holds(block)) return nullptr;
  last_ = &block;
  return last_;
}

const DeviceMemory::Block* DeviceMemory::find(uint64_t address, uint64_t bytes) const {
  return const_cast<DeviceMemory*>(this)->find(address, bytes);
}

std::string DeviceMemory::describe(uint64_t address) const {
  const std::string text = hex(address);
  const auto next = blocks_.upper_bound(address);
  const Block* before = next == blocks_.begin() ? nullptr : &std::prev(next)->second;
  if (before != nullptr && address < before->end())
    return text + " is byte " + std::to_string(address - before->address) + " of " +
           block_text(before->address, before->bytes, before->name);
  const auto freed = freed_.upper_bound(address);
  if (freed != freed_.begin()) {
    const auto& [at, gone] = *std::prev(freed);
    if (address - at < gone.first) return text + " is in " + block_text(at, gone.first, gone.second) + ", freed";
  }
  const uint64_t past = before == nullptr ? UINT64_MAX : address - before->end();
  const uint64_t ahead = next == blocks_.end() ? UINT64_MAX : next->second.address - address;
  if (past > kRedZone && ahead > kRedZone) return text + " is in no allocation";
  if (past <= ahead)
    return text + " is " + std::to_string(past) + " bytes past the end of " +
           block_text(before->address, before->bytes, before->name);
  return text + " is " + std::to_string(ahead) + " bytes before " +
         block_text(next->second.address, next->second.bytes, next->second.name);
}

}  // namespace ptxsim
