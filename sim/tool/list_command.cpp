// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "cli/io/file.hpp"
#include "sim/tool/command.hpp"
#include "sim/tool/listing.hpp"
#include "sim/tool/print.hpp"

namespace ptxsim::tool {
namespace {

struct ListOptions {
  std::string file;
  bool full = false, json = false;
};

Json json_of(const Listing& listing) {
  Json out{{"version", listing.version}, {"target", listing.target}, {"instructions", listing.instructions}};
  out["entries"] = Json::array();
  for (const EntryInfo& entry : listing.entries) {
    Json each{{"name", entry.name}, {"params", Json::array()}};
    for (const EntryInfo::Param& param : entry.params)
      each["params"].push_back(
          Json{{"name", param.name}, {"bytes", param.bytes}, {"align", param.align}, {"offset", param.offset}});
    each["param_bytes"] = entry.param_bytes;
    each["static_shared_bytes"] = entry.static_shared_bytes;
    each["uses_dynamic_shared"] = entry.uses_dynamic_shared;
    each["registers"] = entry.registers;
    const auto found = listing.directives.find(entry.name);
    each["directives"] = found == listing.directives.end() ? Json::array() : Json(found->second);
    out["entries"].push_back(std::move(each));
  }
  out["opcodes"] = listing.opcodes_by_class;
  out["full_opcodes"] = listing.full_opcodes;
  out["unsupported"] = Json::array();
  for (const Listing::Unsupported& each : listing.unsupported)
    out["unsupported"].push_back(
        Json{{"line", each.line}, {"opcode", each.opcode}, {"count", each.count}, {"reason", each.reason}});
  return out;
}

void print_entry(const EntryInfo& entry, const Listing& listing) {
  const std::string name = readable(entry.name);
  fmt::print("entry {}{}\n", entry.name, name == entry.name ? "" : "\n  " + name);
  for (const EntryInfo::Param& param : entry.params)
    fmt::print("  param {:>3} {:>5} byte{} at {:<6}{}\n", &param - entry.params.data(), param.bytes,
               param.bytes == 1 ? " " : "s", param.offset, param.name);
  fmt::print("  shared memory {} static{}; {} virtual registers\n", bytes_text(entry.static_shared_bytes),
             entry.uses_dynamic_shared ? " and dynamic" : "", entry.registers);
  const auto found = listing.directives.find(entry.name);
  if (found != listing.directives.end()) fmt::print("  {}\n", fmt::join(found->second, "  "));
}

void print_text(const Listing& listing, bool full) {
  fmt::print("PTX {} for {}, {} instructions\n\n", listing.version, listing.target, listing.instructions);
  for (const EntryInfo& entry : listing.entries) print_entry(entry, listing);
  fmt::print("\n");
  for (const auto& [name, rows] : listing.opcodes_by_class) {
    uint64_t sum = 0;
    std::vector<std::pair<uint64_t, std::string>> sorted;
    for (const auto& [opcode, count] : rows) {
      sum += count;
      sorted.emplace_back(count, opcode);
    }
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    std::string line = fmt::format("{:<12}{:>7}  ", name, sum);
    for (const auto& [count, opcode] : sorted) {
      const std::string word = fmt::format(" {} {}", opcode, count);
      if (line.size() + word.size() > 110) {
        fmt::print("{}\n", line);
        line = std::string(21, ' ');
      }
      line += word + ",";
    }
    line.pop_back();
    fmt::print("{}\n", line);
  }
  if (full) {
    fmt::print("\n");
    for (const auto& [opcode, count] : listing.full_opcodes) fmt::print("{:>7}  {}\n", count, opcode);
  }
  if (listing.unsupported.empty()) {
    fmt::print("\nthe simulator takes all of it\n");
    return;
  }
  fmt::print("\nNOT SUPPORTED:\n");
  for (const Listing::Unsupported& each : listing.unsupported)
    fmt::print("  {:>5} x {}, first in line {}: {}\n", each.count, each.opcode, each.line, each.reason);
}

void run(const ListOptions& options, CommandContext& context) {
  const std::vector<std::byte> bytes = take(attend::io::read_file(options.file));
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const Listing listing = take(list_module(text, options.file));
  if (options.json)
    print_json(json_of(listing));
  else
    print_text(listing, options.full);
  if (!listing.unsupported.empty()) context.exit_code = kExitFailure;
}

}  // namespace

void add_list_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<ListOptions>();
  CLI::App* command = new_command(
      app, "list", "Entries, parameters, shared memory and opcodes of a PTX file; what is not supported",
      {"ptxsim list sim/tool/examples/reverse.ptx", "ptxsim list sim/tool/examples/saxpy.ptx --full --json"});
  command->add_option("file", options->file, "PTX, as nvcc -ptx -arch=sm_90a writes it")->required();
  command->add_flag("--full", options->full, "Opcodes with all of their modifiers too");
  command->add_flag("--json", options->json, "Print JSON instead of text");
  command->callback([options, &context] { run(*options, context); });
}

}  // namespace ptxsim::tool
