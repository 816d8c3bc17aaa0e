// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "sim/ptxsim.hpp"
#include "sim/tool/session.hpp"

namespace ptxsim::tool {

using Json = nlohmann::ordered_json;

/// Indented when `pretty`; bytes that are no UTF-8 are replaced.
void print_json(const Json& value, bool pretty = false);

Json json_of(const Dim3& dim);
Json json_of(const Hazard& hazard);
Json json_of(const RunCounts& counts);
/// File, entry, shape of the launch.
Json json_of(const Session& session);

/// A C++ name as it is written, when `name` is mangled.
std::string readable(const std::string& name);
/// `kernel  grid 4 x 1 x 1, block 128, ...`
std::string launch_line(const Session& session);
/// Counts as a table, for a person.
std::string counts_text(const RunCounts& counts);
/// The first and the last elements of an output: `[0.5 1.25 ... 3]`.
std::string preview(const Output& output);
std::string bytes_text(uint64_t bytes);
/// 1234567 as 1 234 567.
std::string grouped(uint64_t value);

}  // namespace ptxsim::tool
