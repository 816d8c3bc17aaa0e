// SPDX-License-Identifier: Apache-2.0
#include "sim/mutate/mutate.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include "sim/isa/isa.hpp"
#include "sim/isa/program.hpp"

namespace ptxsim {
namespace {

/// A statement of the text without its label and guard: `text[begin, end)`, the semicolon included.
struct Statement {
  size_t begin = 0, end = 0;
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
      return Statement{begin, end + 1};
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

bool replace_first(std::string& text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  if (at == std::string::npos) return false;
  text.replace(at, from.size(), to);
  return true;
}

/// The last operand, when it is a decimal immediate, changed by `by`.
std::optional<std::string> shift_last_immediate(const std::string& statement, int64_t by) {
  size_t end = statement.size() - 1;
  while (end > 0 && is_space(statement[end - 1])) --end;
  size_t begin = end;
  while (begin > 0 && std::isdigit(static_cast<unsigned char>(statement[begin - 1])) != 0) --begin;
  if (begin == end || begin == 0 || !(is_space(statement[begin - 1]) || statement[begin - 1] == ','))
    return std::nullopt;
  int64_t value = 0;
  std::from_chars(statement.data() + begin, statement.data() + end, value);
  if (value + by < 0) return std::nullopt;
  return statement.substr(0, begin) + std::to_string(value + by) + statement.substr(end);
}

/// The operand list's first name: the predicate that a wait writes.
std::string first_operand(const std::string& statement) {
  size_t at = 0;
  while (at < statement.size() && !is_space(statement[at])) ++at;
  at = skip_blanks(statement, at);
  const size_t end = statement.find_first_of(" \t,|;", at);
  return statement.substr(at, end - at);
}

class Maker {
 public:
  Maker(std::vector<Mutant>& out, int32_t line, std::string original, size_t begin)
      : out_(out), line_(line), original_(std::move(original)), begin_(begin) {}

  void add(std::string kind, std::string mutated) {
    if (mutated == original_) return;
    out_.push_back({line_, std::move(kind), original_, std::move(mutated), begin_, begin_ + original_.size()});
  }
  /// With `from` replaced by `to`, when it is there.
  void replaced(std::string kind, std::string_view from, std::string_view to) {
    std::string text = original_;
    if (replace_first(text, from, to)) add(std::move(kind), std::move(text));
  }
  void shifted(std::string kind, int64_t by) {
    if (auto text = shift_last_immediate(original_, by)) add(std::move(kind), *std::move(text));
  }
  bool has(std::string_view text) const { return original_.find(text) != std::string::npos; }
  const std::string& original() const { return original_; }

 private:
  std::vector<Mutant>& out_;
  int32_t line_;
  std::string original_;
  size_t begin_;
};

/// `;` alone is not a statement of PTX: a deleted one becomes an empty scope.
constexpr const char* kNothing = "{}";

void make_mutants(Maker& maker, const IsaRow& row) {
  const std::string_view name = row.name;
  if ((row.flags & kWait) != 0) {
    maker.add("pass", "setp.eq.u32 " + first_operand(maker.original()) + ", 0, 0;");
  } else if (row.isa_class != IsaClass::atomic && name != "mbarrier.init") {
    maker.add("delete", kNothing);
  }
  if (name.starts_with("bar") && name.ends_with(".sync") && maker.has(","))
    maker.replaced("arrive only", ".sync", ".arrive");
  if (name.ends_with("wait_group")) maker.shifted("wait for less", 1);
  if (name == "mbarrier.init") {
    maker.shifted("one arrival more", 1);
    maker.shifted("one arrival less", -1);
  }
  if (name.find("expect_tx") != std::string_view::npos || maker.has(".expect_tx")) maker.shifted("expect more", 16);
  if (name == "fence" || name == "atom" || name == "red") {
    maker.replaced("relax", ".acq_rel", name == "fence" ? ".acq_rel.cta" : ".relaxed");
    maker.replaced("relax", ".release", ".relaxed");
    maker.replaced("relax", ".acquire", ".relaxed");
    maker.replaced("narrow scope", ".gpu", ".cta");
  } else {
    maker.replaced("relax", ".release.", ".relaxed.");
    maker.replaced("relax", ".acquire.", ".relaxed.");
  }
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
    if ((inst.row->flags & (kSync | kWait)) == 0 || !executed.contains(inst.line)) continue;
    const size_t line = static_cast<size_t>(inst.line);
    if (line == 0 || line >= line_begin.size()) continue;
    const size_t line_end = line + 1 < line_begin.size() ? line_begin[line + 1] : text.size();
    // Several instructions of one line come in the order of the text.
    from = std::max(from, line_begin[line]);
    const std::optional<Statement> statement = find_statement(text, from, line_end, inst.row->name);
    if (!statement) continue;
    from = statement->end;
    Maker maker(mutants, inst.line, text.substr(statement->begin, statement->end - statement->begin), statement->begin);
    make_mutants(maker, *inst.row);
  }
  return mutants;
}

std::string mutate(const std::string& text, const Mutant& mutant) {
  return text.substr(0, mutant.begin) + mutant.mutated + text.substr(mutant.end);
}

std::vector<MutantResult> run_mutants(const std::string& text, const std::vector<Mutant>& mutants, int seeds,
                                      const MutationTrial& trial,
                                      const std::function<void(const MutantResult&)>& progress) {
  std::vector<MutantResult> results;
  for (const Mutant& mutant : mutants) {
    MutantResult result{mutant, false, {}};
    const Result<Module> module = Module::parse(mutate(text, mutant), "mutant");
    if (!module.ok()) {
      // Refused by the decoder: the text is no PTX any more, which no schedule has to show.
      result.caught = true;
      result.how = "refused: " + module.status().message();
    } else {
      (void)for_each_schedule(seeds, [&](const Schedule& schedule) {
        if (result.caught) return true;
        const std::string wrong = trial(module.value(), schedule);
        if (wrong.empty()) return true;
        result.caught = true;
        result.how = wrong + " under " + schedule.text();
        return false;
      });
    }
    if (progress) progress(result);
    results.push_back(std::move(result));
  }
  return results;
}

std::string hazard_ids(const RunReport& report) {
  std::string ids;
  for (const Hazard& hazard : report.hazards) {
    const std::string id = hazard_id(hazard.id);
    if (ids.find(id) == std::string::npos) ids += (ids.empty() ? "" : " ") + id;
  }
  if (ids.empty() && !report.finished) ids = "not finished";
  return ids;
}

}  // namespace ptxsim
