// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <charconv>
#include <memory>

#include "attention_map.hpp"
#include "command.hpp"
#include "io/file.hpp"
#include "layer.hpp"
#include "picture/figure.hpp"
#include "verify/verify.hpp"

namespace attend::cli {
namespace {

constexpr int64_t kMaxPairs = int64_t{1} << 26;  // of a map: some seconds of plain loops
constexpr int64_t kMaxTiles = int64_t{1} << 24;  // of a picture of classes

struct ShowOptions {
  CommonOptions common;
  LayerOptions layers;
  std::string input, out = "attention_map.png", tile;
  int64_t head = 0, batch = 0;
  int decades = 4;
  uint64_t seed = 0;
  bool classes_only = false;
};

/// What is drawn: a Problem, and memory of its inputs unless only its mask matters.
struct Subject {
  std::string title;
  AttentionFwd problem;
  std::optional<AttentionFwdArgs> args;
  std::shared_ptr<void> memory;  ///< behind args
};

Subject subject_of(const ShowOptions& options) {
  Subject subject;
  if (options.input.starts_with("attention_fwd")) {
    if (!options.layers.q.empty() || !options.layers.layer.empty())
      throw CommandError("--q, --k, --v and --layer belong to a file, but a Problem was given", kExitUsage);
    subject.problem = take(AttentionFwd::parse(options.input));
    subject.title = fmt::format("random data, seed {}", options.seed);
    return subject;
  }
  LayerOptions layers = options.layers;
  layers.file = options.input;
  LayerFile file = take(load_layers(layers));
  auto layer = std::make_shared<Layer>(std::move(file.layers[0]));  // without --layer: the first
  subject.title = layer->name;
  if (const auto model = file.metadata.find("model"); model != file.metadata.end())
    subject.title = model->second.substr(0, model->second.find(',')) + " " + subject.title;
  subject.problem = layer->problem;
  subject.args = layer->args();
  subject.memory = layer;
  return subject;
}

void add_random_data(Subject& subject, uint64_t seed) {
  verify::FillOptions fill;
  fill.seed = seed;
  fill.poison = false;
  auto inputs = std::make_shared<verify::Inputs>(verify::Inputs::make(subject.problem, fill));
  subject.args = inputs->args();
  subject.memory = inputs;
}

/// `64:128`: rows and keys of a tile.
std::pair<int64_t, int64_t> parse_tile(const std::string& text) {
  int64_t rows = 0, keys = 0;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, rows);
  if (first.ec == std::errc() && first.ptr != end && *first.ptr == ':') {
    const auto second = std::from_chars(first.ptr + 1, end, keys);
    if (second.ec == std::errc() && second.ptr == end && rows > 0 && keys > 0) return {rows, keys};
  }
  throw CommandError("--tile is '" + text + "', expected ROWS:KEYS such as 64:64", kExitUsage);
}

std::string share_text(int64_t part, int64_t whole) {
  return fmt::format("{} ({:.0f} %)", part,
                     whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0.0);
}

picture::Panel class_panel(const ClassMap& map) {
  using picture::Color;
  const Color full = picture::heat_color(0.25), partial = picture::heat_color(0.72), skip = picture::kEmpty;
  const CellGrid grid = map.grid;
  const int64_t tiles = grid.rows() * grid.columns();
  picture::Panel panel;
  panel.title = "what the mask says";
  panel.subtitle = fmt::format("of each {} x {} tile", grid.cell_rows, grid.cell_keys);
  panel.grid_rows = grid.cell_rows;
  panel.grid_keys = grid.cell_keys;
  panel.color = [=, &map](int64_t q, int64_t k) {
    const TileClass tile = map.at(q / grid.cell_rows, k / grid.cell_keys);
    return tile == TileClass::skip ? skip : tile == TileClass::full ? full : partial;
  };
  panel.legend = {{full, "full: computed without a mask  " + share_text(map.full, tiles)},
                  {partial, "partial: mask looked at  " + share_text(map.partial, tiles)},
                  {skip, "skip: costs nothing  " + share_text(map.skipped, tiles)}};
  return panel;
}

picture::Panel heat_panel(const PooledMap& map, const picture::HeatScale& scale, bool with_grid) {
  const CellGrid grid = map.grid;
  picture::Panel panel;
  panel.title = "attention probabilities";
  panel.subtitle = grid.cell_rows == 1 && grid.cell_keys == 1
                       ? "every pair"
                       : fmt::format("largest of each {} x {} pairs", grid.cell_rows, grid.cell_keys);
  if (with_grid) {
    panel.grid_rows = grid.cell_rows;
    panel.grid_keys = grid.cell_keys;
  }
  panel.color = [grid, scale, &map](int64_t q, int64_t k) {
    return scale.color(static_cast<double>(map.at(q / grid.cell_rows, k / grid.cell_keys)));
  };
  return panel;
}

void show(const ShowOptions& options) {
  Subject subject = subject_of(options);
  const AttentionFwd& problem = subject.problem;
  if (options.head >= problem.hq)
    throw CommandError(fmt::format("--head is {}, expected 0 to {}", options.head, problem.hq - 1), kExitUsage);
  if (options.batch >= problem.b)
    throw CommandError(fmt::format("--batch is {}, expected 0 to {}", options.batch, problem.b - 1), kExitUsage);
  const int64_t sq = problem.query_length(options.batch), sk = problem.key_length(options.batch);
  if (sq == 0 || sk == 0)
    throw CommandError(fmt::format("there are {} queries and {} keys: nothing to draw", sq, sk), kExitUsage);

  const AttentionFwdPlan chosen = take(plan(problem, options.common.plan_options()));
  const auto [tile_rows, tile_keys] =
      options.tile.empty() ? std::pair(chosen.tile_rows(), chosen.tile_keys()) : parse_tile(options.tile);
  const CellGrid tiles{sq, sk, tile_rows, tile_keys};
  if (tiles.rows() > kMaxTiles / tiles.columns())
    throw CommandError(
        fmt::format("{} x {} tiles are too many to draw: say --tile with larger ones", tiles.rows(), tiles.columns()),
        kExitUsage);
  const ClassMap classes = tile_classes(problem, options.batch, options.head, tiles);

  const bool too_large = sq > kMaxPairs / sk;
  const bool with_map = !options.classes_only && !(too_large && !subject.args);
  if (with_map && too_large)
    throw CommandError(fmt::format("a map of {} x {} pairs takes too long: say --classes-only", sq, sk), kExitUsage);
  const int64_t pool = picture::pairs_per_pixel(sq, sk);
  std::vector<PooledMap> maps;
  if (with_map) {
    if (!subject.args) add_random_data(subject, options.seed);
    maps = attention_maps(problem, *subject.args, options.batch, options.head, {{sq, sk, pool, pool}, tiles});
  } else if (!subject.args) {
    subject.title = "mask";
  }

  picture::Figure figure;
  figure.title = fmt::format("{}, head {}", subject.title, options.head);
  if (problem.b > 1) figure.title += fmt::format(", sequence {}", options.batch);
  figure.subtitle = problem.text();
  figure.footer = fmt::format("kernel {}", chosen.kernel());
  figure.sq = sq;
  figure.sk = sk;
  figure.pairs_per_pixel = pool;
  if (with_map) {
    figure.scale = picture::HeatScale{options.decades};
    figure.panels.push_back(heat_panel(maps[0], *figure.scale, false));
    figure.panels.push_back(heat_panel(maps[1], *figure.scale, true));
  }
  figure.panels.push_back(class_panel(classes));
  const picture::Image image = figure.draw();
  require(io::write_file_atomically(options.out, take(image.png())));
  fmt::print("{}: {}\n", subject.title, problem.text());
  fmt::print("head {}, {} x {} pairs in tiles of {} x {}: {} full, {} partial, {} skipped\n", options.head, sq, sk,
             tile_rows, tile_keys, classes.full, classes.partial, classes.skipped);
  fmt::print("wrote {} ({} x {})\n", options.out, image.width(), image.height());
}

}  // namespace

void add_show_command(CLI::App& app, CommandContext&) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* command = new_command(
      app, "show", "Draw a head's attention map, and beside it what the mask says of each tile",
      {"attend show data/smollm2_qkv.safetensors --head 1 --out attention_map.png",
       "attend show \"attention_fwd sq=700 sk=700 d=32 mask=causal&window:200:0\" --tile 32:32 --out window.png"});
  command->add_option("input", options->input, "A .safetensors file as `attend run` takes it, or a Problem in quotes");
  command->add_option("--head", options->head, "Query head")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  command->add_option("--batch", options->batch, "Sequence")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  command->add_option("--tile", options->tile, "ROWS:KEYS of a tile; default: the plan's");
  command->add_option("--decades", options->decades, "Powers of ten that the colours span; 0: linear colours")
      ->check(CLI::Range(0, 12))
      ->capture_default_str();
  command->add_flag("--classes-only", options->classes_only, "Only what the mask says, no probabilities");
  command->add_option("--seed", options->seed, "Of the random data behind a Problem")->capture_default_str();
  command->add_option("--out", options->out, "PNG to write")->capture_default_str();
  add_layer_options(*command, options->layers);
  add_kernel_option(*command, options->common);
  command->callback([options] { show(*options); });
}

}  // namespace attend::cli
