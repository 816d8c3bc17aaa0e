// SPDX-License-Identifier: Apache-2.0
// attend-llm embed: how alike texts are, by their embeddings.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/progress.hpp"
#include "commands.hpp"
#include "sentence_model.hpp"
#include "session.hpp"

namespace llm {
namespace {

struct EmbedOptions {
  std::string model = "minilm", file, query, attention = "attend";
  std::vector<std::string> texts;
  int64_t batch = 32, limit = 0, top = 10;
  int threads = 0;
  bool has_query = false, json = false, quiet = false;
};

constexpr size_t kShownBytes = 100;

/// A text in one line of a terminal.
std::string shown(const std::string& text) {
  std::string out = text.substr(0, kShownBytes);
  if (out.size() < text.size()) {
    while ((static_cast<unsigned char>(text[out.size()]) & 0xc0) == 0x80) out.pop_back();  // not inside a character
    out += "...";
  }
  for (char& c : out)
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
  return out;
}

void add_lines(const std::string& path, std::vector<std::string>& texts) {
  std::ifstream file(path, std::ios::binary);
  for (std::string line; std::getline(file, line);) texts.push_back(line);
  if (!file.eof() || file.bad()) throw Error("cannot read " + path);
}

/// The texts' tokens, in batches, and what came of them.
class Run {
 public:
  explicit Run(const EmbedOptions& options)
      : options_(options),
        model_(find_model(options.model), options.attention, options.threads),
        limit_(options.limit > 0 ? options.limit : model_.limit()) {
    const int64_t most = model_.encoder().shape().positions;
    if (limit_ < 2 || limit_ > most)
      throw Error(fmt::format("--max-tokens is {}, expected 2 to the model's {}", options.limit, most));
  }

  int64_t width() const { return model_.encoder().width(); }
  int64_t limit() const { return limit_; }
  int64_t tokens() const { return tokens_; }
  int64_t cut() const { return cut_; }
  double attention_seconds() const { return model_.encoder().attention_seconds(); }

  /// Calls each(text's index, its tokens, its embedding), in order. `what` is what errors call a text.
  template <class Each>
  void all(const char* what, const std::vector<std::string>& texts, Each each) {
    const auto number = static_cast<int64_t>(texts.size());
    attend::cli::Progress progress("embed", number, options_.quiet || options_.json || number <= options_.batch);
    for (int64_t begin = 0; begin < number; begin += options_.batch) {
      const int64_t end = std::min(begin + options_.batch, number);
      std::vector<std::vector<int32_t>> ids;
      std::vector<bool> cut;
      for (int64_t i = begin; i < end; ++i) {
        TextTokens tokens = encode(what, texts[i], i);
        tokens_ += static_cast<int64_t>(tokens.ids.size());
        cut_ += tokens.cut;
        cut.push_back(tokens.cut);
        ids.push_back(std::move(tokens.ids));
      }
      const std::vector<float> embeddings = model_.embed(ids);
      for (int64_t i = begin; i < end; ++i)
        each(i, TextTokens{ids[i - begin], cut[i - begin]},
             std::span(embeddings).subspan(static_cast<size_t>((i - begin) * width()), static_cast<size_t>(width())));
      progress.advance(end - begin, fmt::format("{} tokens", tokens_));
    }
  }

 private:
  TextTokens encode(const char* what, const std::string& text, int64_t index) const {
    try {
      return model_.tokenizer().encode(text, limit_);
    } catch (const Error& error) {
      throw Error(fmt::format("{} {}: {}", what, index + 1, error.what()));
    }
  }

  const EmbedOptions& options_;
  SentenceModel model_;
  int64_t limit_ = 0, tokens_ = 0, cut_ = 0;
};

/// The cosine: embeddings have length 1.
double likeness(std::span<const float> a, std::span<const float> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0, std::plus<>(),
                            [](float x, float y) { return double{x} * y; });
}

void print_json(const std::string& text, const TextTokens& tokens, std::span<const float> embedding,
                const std::vector<float>& query) {
  const std::string quoted = nlohmann::json(text).dump();
  fmt::print("{{\"text\":{},\"tokens\":{},\"cut\":{},", quoted, tokens.ids.size(), tokens.cut);
  if (!query.empty()) fmt::print("\"likeness\":{},", likeness(query, embedding));
  fmt::print("\"embedding\":[{}]}}\n", fmt::join(embedding, ","));
}

/// The texts from `first` on, the most alike first.
void print_ranks(const std::string& query, const std::vector<std::string>& texts, const std::vector<double>& likeness,
                 int64_t first, int64_t top) {
  std::vector<int64_t> ranks(texts.size() - static_cast<size_t>(first));
  std::iota(ranks.begin(), ranks.end(), first);
  std::ranges::stable_sort(ranks, [&](int64_t a, int64_t b) { return likeness[a] > likeness[b]; });
  const int64_t all = static_cast<int64_t>(ranks.size()), shown_ranks = top == 0 ? all : std::min(top, all);
  fmt::print("by cosine to \"{}\":\n", shown(query));
  for (const int64_t i : std::span(ranks).first(static_cast<size_t>(shown_ranks)))
    fmt::print("{:7.4f}  {}\n", likeness[i], shown(texts[i]));
  if (shown_ranks < all) fmt::print("... and {} more (--top)\n", all - shown_ranks);
}

int run(const EmbedOptions& options) {
  std::vector<std::string> texts = options.texts;
  if (!options.file.empty()) add_lines(options.file, texts);
  if (texts.empty()) throw Error("there is no text: expected some, or lines of --file");
  Run run(options);
  const auto start = std::chrono::steady_clock::now();
  std::vector<float> query;
  const auto keep = [&](int64_t, const TextTokens&, std::span<const float> embedding) {
    query.assign(embedding.begin(), embedding.end());
  };
  if (options.has_query) run.all("query", {options.query}, keep);
  if (options.json) {
    run.all("text", texts, [&](int64_t i, const TextTokens& tokens, std::span<const float> embedding) {
      print_json(texts[i], tokens, embedding, query);
    });
  } else {
    std::vector<double> found;
    run.all("text", texts, [&](int64_t i, const TextTokens& tokens, std::span<const float> embedding) {
      if (i == 0 && !options.has_query) keep(i, tokens, embedding);
      found.push_back(likeness(query, embedding));
    });
    const bool others = !options.has_query && texts.size() > 1;  // the first text is what these are compared with
    print_ranks(options.has_query ? options.query : texts.front(), texts, found, others ? 1 : 0, options.top);
  }
  if (run.cut() > 0)
    fmt::print(stderr, "{} of the texts had more than {} tokens and lost their ends (--max-tokens)\n", run.cut(),
               run.limit());
  if (!options.quiet && !options.json) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    fmt::print(stderr, "{} tokens in {:.3f} s, attention {:.1f} %\n", run.tokens(), seconds,
               100 * run.attention_seconds() / seconds);
  }
  return attend::cli::kExitOk;
}

}  // namespace

void add_embed_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<EmbedOptions>();
  CLI::App* command = attend::cli::new_command(
      app, "embed", "How alike texts are, by embeddings of all-MiniLM-L6-v2",
      {"attend-llm embed \"A man plays the guitar\" \"Someone makes music\" \"The stock market fell\"",
       "attend-llm embed --file data/text.txt --query \"taxes without consent\" --top 5",
       "attend-llm embed \"A text\" \"Another\" --json"});
  command->add_option("texts", options->texts,
                      "Texts; an empty one is a text too. Without --query the others are compared with the first");
  command->add_option("--file", options->file, "A file whose every line is a text");
  CLI::Option* query = command->add_option("--query", options->query, "The text that all are compared with");
  command->add_option("--top", options->top, "How many of the most alike are shown; 0: all")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  command
      ->add_option("--model", options->model,
                   "minilm, or the folder of another uncased BERT as sentence-transformers keeps it")
      ->capture_default_str();
  command
      ->add_option("--attention", options->attention,
                   "attend; naive (unfused BLAS) or reference (fp64) to compare with")
      ->check(CLI::IsMember({"attend", "naive", "reference"}))
      ->capture_default_str();
  command
      ->add_option("--max-tokens", options->limit,
                   "Tokens of a text, [CLS] and [SEP] included; 0: what the model was trained for")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
      ->capture_default_str();
  command->add_option("--batch", options->batch, "Texts that are computed at once")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 16))
      ->capture_default_str();
  command->add_option("--threads", options->threads, "Threads; 0: one for each core")->check(CLI::Range(0, 4096));
  command->add_flag("--quiet", options->quiet, "No progress on stderr");
  command->add_flag("--json", options->json,
                    "Print one JSON object for each text, with its embedding, instead of text");
  command->callback([options, query, &context] {
    options->has_query = query->count() > 0;
    context.exit_code = run(*options);
  });
}

}  // namespace llm
