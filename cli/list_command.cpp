// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "device.hpp"

namespace attend::cli {
namespace {

struct Kernel {
  std::string id;
  std::vector<std::string> types;  ///< element types of which it takes a plain Problem
  std::string refusal;             ///< of the last type that it does not take
};

struct Row {
  const char *name, *text;
};

constexpr Row kMasks[] = {
    {"none", "every pair"},
#define ATTEND_MASK(Type, name, doc) {#name, doc},
#include <attend/mask/masks.def>
#undef ATTEND_MASK
};

std::vector<DType> types() {
  return {
#define ATTEND_DTYPE(name, bytes, significand_bits, safetensors, npy) DType::name,
#include <attend/dtypes.def>
#undef ATTEND_DTYPE
  };
}

AttentionFwd smallest(DType type) { return AttentionFwd::dense(Layout::bshd, type, 1, 1, 1, 4, 4, 8); }

/// Kernels have no list of their own in the interface: every plan names all of them. What one takes is seen by asking
/// for it.
template <class ProblemOf>
void add_kernels(PlanOptions with, ProblemOf problem_of, std::vector<Kernel>& found) {
  const auto any = plan(problem_of(DType::f32), with);
  if (!any.ok()) return;  // the device has no row of this operation
  for (const Candidate& candidate : any->candidates()) {
    Kernel kernel{candidate.kernel, {}, {}};
    with.kernel = kernel.id;
    for (const DType type : types()) {
      const auto planned = plan(problem_of(type), with);
      if (planned.ok())
        kernel.types.emplace_back(dtype_name(type));
      else
        kernel.refusal = planned.status().message();
    }
    found.push_back(std::move(kernel));
  }
}

std::vector<Kernel> kernels(const std::string& device) {
  PlanOptions with;
  with.device = device_named(device);
  std::vector<Kernel> found;
  add_kernels(with, smallest, found);
  add_kernels(
      with, [](DType type) { return AttentionBwd::of(smallest(type)); }, found);
  return found;
}

std::string join(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

void list_json(const std::string& what, const std::string& device) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  const auto wants = [&](const char* part) { return what == "all" || what == part; };
  if (wants("kernels"))
    for (const Kernel& kernel : kernels(device))
      out["kernels"].push_back({{"id", kernel.id}, {"types", kernel.types}, {"refusal", kernel.refusal}});
  if (wants("masks"))
    for (const Row& mask : kMasks) out["masks"].push_back({{"name", mask.name}, {"keeps", mask.text}});
  if (wants("types"))
    for (const DType type : types())
      out["types"].push_back(
          {{"name", dtype_name(type)}, {"bytes", dtype_bytes(type)}, {"unit_roundoff", unit_roundoff(type)}});
  if (wants("isas"))
    for (const IsaInfo& isa : machine_info().isas)
      out["isas"].push_back({{"name", isa.name}, {"available", isa.available}, {"reason", isa.reason}});
  fmt::print("{}\n", out.dump());
}

void list_text(const std::string& what, const std::string& device) {
  bool first = true;
  const auto begin = [&](const char* part, const char* about) {
    if (what != "all" && what != part) return false;
    fmt::print("{}{}: {}\n", first ? "" : "\n", part, about);
    first = false;
    return true;
  };
  if (begin("kernels", "what can be asked for with --kernel, and which element types it takes"))
    for (const Kernel& kernel : kernels(device))
      fmt::print("  {:<55}{}\n", kernel.id, kernel.types.empty() ? "none here: " + kernel.refusal : join(kernel.types));
  if (begin("masks", "pairs that are kept; join several with & (docs/problem-text.md has their numbers)"))
    for (const Row& mask : kMasks) fmt::print("  {:<18}{}\n", mask.name, mask.text);
  if (begin("types", "of q, k, v and o"))
    for (const DType type : types())
      fmt::print("  {:<6}{} bytes, rounds by at most {:.2g} of the value\n", dtype_name(type), dtype_bytes(type),
                 unit_roundoff(type));
  if (begin("isas", "instruction sets that kernels are compiled for; ATTEND_MAX_ISA limits them"))
    for (const IsaInfo& isa : machine_info().isas)
      fmt::print("  {:<14}{}\n", isa.name, isa.available ? "available" : "not available: " + isa.reason);
}

struct ListOptions {
  CommonOptions common;
  std::string what = "all";
};

}  // namespace

void add_list_command(CLI::App& app, CommandContext&) {
  auto options = std::make_shared<ListOptions>();
  CLI::App* command = new_command(app, "list", "List kernels, masks, element types and instruction sets",
                                  {"attend list", "attend list masks", "attend list kernels --device cpu --json"});
  command->add_option("what", options->what, "all, kernels, masks, types or isas")
      ->check(CLI::IsMember({"all", "kernels", "masks", "types", "isas"}));
  add_device_option(*command, options->common);
  add_json_option(*command, options->common);
  command->callback([options] {
    options->common.json ? list_json(options->what, options->common.device)
                         : list_text(options->what, options->common.device);
  });
}

}  // namespace attend::cli
