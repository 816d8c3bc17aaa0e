// SPDX-License-Identifier: Apache-2.0
#include "layer.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <span>

#include "io/file.hpp"
#include "io/npy.hpp"
#include "io/safetensors.hpp"

namespace attend::cli {
namespace {

struct Sizes {
  int64_t b = 0, rows = 0, heads = 0, cols = 0;
};

struct Trio {
  std::string name;
  std::string names[3];
  io::TensorView tensors[3];
};

Result<Sizes> sizes_of(const std::string& name, const io::TensorView& tensor, Layout layout) {
  std::vector<int64_t> shape = tensor.shape;
  if (shape.size() == 3) shape.insert(shape.begin(), 1);
  if (shape.size() != 4)
    return invalid_argument(
        fmt::format("{} has shape {}, expected 3 or 4 dimensions", name, io::shape_text(tensor.shape)));
  if (layout == Layout::bhsd) std::swap(shape[1], shape[2]);
  return Sizes{shape[0], shape[1], shape[2], shape[3]};
}

Status expect(const std::string& name, const char* what, int64_t found, int64_t expected, const std::string& of) {
  if (found == expected) return {};
  return invalid_argument(fmt::format("{} has {} {}, expected {} (as {})", name, found, what, expected, of));
}

Result<DType> computed_type(const Trio& trio, const std::string& asked) {
  if (!asked.empty()) return parse_dtype(asked);
  const io::Element element = trio.tensors[0].element;
  for (const DType type : {DType::f32, DType::f16, DType::bf16})
    if (element == io::element_of(type)) return type;
  if (element == io::Element::u16)
    return invalid_argument(trio.names[0] + " holds u16: say --dtype bf16 when these are the bits of bf16");
  return invalid_argument(
      fmt::format("{} holds {}: say --dtype f32, f16 or bf16 to round it", trio.names[0], io::element_name(element)));
}

/// The text form has masks only within a Problem; that also lets a mask refer to the lengths.
Result<Mask> parse_mask(const std::string& text, const AttentionFwd& problem) {
  const bool one_word = std::none_of(text.begin(), text.end(), [](unsigned char c) { return std::isspace(c) != 0; });
  if (!one_word) return invalid_argument("--mask is '" + text + "', expected one word such as causal&window:512:0");
  const Result<AttentionFwd> parsed =
      AttentionFwd::parse(fmt::format("attention_fwd b={} hq={} hk={} sq={} sk={} d={} dv={} mask={}", problem.b,
                                      problem.hq, problem.hk, problem.sq, problem.sk, problem.d, problem.dv, text));
  if (!parsed.ok()) return parsed.status();
  return parsed->mask;
}

Result<Layer> make_layer(const Trio& trio, const LayerOptions& options, const std::string& default_mask) {
  Layer layer;
  layer.name = trio.name;
  if (options.layout == "bhsd") layer.layout = Layout::bhsd;
  layer.dimensions = trio.tensors[0].shape.size();
  Sizes sizes[3];
  for (int i = 0; i < 3; ++i) {
    const Result<Sizes> one = sizes_of(trio.names[i], trio.tensors[i], layer.layout);
    if (!one.ok()) return one.status();
    sizes[i] = *one;
  }
  const auto& [q, k, v] = sizes;
  for (const Status& status : {expect(trio.names[1], "sequences", k.b, q.b, trio.names[0]),
                               expect(trio.names[2], "sequences", v.b, q.b, trio.names[0]),
                               expect(trio.names[2], "rows", v.rows, k.rows, trio.names[1]),
                               expect(trio.names[2], "heads", v.heads, k.heads, trio.names[1]),
                               expect(trio.names[1], "columns", k.cols, q.cols, trio.names[0])})
    if (!status.ok()) return status;

  const Result<DType> type = computed_type(trio, options.dtype);
  if (!type.ok()) return type.status();
  AttentionFwd& problem = layer.problem;
  problem = AttentionFwd::dense(layer.layout, *type, q.b, q.heads, k.heads, q.rows, k.rows, q.cols);
  problem.dv = v.cols;
  problem.set_layout(layer.layout);
  problem.lse = true;
  problem.softcap = options.softcap;
  if (options.scale != 0) problem.scale = options.scale;
  if (Status status = problem.check(); !status.ok()) return invalid_argument(trio.names[0] + ": " + status.message());
  const std::string& mask_text = options.mask.empty() ? default_mask : options.mask;
  Result<Mask> mask = parse_mask(mask_text.empty() ? "none" : mask_text, problem);
  if (!mask.ok()) return mask.status();
  problem.mask = *mask;
  if (Status status = problem.check(); !status.ok()) return status;

  std::vector<std::byte>* const targets[] = {&layer.q, &layer.k, &layer.v};
  for (int i = 0; i < 3; ++i) {
    if (trio.tensors[i].element == io::Element::u16 && *type != DType::bf16)
      return invalid_argument(trio.names[i] + " holds u16, which can only mean --dtype bf16");
    Result<std::vector<std::byte>> converted =
        io::convert_elements(trio.tensors[i].element, trio.tensors[i].data, *type);
    if (!converted.ok()) return invalid_argument(trio.names[i] + ": " + converted.status().message());
    *targets[i] = std::move(converted).value();
  }
  return layer;
}

/// Digits compare as numbers, so that layers.2 comes before layers.10.
bool natural_less(const std::string& a, const std::string& b) {
  size_t i = 0, j = 0;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  while (i < a.size() && j < b.size()) {
    if (digit(a[i]) && digit(b[j])) {
      const size_t i_begin = std::min(a.find_first_not_of('0', i), a.size()),
                   j_begin = std::min(b.find_first_not_of('0', j), b.size());
      size_t i_end = i_begin, j_end = j_begin;
      while (i_end < a.size() && digit(a[i_end])) ++i_end;
      while (j_end < b.size() && digit(b[j_end])) ++j_end;
      if (i_end - i_begin != j_end - j_begin) return i_end - i_begin < j_end - j_begin;
      const int order = a.compare(i_begin, i_end - i_begin, b, j_begin, j_end - j_begin);
      if (order != 0) return order < 0;
      i = i_end;
      j = j_end;
    } else {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i;
      ++j;
    }
  }
  return a.size() - i < b.size() - j;
}

Result<std::vector<Trio>> find_trios(const io::SafetensorsFile& file, const LayerOptions& options) {
  std::vector<Trio> trios;
  if (!options.q.empty()) {
    Trio trio{options.q, {options.q, options.k, options.v}, {}};
    if (trio.name.ends_with(".q")) trio.name.resize(trio.name.size() - 2);
    for (int i = 0; i < 3; ++i) {
      const io::TensorView* tensor = file.find(trio.names[i]);
      if (tensor == nullptr) return invalid_argument(fmt::format("{} holds no tensor {}", options.file, trio.names[i]));
      trio.tensors[i] = *tensor;
    }
    trios.push_back(std::move(trio));
    return trios;
  }
  std::string found;
  for (const auto& [name, tensor] : file.tensors) {
    if (!name.ends_with(".q")) continue;
    const std::string prefix = name.substr(0, name.size() - 2);
    const io::TensorView *k = file.find(prefix + ".k"), *v = file.find(prefix + ".v");
    if (k == nullptr || v == nullptr) continue;
    found += (found.empty() ? "" : ", ") + prefix;
    if (options.layer.empty() || prefix == options.layer || prefix == "layers." + options.layer)
      trios.push_back({prefix, {name, prefix + ".k", prefix + ".v"}, {tensor, *k, *v}});
  }
  if (found.empty())
    return invalid_argument(options.file +
                            " holds no tensors NAME.q, NAME.k and NAME.v: name yours with --q, --k and --v");
  if (trios.empty()) return invalid_argument(fmt::format("--layer is {}, expected one of {}", options.layer, found));
  std::sort(trios.begin(), trios.end(), [](const Trio& a, const Trio& b) { return natural_less(a.name, b.name); });
  return trios;
}

Result<LayerFile> make_layers(const std::vector<Trio>& trios, const LayerOptions& options,
                              std::map<std::string, std::string> metadata) {
  LayerFile file;
  file.metadata = std::move(metadata);
  const auto mask = file.metadata.find("mask");
  for (const Trio& trio : trios) {
    Result<Layer> layer = make_layer(trio, options, mask == file.metadata.end() ? std::string() : mask->second);
    if (!layer.ok()) return layer.status();
    file.layers.push_back(std::move(layer).value());
  }
  return file;
}

Result<LayerFile> load_npy(const LayerOptions& options) {
  Trio trio{"npy", {options.q, options.k, options.v}, {}};
  std::vector<std::byte> content[3];
  for (int i = 0; i < 3; ++i) {
    Result<std::vector<std::byte>> bytes = io::read_file(trio.names[i]);
    if (!bytes.ok()) return bytes.status();
    content[i] = std::move(bytes).value();
    Result<io::NpyArray> array = io::parse_npy(content[i]);
    if (!array.ok()) return invalid_argument(trio.names[i] + ": " + array.status().message());
    trio.tensors[i] = std::move(array).value();
  }
  return make_layers({trio}, options, {});
}

}  // namespace

AttentionFwdArgs Layer::args() const {
  AttentionFwdArgs args;
  args.q = q.data();
  args.k = k.data();
  args.v = v.data();
  args.k_scales = k_scales.data();
  args.v_scales = v_scales.data();
  return args;
}

std::vector<int64_t> Layer::tensor_shape(int64_t rows, int64_t heads, int64_t columns) const {
  std::vector<int64_t> shape{problem.b, rows, heads, columns};
  if (layout == Layout::bhsd) std::swap(shape[1], shape[2]);
  if (dimensions == 3) shape.erase(shape.begin());
  return shape;
}

Result<LayerFile> load_layers(const LayerOptions& options) {
  const int named = !options.q.empty() + !options.k.empty() + !options.v.empty();
  if (named != 0 && named != 3)
    return invalid_argument("--q, --k and --v go together, found " + std::to_string(named) + " of them");
  if (options.file.empty()) {
    if (named == 0)
      return invalid_argument("nothing to read: give a .safetensors file, or three .npy files by --q, --k and --v");
    return load_npy(options);
  }
  if (options.file.ends_with(".npy"))
    return invalid_argument(options.file + " is one array: give three by --q, --k and --v");
  const Result<std::vector<std::byte>> bytes = io::read_file(options.file);
  if (!bytes.ok()) return bytes.status();
  const Result<io::SafetensorsFile> file = io::parse_safetensors(*bytes);
  if (!file.ok()) return invalid_argument(options.file + ": " + file.status().message());
  const Result<std::vector<Trio>> trios = find_trios(*file, options);
  if (!trios.ok()) return trios.status();
  return make_layers(*trios, options, file->metadata);
}

void add_layer_options(CLI::App& command, LayerOptions& options) {
  command.add_option("--q", options.q, "Tensor in the file, or a .npy file: [b, s, h, d] or [s, h, d]");
  command.add_option("--k", options.k, "Likewise; its heads may divide those of q");
  command.add_option("--v", options.v, "Likewise; its columns may differ");
  command.add_option("--layer", options.layer, "Only this layer of the file: 14 or layers.14");
  command.add_option("--layout", options.layout, "Order of the dimensions")
      ->check(CLI::IsMember({"bshd", "bhsd"}))
      ->capture_default_str();
  command.add_option("--dtype", options.dtype,
                     "Round the inputs to f32, f16 or bf16 first; bf16 is also how to read u16 arrays");
  command.add_option("--mask", options.mask,
                     "Mask, such as causal&window:512:0; default: the file's metadata, else none");
  command.add_option("--scale", options.scale, "Of the scores; 0 means 1 / sqrt(d)");
  command.add_option("--softcap", options.softcap, "Scores become softcap * tanh(score / softcap); 0 means no cap");
}

}  // namespace attend::cli
