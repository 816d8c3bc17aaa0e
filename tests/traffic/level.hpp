// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <attend/attention.hpp>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "verify/element.hpp"

namespace attend::test {

class Tile;

/// An array in main memory. Only tiles touch it.
class MainArray {
 public:
  MainArray(DType type, const void* data) : type_(type), data_(const_cast<void*>(data)) {}

 private:
  friend class Tile;
  DType type_;
  void* data_;
};

/// A memory level of some bytes that is managed by hand, and what crosses between it and main memory. It holds the
/// tiles that are alive; a tile for which there is no room is an error.
class Level {
 public:
  explicit Level(int64_t bytes) : bytes_(bytes) {}
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

  int64_t bytes() const { return bytes_; }
  int64_t room() const { return bytes_ - resident_; }
  int64_t most_resident() const { return most_resident_; }
  const MemoryTraffic& moved() const { return moved_; }

 private:
  friend class Tile;
  int64_t bytes_, resident_ = 0, most_resident_ = 0;
  MemoryTraffic moved_;
};

/// An array in the level, zeros at first.
class Tile {
 public:
  Tile(Level& level, DType type, int64_t count)
      : level_(&level), type_(type), data_(static_cast<size_t>(count * dtype_bytes(type))) {
    const auto bytes = static_cast<int64_t>(data_.size());
    if (bytes > level.room())
      throw std::runtime_error("a tile of " + std::to_string(bytes) + " bytes, room for " +
                               std::to_string(level.room()));
    level.resident_ += bytes;
    level.most_resident_ = std::max(level.most_resident_, level.resident_);
  }
  Tile(Tile&& other) noexcept : level_(other.level_), type_(other.type_), data_(std::move(other.data_)) {
    other.level_ = nullptr;
  }
  Tile& operator=(Tile&&) = delete;
  ~Tile() {
    if (level_ != nullptr) level_->resident_ -= static_cast<int64_t>(data_.size());
  }

  double operator[](int64_t i) const { return verify::load_element(type_, data_.data(), checked(i)); }
  void set(int64_t i, double value) { verify::store_element(type_, data_.data(), checked(i), value); }

  /// Elements [at, at + count) of main memory become those from `to` on, converted when the types differ.
  void load(const MainArray& from, int64_t at, int64_t count, int64_t to = 0) {
    for (int64_t i = 0; i < count; ++i) set(to + i, verify::load_element(from.type_, from.data_, at + i));
    level_->moved_.read += count * dtype_bytes(from.type_);
  }
  /// The other way round.
  void store(const MainArray& to, int64_t at, int64_t count, int64_t from = 0) const {
    for (int64_t i = 0; i < count; ++i) verify::store_element(to.type_, to.data_, at + i, (*this)[from + i]);
    level_->moved_.written += count * dtype_bytes(to.type_);
  }

 private:
  int64_t checked(int64_t i) const {
    if (i < 0 || i >= static_cast<int64_t>(data_.size()) / dtype_bytes(type_)) throw std::out_of_range("tile");
    return i;
  }

  Level* level_;
  DType type_;
  std::vector<std::byte> data_;
};

}  // namespace attend::test
