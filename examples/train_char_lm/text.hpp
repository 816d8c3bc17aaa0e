// SPDX-License-Identifier: Apache-2.0
// The text to learn, as numbers: each byte that occurs in it is a character.
#pragma once
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace train_char_lm {

class Text {
 public:
  /// The file, or without a name the licences that every Debian machine has (/usr/share/common-licenses).
  /// Throws std::runtime_error for what cannot be read or is shorter than `least` characters.
  static Text read(const std::string& file, int64_t least);

  const std::string& name() const { return name_; }
  int64_t size() const { return static_cast<int64_t>(characters_.size()); }
  int64_t vocabulary() const { return static_cast<int64_t>(bytes_.size()); }
  char byte(int32_t character) const { return bytes_[static_cast<size_t>(character)]; }

  /// Windows of consecutive characters and, one further, what follows each; both [batch][context].
  struct Batch {
    std::vector<int32_t> inputs, targets;
  };
  /// Drawn from the first nine tenths.
  Batch training(int64_t batch, int64_t context, std::mt19937_64& random) const;
  /// The last tenth, from its beginning on and around again.
  Batch held_out(int64_t batch, int64_t context) const;

 private:
  Batch windows(const std::vector<int64_t>& starts, int64_t context) const;

  std::string name_, bytes_;
  std::vector<int32_t> characters_;
};

}  // namespace train_char_lm
