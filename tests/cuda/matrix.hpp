// SPDX-License-Identifier: Apache-2.0
// Every row of the device's tables that multiplies in 16 bits, and Problems for all of them: lengths at the edges of
// tiles, masks, groups, terms, ragged batches.
#pragma once
#include <string>
#include <vector>

#include "simulated.hpp"

namespace attend::cuda {

/// A kernel, and the words of a Problem that only it takes.
struct Row {
  std::string kernel, words;
  size_t index = 0;
};
inline std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.kernel; }

/// As a simulated Hopper device lists them; none, if the library was built without nvcc.
std::vector<Row> rows_of_the_device();

/// What a Problem says beside its row's words.
const std::vector<std::string>& cases();

class EveryRow : public testing::TestWithParam<Row> {
 protected:
  void expect_right_under(size_t which, const ptxsim::Schedule& schedule) {
    const std::string line = "attention_fwd " + GetParam().words + cases()[which];
    expect_right(problem_of(line), schedule, schedule.seed, schedule.seed % 2 == 0, 2, GetParam().kernel);
  }
};

inline std::string name_of(const testing::TestParamInfo<Row>& info) {
  std::string name = info.param.kernel.substr(std::string("attention_fwd.").size());
  for (char& c : name)
    if (c == '.') c = '_';
  return name;
}

}  // namespace attend::cuda
