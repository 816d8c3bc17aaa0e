// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/hazard/history.hpp"
#include "sim/memory/sync_object.hpp"

namespace ptxsim {

/// The device's global memory: allocations between red zones at simulated addresses, which bytes of them were written,
/// and the history of accesses that H10 is judged by.
class DeviceMemory {
 public:
  struct Block {
    uint64_t address = 0;
    size_t bytes = 0;
    std::string name;
    bool constant = false;  ///< module constants: no stores
    std::unique_ptr<std::byte[]> data;
    std::vector<uint8_t> initialised;  ///< by byte
    History history;
    uint64_t end() const { return address + bytes; }
  };

  uint64_t alloc(size_t bytes, std::string name, bool constant = false);
  void free(uint64_t address);
  /// The block that holds all of [address, address + bytes); null when none does.
  Block* find(uint64_t address, uint64_t bytes);
  const Block* find(uint64_t address, uint64_t bytes) const;
  /// "0x7000100 is 16 bytes past the end of q (4096 bytes at 0x7000000)".
  std::string describe(uint64_t address) const;
  /// What releases through global memory have left at each address.
  SyncObjects& sync_objects() { return sync_objects_; }

 private:
  std::map<uint64_t, Block> blocks_;
  std::map<uint64_t, std::pair<size_t, std::string>> freed_;  ///< for describe()
  uint64_t next_ = 0x7000000000;
  Block* last_ = nullptr;
  SyncObjects sync_objects_;
};

}  // namespace ptxsim
