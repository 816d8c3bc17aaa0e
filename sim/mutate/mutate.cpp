// SPDX-License-Identifier: Apache-2.0
// The mutants of a text: what is broken, and how.
#include "sim/mutate/mutate.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include "sim/isa/isa.hpp"
#include "sim/isa/program.hpp"

namespace ptxsim {
namespace {

/// A statement of the text without its label: its guard, if it has one, and from `opcode` on the instruction with its
/// semicolon.
struct Statement {
  size_t begin = 0, opcode = 0, end = 0;
};

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

size_t skip_blanks(const std::string& text, size_t at) {
  while (at < text.size()) {
    if (is_space(text[at])) {
      ++at;
    } else if (text.compare(at, 2, "//") == 0) {
      at = std::min(text.find('\n', at), text.size());
    } else if (text.compare(at, 2, "/*") == 0) {
      const size_t close = text.find("*/", at + 2);
      at = close == std::string::npos ? text.size() : close + 2;
    } else {
      break;
    }
  }
  return at;
}

/// The statement at or behind `at` on its line whose opcode is `opcode`: looks at each place where a statement may
/// begin.
std::optional<Statement> find_statement(const std::string& text, size_t at, size_t line_end, std::string_view opcode) {
  while (at < line_end) {
    at = skip_blanks(text, at);
    if (at >= line_end) break;
    if (text[at] == '{' || text[at] == '}' || text[at] == ';') {
      ++at;
      continue;
    }
    size_t begin = at;
    if (text[begin] == '@') {
      while (begin < text.size() && !is_space(text[begin])) ++begin;
      begin = skip_blanks(text, begin);
    }
    if (text.compare(begin, opcode.size(), opcode) == 0) {
      const size_t end = text.find(';', begin);
      if (end == std::string::npos) return std::nullopt;
      return Statement{at, begin, end + 1};
    }
    // A label ends with a colon, everything else with a semicolon.
    const size_t stop = text.find_first_of(";:{}", begin);
    if (stop == std::string::npos) break;
    // `shared::cta` and vectors in braces are parts of statements.
    if (text[stop] == ':' && stop + 1 < text.size() && text[stop + 1] != ':' && text[stop - 1] != ':') {
      at = stop + 1;
    } else {
      const size_t semicolon = text.find(';', begin);
      if (semicolon == std::string::npos) break;
      at = text[stop] == '{' && text.find_first_not_of(" \t", begin) == stop ? stop + 1 : semicolon + 1;
    }
  }
  return std::nullopt;
}

/// Blanks and ends of lines as one space, comments as none.
std::string tidy(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t next = skip_blanks(text, at);
    if (next > at) {
      if (!out.empty() && next < text.size()) out += ' ';
      at = next;
    } else {
      out += text[at++];
    }
  }
  return out;
}

bool replace_first(std::string& text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  if (at == std::string::npos) return false;
  text.replace(at, from.size(), to);
  return true;
}

/// The operand list's first name: the predicate that a wait writes.
std::string first_operand(const std::string& statement) {
  const size_t at = std::min(statement.find(' '), statement.size() - 1) + 1;
  return statement.substr(at, statement.find_first_of(" ,|;", at) - at);
}

/// Mutants of one statement.
class Maker {
 public:
  Maker(std::vector<Mutant>& out, Mutant place, std::string guard, std::string instruction)
      : out_(out), place_(std::move(place)), guard_(std::move(guard)), instruction_(std::move(instruction)) {}

  bool has(std::string_view text) const { return instruction_.find(text) != std::string::npos; }

  /// `;` alone is no statement of PTX: a deleted one becomes an empty scope.
  void deleted() { put("delete", "{}"); }
  /// The wait answers yes at once.
  void passed() { put("pass", guard_ + "setp.eq.u32 " + first_operand(instruction_) + ", 0, 0;"); }
  /// With `from` replaced by `to`, when it is there.
  void replaced(const std::string& kind, std::string_view from, std::string_view to) {
    std::string text = instruction_;
    if (replace_first(text, from, to)) put(kind, guard_ + text);
  }
  /// The last operand, a number or (with `registers`) a 32-bit register, changed by `by`.
  void shifted(const std::string& kind, int64_t by, bool registers = true) {
    const size_t begin = instruction_.find_last_of(" ,") + 1, end = instruction_.size() - 1;
    const std::string operand = instruction_.substr(begin, end - begin);
    int64_t value = 0;
    const auto [stop, error] = std::from_chars(operand.data(), operand.data() + operand.size(), value);
    if (error == std::errc() && stop == operand.data() + operand.size()) {
      if (value + by >= 0) put(kind, guard_ + instruction_.substr(0, begin) + std::to_string(value + by) + ";");
    } else if (registers && !operand.empty() && operand.find_first_of("[]{}()") == std::string::npos) {
      put(kind, "{ .reg .b32 %mutated; add.s32 %mutated, " + operand + ", " + std::to_string(by) + "; " + guard_ +
                    instruction_.substr(0, begin) + "%mutated; }");
    }
  }

 private:
  void put(const std::string& kind, std::string mutated) {
    Mutant mutant = place_;
    mutant.kind = kind;
    mutant.mutated = std::move(mutated);
    out_.push_back(std::move(mutant));
  }

  std::vector<Mutant>& out_;
  Mutant place_;
  std::string guard_, instruction_;
};

void weaken_order(Maker& maker, bool fence) {
  if (!fence) {
    maker.replaced("relax", ".acq_rel", ".relaxed");
    maker.replaced("relax", ".release", ".relaxed");
    maker.replaced("relax", ".acquire", ".relaxed");
  }
  for (const std::string_view scope : {".gpu", ".sys"}) maker.replaced("narrow scope", scope, ".cta");
}

void make_mutants(Maker& maker, const IsaRow& row) {
  const std::string_view name = row.name;
  if (name == "ld" || name == "st" || name == "atom" || name == "red") {
    if (maker.has(".acq") || maker.has(".release")) weaken_order(maker, false);
    return;
  }
  if ((row.flags & kWait) != 0)
    maker.passed();
  else if (name != "mbarrier.init")
    maker.deleted();
  if (name.starts_with("bar") && name.ends_with(".sync") && maker.has(","))
    maker.replaced("arrive only", ".sync", ".arrive");
  if (name.ends_with("wait_group")) maker.shifted("wait for less", 1, false);
  if (name == "mbarrier.init") {
    maker.shifted("one arrival more", 1);
    maker.shifted("one arrival less", -1);
  }
  if (maker.has("expect_tx")) maker.shifted("expect more", 16);
  if (name == "fence")
    weaken_order(maker, true);
  else if (name.starts_with("mbarrier") || name == "barrier.cluster.arrive")
    weaken_order(maker, false);
}

/// Names of files alone.
std::string without_folders(std::string text) {
  for (size_t slash; (slash = text.find('/')) != std::string::npos;) {
    const size_t begin = text.rfind(' ', slash) + 1;  // npos + 1 is 0
    text.erase(begin, slash + 1 - begin);
  }
  return text;
}

bool is_candidate(const Inst& inst, const std::string& instruction) {
  if ((inst.row->flags & (kSync | kWait)) != 0) return true;
  const std::string_view name = inst.row->name;
  return (name == "ld" || name == "st") &&
         (instruction.find(".acquire") != std::string::npos || instruction.find(".release") != std::string::npos);
}

}  // namespace

std::vector<Mutant> mutants_of(const Module& module, const std::string& text, std::string_view entry,
                               const std::set<int32_t>& executed) {
  const Program& program = module.program();
  const Result<EntryInfo> info = module.entry(entry);
  const Function* function = info.ok() ? program.function(info.value().name) : nullptr;
  if (function == nullptr) return {};
  std::vector<size_t> line_begin{0, 0};  // lines count from 1
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\n') line_begin.push_back(i + 1);
  std::vector<Mutant> mutants;
  size_t from = 0;
  for (int32_t pc = function->first_pc; pc < function->end_pc; ++pc) {
    const Inst& inst = program.code[static_cast<size_t>(pc)];
    if (inst.row == nullptr || !executed.contains(inst.line)) continue;
    const size_t line = static_cast<size_t>(inst.line);
    if (line == 0 || line >= line_begin.size()) continue;
    const size_t line_end = line + 1 < line_begin.size() ? line_begin[line + 1] : text.size();
    // Several instructions of one line come in the order of the text.
    from = std::max(from, line_begin[line]);
    const std::optional<Statement> statement = find_statement(text, from, line_end, inst.row->name);
    if (!statement) continue;
    from = statement->end;
    const std::string instruction = tidy(text.substr(statement->opcode, statement->end - statement->opcode));
    if (!is_candidate(inst, instruction)) continue;
    Mutant place;
    place.line = inst.line;
    place.source = without_folders(program.source_text(inst.source));
    place.original = tidy(text.substr(statement->begin, statement->end - statement->begin));
    place.begin = statement->begin;
    place.end = statement->end;
    const std::string guard = tidy(text.substr(statement->begin, statement->opcode - statement->begin));
    Maker maker(mutants, std::move(place), guard.empty() ? guard : guard + " ", instruction);
    make_mutants(maker, *inst.row);
  }
  return mutants;
}

}  // namespace ptxsim
