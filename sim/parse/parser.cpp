// SPDX-License-Identifier: Apache-2.0
#include "sim/parse/parser.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "sim/isa/decode.hpp"

namespace ptxsim {
namespace {

/// The compiler nests two or three deep; the limit keeps hostile text from using up the stack.
constexpr int kMaxBlockDepth = 64;
constexpr size_t kMaxOperands = 64;

constexpr std::array<std::string_view, 4> kLinkage = {".extern", ".visible", ".weak", ".common"};
constexpr std::array<std::string_view, 5> kSpaces = {".global", ".const", ".shared", ".local", ".param"};

/// Performance directives and how many numbers follow at most (PTX ISA 11.4 to 11.7).
struct PerformanceRow {
  std::string_view name;
  int values;
};
constexpr std::array kPerformance = {
    PerformanceRow{"maxntid", 3},           PerformanceRow{"reqntid", 3},
    PerformanceRow{"minnctapersm", 1},      PerformanceRow{"maxnctapersm", 1},
    PerformanceRow{"maxnreg", 1},           PerformanceRow{"noreturn", 0},
    PerformanceRow{"reqnctapercluster", 3}, PerformanceRow{"explicitcluster", 0},
    PerformanceRow{"maxclusterrank", 1},    PerformanceRow{"blocksareclusters", 0},
    PerformanceRow{"abi_preserve", 1},      PerformanceRow{"abi_preserve_control", 1},
};

template <class Names>
bool is_one_of(const Token& token, const Names& names) {
  return token.kind == Token::Kind::dotted && std::find(names.begin(), names.end(), token.text) != names.end();
}

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) {}

  syntax::Module module() {
    while (lexer_.peek().kind != Token::Kind::end) item();
    if (module_.version.empty()) lexer_.fail("the module has no .version");
    if (module_.target.empty()) lexer_.fail("the module has no .target");
    return std::move(module_);
  }

 private:
  [[noreturn]] void unsupported(const std::string& what) {
    throw PtxError{attend::StatusCode::unsupported, lexer_.peek().line, what};
  }

  void item() {
    if (lexer_.accept(";")) return;
    if (lexer_.accept(".version")) {
      const Token::Kind kind = lexer_.peek().kind;
      if (kind != Token::Kind::real) lexer_.expected("a version");
      module_.version = lexer_.next().text;
    } else if (lexer_.accept(".target")) {
      do module_.target.push_back(lexer_.name("a target"));
      while (lexer_.accept(","));
    } else if (lexer_.accept(".address_size")) {
      if (!lexer_.peek().is("64")) unsupported("addresses of other than 64 bits");
      module_.address_size = parse_u32(lexer_, "an address size");
    } else if (lexer_.peek().is(".file")) {
      file();
    } else if (lexer_.accept(".section")) {
      section();
    } else if (lexer_.peek().is(".pragma")) {
      module_.items.emplace_back(parse_remark(lexer_));
    } else if (lexer_.peek().is(".alias")) {
      alias();
    } else {
      declaration();
    }
  }

  /// .file index "name", timestamp, size
  void file() {
    lexer_.expect(".file");
    syntax::File file;
    file.index = parse_u32(lexer_, "a file's number");
    if (lexer_.peek().kind != Token::Kind::string) lexer_.expected("a file's name");
    file.name = lexer_.next().text;
    while (lexer_.accept(",")) parse_constant(lexer_);
    module_.items.emplace_back(file);
  }

  /// Debug information: to the closing brace.
  void section() {
    while (!lexer_.accept("{")) {
      const Token::Kind kind = lexer_.peek().kind;
      if (kind != Token::Kind::dotted && kind != Token::Kind::name) lexer_.expected("a section's name");
      lexer_.next();
    }
    while (!lexer_.accept("}")) {
      if (lexer_.peek().kind == Token::Kind::end) lexer_.expected("`}`");
      lexer_.next();
    }
  }

  void alias() {
    syntax::Alias alias;
    alias.line.number = lexer_.next().line;
    alias.name = lexer_.name("a function's name");
    lexer_.expect(",");
    alias.target = lexer_.name("a function's name");
    lexer_.expect(";");
    module_.items.emplace_back(alias);
  }

  void declaration() {
    std::string_view linkage;
    while (is_one_of(lexer_.peek(), kLinkage)) linkage = lexer_.next().text.substr(1);
    if (lexer_.peek().is(".entry") || lexer_.peek().is(".func")) return function(linkage);
    if (!is_one_of(lexer_.peek(), kSpaces)) {
      if (lexer_.peek().kind == Token::Kind::dotted)
        unsupported("unknown directive " + std::string(lexer_.peek().text));
      lexer_.expected("a directive");
    }
    auto variables = parse_variables(lexer_, linkage);
    std::move(variables.begin(), variables.end(), std::back_inserter(module_.items));
    lexer_.expect(";");
  }

  void function(std::string_view linkage) {
    syntax::Function function;
    function.linkage = linkage;
    function.line.number = lexer_.peek().line;
    function.is_entry = lexer_.next().is(".entry");
    if (lexer_.accept(".attribute")) {
      lexer_.expect("(");
      while (!lexer_.accept(")")) {
        if (lexer_.peek().kind == Token::Kind::end) lexer_.expected("`)`");
        lexer_.next();
      }
    }
    if (!function.is_entry && lexer_.peek().is("(")) function.results = parse_parameters(lexer_);
    function.name = lexer_.name("a function's name");
    if (lexer_.peek().is("(")) function.params = parse_parameters(lexer_);
    while (lexer_.peek().kind == Token::Kind::dotted) {
      if (lexer_.peek().is(".pragma"))
        parse_remark(lexer_);
      else
        function.performance.push_back(performance());
    }
    if (!lexer_.accept(";")) {
      lexer_.expect("{");
      function.body = block(0);
    }
    module_.items.emplace_back(std::move(function));
  }

  syntax::Performance performance() {
    const auto row = std::find_if(kPerformance.begin(), kPerformance.end(), [&](const PerformanceRow& each) {
      return each.name == lexer_.peek().text.substr(1);
    });
    if (row == kPerformance.end()) unsupported("unknown directive " + std::string(lexer_.peek().text));
    syntax::Performance performance;
    performance.line.number = lexer_.next().line;
    performance.name = row->name;
    if (row->values == 0) return performance;
    do performance.values.push_back(parse_u32(lexer_, "a number"));
    while (performance.values.size() < static_cast<size_t>(row->values) && lexer_.accept(","));
    return performance;
  }

  /// Behind `{`.
  syntax::Block block(int depth) {
    if (depth == kMaxBlockDepth) lexer_.fail("scopes are nested too deeply");
    syntax::Block block;
    while (!lexer_.peek().is("}")) statement(block, depth);
    block.end.number = lexer_.next().line;
    return block;
  }

  void statement(syntax::Block& block, int depth) {
    const Token token = lexer_.peek();
    const auto add = [&](auto&& what) { block.statements.push_back({std::move(what)}); };
    if (lexer_.accept(";")) return;
    if (lexer_.accept("{")) return add(this->block(depth + 1));
    if (token.is("@")) return add(instruction());
    if (token.kind == Token::Kind::dotted) return directive(block);
    if (token.kind != Token::Kind::name) lexer_.expected("a statement");
    Lexer ahead = lexer_;
    ahead.next();
    if (!ahead.accept(":")) return add(instruction());
    lexer_ = ahead;
    if (lexer_.accept(".branchtargets")) {
      syntax::BranchTargets targets{{token.line}, token.text, {}};
      do targets.labels.push_back(lexer_.name("a label"));
      while (lexer_.accept(","));
      lexer_.expect(";");
      return add(targets);
    }
    if (lexer_.peek().is(".callprototype") || lexer_.peek().is(".calltargets")) {
      syntax::Remark remark = parse_remark(lexer_);
      remark.words.insert(remark.words.begin(), {token.text, ":"});
      return add(remark);
    }
    add(syntax::Label{{token.line}, token.text});
  }

  void directive(syntax::Block& block) {
    const auto add_all = [&](auto&& list) {
      for (auto& each : list) block.statements.push_back({std::move(each)});
      lexer_.expect(";");
    };
    if (lexer_.peek().is(".reg")) return add_all(parse_registers(lexer_));
    if (lexer_.peek().is(".loc")) return location(block);
    if (lexer_.peek().is(".pragma")) return block.statements.push_back({parse_remark(lexer_)});
    std::string_view linkage;
    while (is_one_of(lexer_.peek(), kLinkage)) linkage = lexer_.next().text.substr(1);
    if (!is_one_of(lexer_.peek(), kSpaces)) unsupported("unknown directive " + std::string(lexer_.peek().text));
    add_all(parse_variables(lexer_, linkage));
  }

  /// .loc 1 12 3 and, behind a comma each, function_name and inlined_at.
  void location(syntax::Block& block) {
    lexer_.expect(".loc");
    syntax::Location location;
    location.file = parse_u32(lexer_, "a file's number");
    location.line = parse_u32(lexer_, "a line");
    location.column = parse_u32(lexer_, "a column");
    while (lexer_.accept(",")) {
      if (lexer_.accept("function_name")) {
        lexer_.name("a label");
        if (lexer_.accept("+")) parse_constant(lexer_);
      } else {
        if (!lexer_.accept("inlined_at")) lexer_.expected("`function_name` or `inlined_at`");
        location.at_file = parse_u32(lexer_, "a file's number");
        location.at_line = parse_u32(lexer_, "a line");
        location.at_column = parse_u32(lexer_, "a column");
      }
    }
    block.statements.push_back({location});
  }

  syntax::Instruction instruction() {
    syntax::Instruction instruction;
    if (lexer_.accept("@")) {
      instruction.guard_negated = lexer_.accept("!");
      instruction.guard = lexer_.name("a predicate");
    }
    instruction.line.number = lexer_.peek().line;
    instruction.words.push_back(lexer_.name("an opcode"));
    while (lexer_.peek().kind == Token::Kind::dotted) instruction.words.push_back(lexer_.next().text.substr(1));
    const bool is_call = instruction.words[0] == "call";
    while (!lexer_.peek().is(";")) {
      if (!instruction.operands.empty()) lexer_.expect(",");
      if (instruction.operands.size() == kMaxOperands) lexer_.fail("an instruction has too many operands");
      instruction.operands.push_back(parse_operand(lexer_, is_call));
    }
    lexer_.expect(";");
    return instruction;
  }

  Lexer lexer_;
  syntax::Module module_;
};

}  // namespace

syntax::Module parse_module(std::string_view text) {
  if (text.starts_with("\x7f"
                       "ELF"))
    throw PtxError{attend::StatusCode::invalid_argument, 0,
                   "a compiled object, expected PTX as `nvcc -ptx` writes or `cuobjdump -xptx` extracts"};
  return Parser(text).module();
}

}  // namespace ptxsim
