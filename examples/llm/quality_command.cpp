// SPDX-License-Identifier: Apache-2.0
// attend-llm quality: the figures of the quality table, a JSON line for each; an interrupted run goes on where it was.
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "cli/progress.hpp"
#include "commands.hpp"
#include "quality.hpp"
#include "session.hpp"

namespace llm {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

struct QualityOptions {
  std::string model, file, out, measure = "perplexity";
  std::vector<std::string> rows;
  int64_t context = 512, tokens = 100'000;
  int threads = 0;
  bool list = false, quiet = false;
};

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// Facts that are planted into a text, and asked for behind it: "The secret word of the <thing> is <word>."
constexpr struct {
  const char *thing, *word;
} kFacts[] = {{"red house", "banana"}, {"old bridge", "silver"},  {"north tower", "rabbit"}, {"small boat", "winter"},
              {"blue door", "coffee"}, {"stone garden", "music"}, {"glass lamp", "forest"},  {"long road", "pepper"},
              {"iron gate", "summer"}, {"quiet room", "orange"}};
constexpr int kFactCount = std::size(kFacts);

class Quality {
 public:
  Quality(const QualityOptions& options, const Gguf& file)
      : options_(options), tokenizer_(Tokenizer(file)), model_(file), name_(file.text("general.name", "model")) {
    model_.set_threads(options.threads);
    for (const QualityRow& row : quality_rows())
      if (options.rows.empty() || std::find(options.rows.begin(), options.rows.end(), row.name) != options.rows.end())
        rows_.push_back(row);
    std::ifstream in(options.file, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    if (!in) throw Error("cannot read " + options.file);
    tokens_ = tokenizer_.encode(text.str());
    find_old_lines();
  }

  void run() {
    if (options_.measure == "perplexity") perplexity();
    if (options_.measure == "speed") speed();
    if (options_.measure == "retrieval") retrieval();
  }

 private:
  static constexpr int64_t kDecoded = 16, kRounds = 3;

  /// What tells one measurement from another; a line of --out begins with it.
  Json key(const QualityRow& row, int64_t part) const {
    return {{"measure", options_.measure},
            {"model", name_},
            {"file", std::filesystem::path(options_.file).filename().string()},
            {"context", options_.context},
            {"row", row.name},
            {"part", part}};
  }
  void find_old_lines() {
    std::ifstream in(options_.out);
    for (std::string text; std::getline(in, text);) {
      const Json line = Json::parse(text, nullptr, false);
      if (!line.is_object()) continue;  // the end of an interrupted run
      Json begin;
      for (const char* name : {"measure", "model", "file", "context", "row", "part"})
        if (line.contains(name)) begin[name] = line[name];
      done_.insert(begin.dump());
    }
  }
  bool known(const QualityRow& row, int64_t part) const { return done_.contains(key(row, part).dump()); }
  void write(Json line, const Json& figures) {
    line.update(figures);
    if (options_.out.empty()) {
      fmt::print("{}\n", line.dump());
      std::fflush(stdout);
      return;
    }
    std::ofstream out(options_.out, std::ios::app);
    out << line.dump() << std::endl;
    if (!out) throw Error("cannot write " + options_.out);
  }

  std::span<const int32_t> text(int64_t first, int64_t count) const {
    if (first + count > static_cast<int64_t>(tokens_.size()))
      throw Error(fmt::format("{} has {} tokens, expected at least {}", options_.file, tokens_.size(), first + count));
    return std::span(tokens_).subspan(static_cast<size_t>(first), static_cast<size_t>(count));
  }

  /// A context of tokens: what stands in front of every text, then the text from `first` on.
  std::vector<int32_t> chunk(int64_t first) const {
    std::vector<int32_t> tokens = tokenizer_.begin();
    const std::span<const int32_t> rest = text(first, options_.context - static_cast<int64_t>(tokens.size()));
    tokens.insert(tokens.end(), rest.begin(), rest.end());
    return tokens;
  }

  RowRunner runner(const QualityRow& row, int64_t room) {
    return RowRunner(model_, row, options_.context, room, "attend", options_.threads);
  }

  /// Text in chunks; every token of a chunk but the first is predicted from those before it.
  void perplexity() {
    const int64_t context = options_.context, chunks = (options_.tokens + context - 2) / (context - 1);
    const int64_t apart = context - static_cast<int64_t>(tokenizer_.begin().size());
    text(0, chunks * apart);
    RowRunner reference(model_, {.name = "reference"}, context, context, "reference", options_.threads);
    std::vector<RowRunner> runners;
    for (const QualityRow& row : rows_) runners.push_back(runner(row, context));
    attend::cli::Progress progress(fmt::format("perplexity at {}", context),
                                   chunks * static_cast<int64_t>(rows_.size()), options_.quiet);
    std::vector<float> expected;
    for (int64_t part = 0; part < chunks; ++part) {
      const std::vector<int32_t> tokens = chunk(part * apart);
      expected.clear();
      for (size_t i = 0; i < rows_.size(); ++i) {
        if (!known(rows_[i], part)) {
          if (expected.empty())
            reference.prefill(
                tokens, [&](int64_t, std::span<const float> logits) { expected.assign(logits.begin(), logits.end()); });
          predict(rows_[i], runners[i], part, tokens, expected);
        }
        progress.advance(1, rows_[i].name);
      }
    }
  }

  void predict(const QualityRow& row, RowRunner& runner, int64_t part, std::span<const int32_t> tokens,
               std::span<const float> expected) {
    const size_t vocabulary = expected.size() / tokens.size();
    std::vector<Comparison> both(tokens.size() - 1);
    std::vector<double> nats(both.size()), nats_expected(both.size());
    double seconds = 0;
    const double attention = model_.attention_seconds();
    auto begin = Clock::now();
    runner.prefill(tokens, [&](int64_t first, std::span<const float> logits) {
      seconds += seconds_since(begin);
      const auto last =
          std::min(static_cast<int64_t>(both.size()), first + static_cast<int64_t>(logits.size() / vocabulary));
#pragma omp parallel for schedule(static)
      for (int64_t t = first; t < last; ++t) {
        const auto found = logits.subspan(static_cast<size_t>(t - first) * vocabulary, vocabulary);
        const auto exact = expected.subspan(static_cast<size_t>(t) * vocabulary, vocabulary);
        const auto next = static_cast<size_t>(tokens[t + 1]);
        both[t] = compare(found, exact);
        nats[t] = both[t].log_sum_exp_found - found[next];
        nats_expected[t] = both[t].log_sum_exp_expected - exact[next];
      }
      begin = Clock::now();
    });
    double sum = 0, sum_expected = 0, divergence = 0;
    int64_t agreed = 0;
    for (size_t t = 0; t < both.size(); ++t) {
      sum += nats[t];
      sum_expected += nats_expected[t];
      divergence += both[t].divergence;
      agreed += both[t].same_choice ? 1 : 0;
    }
    write(key(row, part), {{"predicted", both.size()},
                           {"nats", sum},
                           {"nats_reference", sum_expected},
                           {"divergence", divergence},
                           {"agreed", agreed},
                           {"seconds", seconds},
                           {"attention_seconds", model_.attention_seconds() - attention}});
  }

  /// Seconds of a full context, and of a token behind it; rounds of all rows, one row after the other.
  void speed() {
    std::vector<RowRunner> runners;
    for (const QualityRow& row : rows_) runners.push_back(runner(row, options_.context + kDecoded));
    attend::cli::Progress progress(fmt::format("speed at {}", options_.context),
                                   (kRounds + 1) * static_cast<int64_t>(rows_.size()), options_.quiet);
    for (int64_t round = -1; round < kRounds; ++round)  // the first one warms up
      for (size_t i = 0; i < rows_.size(); ++i) {
        if (round < 0 || !known(rows_[i], round)) {
          const double before = model_.attention_seconds();
          auto begin = Clock::now();
          runners[i].prefill(chunk(0), [](int64_t, std::span<const float>) {});
          const double prefill = seconds_since(begin), between = model_.attention_seconds();
          begin = Clock::now();
          for (int64_t t = 0; t < kDecoded; ++t)
            runners[i].decode(text(options_.context + t, 1).front(), options_.context + t);
          const double tokens = static_cast<double>(kDecoded * runners[i].sequences()), decode = seconds_since(begin);
          if (round >= 0)
            write(key(rows_[i], round), {{"prefill_seconds", prefill},
                                         {"prefill_attention_seconds", between - before},
                                         {"decode_seconds", decode / tokens},
                                         {"decode_attention_seconds", (model_.attention_seconds() - between) / tokens},
                                         {"threads", options_.threads > 0 ? options_.threads : omp_get_max_threads()},
                                         {"cache_bytes", runners[i].cache_bytes()}});
        }
        progress.advance(1, rows_[i].name);
      }
  }

  /// Facts at depths of 5 to 95 % of the context, each asked for behind it.
  void retrieval() {
    std::vector<int32_t> tokens = tokenizer_.begin();
    for (int fact = 0; fact < kFactCount; ++fact) {
      const std::vector<int32_t> planted = tokenizer_.encode(
          fmt::format("\n\nThe secret word of the {} is {}.\n\n", kFacts[fact].thing, kFacts[fact].word));
      const int64_t at = (options_.context * (2 * fact + 1)) / (2 * kFactCount);
      const std::span<const int32_t> between =
          text(static_cast<int64_t>(tokens.size()), at - static_cast<int64_t>(tokens.size()));
      tokens.insert(tokens.end(), between.begin(), between.end());
      tokens.insert(tokens.end(), planted.begin(), planted.end());
    }
    const auto size = static_cast<int64_t>(tokens.size());
    const std::span<const int32_t> rest = text(size, std::max<int64_t>(0, options_.context - size));
    tokens.insert(tokens.end(), rest.begin(), rest.end());
    attend::cli::Progress progress(fmt::format("retrieval at {}", options_.context), static_cast<int64_t>(rows_.size()),
                                   options_.quiet);
    for (const QualityRow& row : rows_) {
      if (!known(row, kFactCount - 1)) {
        RowRunner at = runner(row, options_.context + 64);
        at.prefill(tokens, [](int64_t, std::span<const float>) {});
        for (int fact = 0; fact < kFactCount; ++fact)
          if (!known(row, fact)) ask(row, at, fact, static_cast<int64_t>(tokens.size()));
      }
      progress.advance(1, row.name);
    }
  }

  void ask(const QualityRow& row, RowRunner& runner, int fact, int64_t before) {
    const std::string question = fmt::format("\n\nThe secret word of the {} is", kFacts[fact].thing);
    const std::vector<int32_t> asked = tokenizer_.encode(question),
                               answered = tokenizer_.encode(question + " " + kFacts[fact].word + ".");
    const std::span<const float> logits = runner.follow(answered, before);
    const size_t vocabulary = logits.size() / answered.size();
    double nats = 0;
    bool right = true;
    for (size_t t = asked.size(); t + 1 < answered.size(); ++t) {  // the full stop does not count
      const std::span<const float> found = logits.subspan((t - 1) * vocabulary, vocabulary);
      nats += log_sum_exp(found) - found[static_cast<size_t>(answered[t])];
      right = right && std::max_element(found.begin(), found.end()) - found.begin() == answered[t];
    }
    write(key(row, fact), {{"depth", (2 * fact + 1) / (2.0 * kFactCount)}, {"right", right}, {"nats", nats}});
  }

  const QualityOptions& options_;
  Tokenizer tokenizer_;
  LanguageModel model_;
  std::string name_;
  std::vector<QualityRow> rows_;
  std::vector<int32_t> tokens_;
  std::set<std::string> done_;
};

}  // namespace

void add_quality_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<QualityOptions>();
  CLI::App* command = attend::cli::new_command(
      app, "quality", "What cache formats, windows and schedules cost: the figures behind docs/quality.md",
      {"attend-llm quality data/text.txt --context 128 --tokens 100 --rows bf16,int8 --quiet",
       "attend-llm quality data/text.txt --measure speed --context 256 --rows f32,int8 --quiet"});
  std::vector<std::string> names;
  for (const QualityRow& row : quality_rows()) names.emplace_back(row.name);
  command->add_option("file", options->file, "The text");
  command->add_flag("--list", options->list, "Print the rows and what they are, and do nothing else");
  command->add_option("--model", options->model, "A GGUF file; without it SmolLM2-135M-Instruct");
  command
      ->add_option(
          "--measure", options->measure,
          "perplexity: each row beside fp64 attention; speed: seconds of a full context and of a token behind it; "
          "retrieval: facts planted in the text are asked for")
      ->check(CLI::IsMember({"perplexity", "speed", "retrieval"}))
      ->capture_default_str();
  command->add_option("--rows", options->rows, "Only these rows; without it all")
      ->delimiter(',')
      ->check(CLI::IsMember(names));
  command->add_option("--context", options->context, "Tokens that the model sees at once")
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 30))
      ->capture_default_str();
  command->add_option("--tokens", options->tokens, "Tokens to predict at least (perplexity)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->capture_default_str();
  command->add_option("--out", options->out,
                      "Append the lines to this file; what it has already is not measured again. Without it: stdout");
  command->add_option("--threads", options->threads, "Threads; 0: one for each core")->check(CLI::Range(0, 4096));
  command->add_flag("--quiet", options->quiet, "No progress on stderr");
  command->callback([options, &context] {
    context.exit_code = attend::cli::kExitOk;
    if (options->list) {
      for (const QualityRow& row : quality_rows()) fmt::print("{}\t{}\n", row.name, row.what);
      return;
    }
    if (options->file.empty()) throw CLI::RequiredError("file");
    Quality(*options, Gguf::open(find_model(options->model))).run();
  });
}

}  // namespace llm
