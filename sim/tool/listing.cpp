// SPDX-License-Identifier: Apache-2.0
#include "sim/tool/listing.hpp"

#include <algorithm>

#include "sim/isa/decode.hpp"
#include "sim/isa/isa.hpp"
#include "sim/parse/syntax.hpp"

namespace ptxsim::tool {
namespace {

std::string opcode_of(const syntax::Instruction& instruction) {
  std::string text;
  for (const std::string_view word : instruction.words) text += (text.empty() ? "" : ".") + std::string(word);
  return text;
}

template <class F>
void for_each_instruction(const syntax::Block& block, F&& f) {
  for (const syntax::Statement& statement : block.statements) {
    if (const auto* instruction = std::get_if<syntax::Instruction>(&statement.what)) f(*instruction);
    if (const auto* inner = std::get_if<syntax::Block>(&statement.what)) for_each_instruction(*inner, f);
  }
}

template <class F>
void for_each_instruction(const syntax::Module& module, F&& f) {
  for (const auto& item : module.items)
    if (const auto* function = std::get_if<syntax::Function>(&item); function != nullptr && function->body)
      for_each_instruction(*function->body, f);
}

/// "NAME:12: ..." begins a message about line 12; 0 when it is about no line.
int32_t line_of(const std::string& message, const std::string& name) {
  return message.starts_with(name + ":") ? std::atoi(message.c_str() + name.size() + 1) : 0;
}

/// Overwrites the instruction, its guard and its semicolon with spaces; strings of the tree point into the text it was
/// parsed from, which has the same offsets.
void blank(std::string& text, std::string_view parsed, const syntax::Instruction& instruction) {
  size_t begin = static_cast<size_t>(instruction.words.front().data() - parsed.data());
  if (!instruction.guard.empty())
    begin = text.rfind('@', static_cast<size_t>(instruction.guard.data() - parsed.data()));
  const size_t end = text.find(';', begin);
  for (size_t i = begin; i <= end && i < text.size(); ++i)
    if (text[i] != '\n') text[i] = ' ';
}

/// Lowers the text again and again, each time without the instruction that was refused.
Status lower_what_can_be(std::string text, const std::string& name, const syntax::Module& tree, std::string_view parsed,
                         Listing& listing) {
  while (true) {
    const Result<Module> module = Module::parse(text, name);
    if (module.ok()) {
      listing.entries = module->entries();
      return {};
    }
    const Status refusal = module.status();
    const int32_t line = line_of(refusal.message(), name);
    if (refusal.code() != attend::StatusCode::unsupported || line == 0) return refusal;
    // Several instructions may share the line: the message names the opcode.
    const syntax::Instruction* found = nullptr;
    for_each_instruction(tree, [&](const syntax::Instruction& each) {
      const size_t at = static_cast<size_t>(each.words.front().data() - parsed.data());
      const bool there = text[at] != ' ' && each.line.number == line;
      if (!there) return;
      const bool named = refusal.message().find(opcode_of(each)) != std::string::npos;
      if (found == nullptr || named) found = &each;
    });
    if (found == nullptr) return refusal;
    const std::string opcode = opcode_of(*found);
    const auto known = std::find_if(listing.unsupported.begin(), listing.unsupported.end(),
                                    [&](const Listing::Unsupported& each) { return each.opcode == opcode; });
    if (known == listing.unsupported.end()) {
      // "NAME:12: OPCODE: reason"
      std::string reason = refusal.message();
      const size_t named = reason.find(opcode + ": ");
      if (named != std::string::npos) reason.erase(0, named + opcode.size() + 2);
      listing.unsupported.push_back({line, opcode, std::move(reason), 0});
      // The same opcode elsewhere fails for the same reason: one pass for all.
      Listing::Unsupported& fresh = listing.unsupported.back();
      for_each_instruction(tree, [&](const syntax::Instruction& each) {
        if (opcode_of(each) != opcode) return;
        ++fresh.count;
        blank(text, parsed, each);
      });
    } else {
      return refusal;
    }
  }
}

}  // namespace

Result<Listing> list_module(const std::string& text, const std::string& name) {
  Listing listing;
  syntax::Module tree;
  try {
    tree = parse_module(text);
  } catch (const PtxError& error) {
    return Status(error.code, name + (error.line > 0 ? ":" + std::to_string(error.line) : "") + ": " + error.message);
  }
  listing.version = tree.version;
  for (const std::string_view word : tree.target)
    listing.target += (listing.target.empty() ? "" : ", ") + std::string(word);
  for (const auto& item : tree.items) {
    const auto* function = std::get_if<syntax::Function>(&item);
    if (function == nullptr) continue;
    for (const syntax::Performance& directive : function->performance) {
      std::string words = "." + std::string(directive.name);
      for (size_t i = 0; i < directive.values.size(); ++i)
        words += (i == 0 ? " " : ", ") + std::to_string(directive.values[i]);
      listing.directives[std::string(function->name)].push_back(words);
    }
  }
  for_each_instruction(tree, [&](const syntax::Instruction& instruction) {
    const std::string opcode = opcode_of(instruction);
    const IsaRow* row = isa_find(opcode);
    ++listing.instructions;
    ++listing.full_opcodes[opcode];
    ++listing.opcodes_by_class[row != nullptr ? isa_class_name(row->isa_class) : "unknown"]
                              [row != nullptr ? std::string(row->name) : opcode];
  });
  const Status status = lower_what_can_be(text, name, tree, text, listing);
  if (!status.ok()) return status;
  return listing;
}

}  // namespace ptxsim::tool
