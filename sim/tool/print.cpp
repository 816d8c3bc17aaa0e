// SPDX-License-Identifier: Apache-2.0
#include "sim/tool/print.hpp"

#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "sim/isa/program.hpp"
#include "sim/tool/compare.hpp"

namespace ptxsim::tool {

using attend::io::Element;

void print_json(const Json& value, bool pretty) {
  fmt::print("{}\n", value.dump(pretty ? 2 : -1, ' ', false, Json::error_handler_t::replace));
}

Json json_of(const Dim3& dim) { return Json::array({dim.x, dim.y, dim.z}); }

namespace {

Json json_of_site(const Site& site) {
  Json out{{"line", site.line}};
  if (!site.source.empty()) out["source"] = site.source;
  out["cta"] = site.cta;
  if (site.warp >= 0) out["warp"] = site.warp;
  if (site.lane >= 0) out["lane"] = site.lane;
  return out;
}

}  // namespace

Json json_of(const Hazard& hazard) {
  Json out{{"id", hazard_id(hazard.id)},
           {"name", hazard_name(hazard.id)},
           {"what", hazard.what},
           {"kernel", hazard.kernel},
           {"site", json_of_site(hazard.site)}};
  if (hazard.other.line != 0) out["other"] = json_of_site(hazard.other);
  out["count"] = hazard.count;
  out["schedule"] = hazard.schedule;
  return out;
}

Json json_of(const RunCounts& counts) {
  Json by_class = Json::object();
  for (const auto& [name, count] : counts.by_class) by_class[name] = count;
  return Json{{"warp_instructions", counts.warp_instructions},
              {"thread_instructions", counts.thread_instructions},
              {"by_class", by_class},
              {"matrix_instructions", counts.matrix_instructions},
              {"multiply_adds", counts.multiply_adds},
              {"global_read_bytes", counts.global_read_bytes},
              {"global_written_bytes", counts.global_written_bytes},
              {"shared_read_bytes", counts.shared_read_bytes},
              {"shared_written_bytes", counts.shared_written_bytes},
              {"async_copied_bytes", counts.async_copied_bytes},
              {"local_bytes", counts.local_bytes},
              {"shared_accesses", counts.shared_accesses},
              {"shared_wavefronts", counts.shared_wavefronts}};
}

Json json_of(const Session& session) {
  return Json{
      {"file", session.module.program().name},       {"entry", session.entry.name},
      {"grid", json_of(session.options.grid)},       {"block", json_of(session.options.block)},
      {"cluster", json_of(session.options.cluster)}, {"dynamic_shared_bytes", session.options.dynamic_shared_bytes}};
}

std::string readable(const std::string& name) {
  int failed = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &failed),
                                                    std::free);
  return failed == 0 && text != nullptr ? text.get() : name;
}

std::string launch_line(const Session& session) {
  const auto dim = [](const Dim3& d) {
    return d.z != 1   ? fmt::format("{} x {} x {}", d.x, d.y, d.z)
           : d.y != 1 ? fmt::format("{} x {}", d.x, d.y)
                      : fmt::format("{}", d.x);
  };
  std::string text = fmt::format("{}  grid {}, block {}", readable(session.entry.name), dim(session.options.grid),
                                 dim(session.options.block));
  if (session.options.cluster.count() > 1) text += fmt::format(", cluster {}", dim(session.options.cluster));
  const uint64_t shared = session.entry.static_shared_bytes + uint64_t{session.options.dynamic_shared_bytes};
  if (shared > 0) text += fmt::format(", shared memory {}", bytes_text(shared));
  return text;
}

std::string grouped(uint64_t value) {
  std::string digits = std::to_string(value);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ' ');
  return digits;
}

std::string bytes_text(uint64_t bytes) {
  if (bytes < 10240) return fmt::format("{} B", bytes);
  if (bytes < (uint64_t{10} << 20)) return fmt::format("{:.4g} KiB", static_cast<double>(bytes) / 1024);
  return fmt::format("{:.4g} MiB", static_cast<double>(bytes) / (1 << 20));
}

std::string counts_text(const RunCounts& counts) {
  std::string out;
  const auto row = [&](const char* what, const std::string& value) {
    out += fmt::format("  {:<26}{:>16}\n", what, value);
  };
  row("warp instructions", grouped(counts.warp_instructions));
  row("thread instructions", grouped(counts.thread_instructions));
  for (const auto& [name, count] : counts.by_class) row(("  " + name).c_str(), grouped(count));
  if (counts.matrix_instructions > 0) {
    row("matrix products", grouped(counts.matrix_instructions));
    row("multiply-adds", grouped(counts.multiply_adds));
  }
  row("global memory read", bytes_text(counts.global_read_bytes));
  row("global memory written", bytes_text(counts.global_written_bytes));
  if (counts.async_copied_bytes > 0) row("copied asynchronously", bytes_text(counts.async_copied_bytes));
  if (counts.shared_accesses > 0) {
    row("shared memory read", bytes_text(counts.shared_read_bytes));
    row("shared memory written", bytes_text(counts.shared_written_bytes));
    row("shared accesses", grouped(counts.shared_accesses));
    row("shared wavefronts", grouped(counts.shared_wavefronts));
  }
  if (counts.local_bytes > 0) row("local memory", bytes_text(counts.local_bytes));
  return out;
}

std::string preview(const Output& output) {
  const Element element = output.argument->element;
  const size_t count = output.content.size() / static_cast<size_t>(attend::io::element_bytes(element));
  std::string text = "[";
  constexpr size_t kFirst = 6;
  for (size_t i = 0; i < std::min(count, kFirst); ++i)
    text += (i == 0 ? "" : " ") + element_text(element, output.content, i);
  if (count > kFirst + 1) text += " ...";
  if (count > kFirst) text += " " + element_text(element, output.content, count - 1);
  return text + "]";
}

}  // namespace ptxsim::tool
