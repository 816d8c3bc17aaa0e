// SPDX-License-Identifier: Apache-2.0
#include "sim/isa/isa.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <vector>

namespace ptxsim {

#define PTXSIM_OP(name, isa_class, flags, decode, chapter) void decode(Decode&);
#include "sim/isa/isa.def"
#undef PTXSIM_OP

namespace {

const IsaRow kRows[] = {
#define PTXSIM_OP(name, isa_class, flags, decode, chapter) {name, IsaClass::isa_class, (flags), decode, chapter},
#include "sim/isa/isa.def"
#undef PTXSIM_OP
};

constexpr std::array<const char*, kIsaClasses> kClassNames = {
    "integer",  "real",   "half",   "convert",    "compare",   "move",   "control", "warp",  "barrier",
    "mbarrier", "memory", "atomic", "async_copy", "bulk_copy", "matrix", "cluster", "proxy", "other",
};

std::string_view first_word(std::string_view opcode) { return opcode.substr(0, opcode.find('.')); }

/// Rows by first word, longest names first.
using Index = std::unordered_map<std::string_view, std::vector<const IsaRow*>>;
Index* make_index() {
  auto* index = new Index;
  for (const IsaRow& row : kRows) (*index)[first_word(row.name)].push_back(&row);
  for (auto& [word, rows] : *index)
    std::stable_sort(rows.begin(), rows.end(), [](const IsaRow* a, const IsaRow* b) {
      return std::string_view(a->name).size() > std::string_view(b->name).size();
    });
  return index;
}

}  // namespace

const char* isa_class_name(IsaClass isa_class) { return kClassNames[static_cast<size_t>(isa_class)]; }

std::span<const IsaRow> isa_rows() { return kRows; }

const IsaRow* isa_find(std::string_view opcode) {
  static const Index* const index = make_index();
  const auto rows = index->find(first_word(opcode));
  if (rows == index->end()) return nullptr;
  for (const IsaRow* row : rows->second) {
    const std::string_view name = row->name;
    if (opcode.starts_with(name) && (opcode.size() == name.size() || opcode[name.size()] == '.')) return row;
  }
  return nullptr;
}

}  // namespace ptxsim
