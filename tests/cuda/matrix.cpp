// SPDX-License-Identifier: Apache-2.0
#include "matrix.hpp"

#include <algorithm>
#include <array>

namespace attend::cuda {

// Ids are attention_fwd.<family>.<type>.d<columns>[_<columns of v>][.<what is different>].
std::vector<Row> rows_of_the_device() {
  PlanOptions options;
  options.device = test_device();
  const Result<AttentionFwd> any = AttentionFwd::parse("attention_fwd sq=8 sk=8 d=64");
  const auto ready = plan(*any, options);
  std::vector<Row> rows;
  if (!ready.ok()) return rows;  // built without nvcc
  for (const Candidate& candidate : ready->candidates()) {
    const std::string& id = candidate.kernel;
    const size_t type = id.find("f16.d") == std::string::npos ? std::string::npos : id.rfind('.', id.find("f16.d"));
    if (type == std::string::npos) continue;
    const size_t columns = id.find(".d", type) + 2, end = std::min(id.find('.', columns), id.size());
    std::string d = id.substr(columns, end - columns), dv = d;
    if (const size_t both = d.find('_'); both != std::string::npos) dv = d.substr(both + 1), d.resize(both);
    rows.push_back(
        {id, "dtype=" + id.substr(type + 1, columns - type - 3) + " d=" + d + " dv=" + dv + " lse=1 ", rows.size()});
  }
  return rows;
}

const std::vector<std::string>& cases() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> lines;
    // The tiles have 128 rows, or 192, and 64, 96 or 128 keys.
    const std::array<int, 11> lengths = {0, 1, 63, 64, 65, 127, 128, 129, 193, 257, 385};
    for (size_t i = 0; i < lengths.size(); ++i) {
      const auto pair = [&](int sq, int sk) { return "sq=" + std::to_string(sq) + " sk=" + std::to_string(sk); };
      const int other = lengths[(i + 4) % lengths.size()];
      lines.push_back(pair(lengths[i], lengths[i]) + " mask=causal");
      lines.push_back(pair(lengths[i], other));
      lines.push_back(pair(other, lengths[i]) + " mask=causal");
    }
    for (const char* mask : {"causal", "causal_top_left", "window:50:20", "chunk:48", "prefix_lm:random:3",
                             "documents:0,60,61,200", "block_sparse:32x64:random:0.4:3", "padding:random:3",
                             "tree:40:random:3", "dense:random:0.3:3", "causal&streaming:4:50", "causal&window:100:0",
                             "causal&documents:0,100,133,200", "window:64:64&padding:random:3&causal_top_left"})
      lines.push_back(std::string("sq=200 sk=200 mask=") + mask);
    for (const char* heads : {"hq=2 hk=2", "hq=3 hk=1", "hq=8 hk=1"})
      lines.push_back(std::string("sq=70 sk=130 mask=causal ") + heads);
    for (const char* terms : {"softcap=5", "alibi=1 hq=2", "sink=1 hq=2", "bias=bhq b=2", "bias=h hq=2",
                              "softcap=20 alibi=1 bias=q sink=1"})
      lines.push_back(std::string("sq=150 sk=140 mask=causal ") + terms);
    lines.push_back("b=4 layout=thd mask=causal sq=130,0,1,69 sk=128,12,0,161");
    lines.push_back("b=3 layout=thd hq=2 hk=1 sq=1,17,90 sk=300,17,0");
    lines.push_back("b=2 hq=3 layout=bhsd sq=140 sk=200 mask=causal");  // more blocks of rows than of threads
    return lines;
  }();
  return all;
}

}  // namespace attend::cuda
