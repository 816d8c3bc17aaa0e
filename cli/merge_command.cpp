// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <algorithm>
#include <attend/attend.hpp>
#include <cmath>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "io/file.hpp"
#include "io/safetensors.hpp"

namespace attend::cli {
namespace {

struct MergeWords {
  CommonOptions common;
  std::vector<std::string> files;
  std::string out, compare, layout = "bshd";
};

/// A file as `attend run --out` writes it: NAME.o, and NAME.lse [b, h, s].
struct PartFile {
  std::string path;
  std::vector<std::byte> bytes;
  io::SafetensorsFile file;
};

std::unique_ptr<PartFile> read_part(const std::string& path) {
  auto part = std::make_unique<PartFile>();  // stays where it is: the tensors view its bytes
  part->path = path;
  part->bytes = take(io::read_file(path));
  Result<io::SafetensorsFile> file = io::parse_safetensors(part->bytes);
  if (!file.ok()) throw CommandError(path + ": " + file.status().message(), kExitUsage);
  part->file = std::move(file).value();
  return part;
}

/// The result of one layer over some of the keys, in memory of its own.
struct LayerPart {
  ConstTensor o;
  std::vector<int64_t> shape;  ///< of o as stored
  std::vector<std::byte> o_bytes;
  std::vector<float> lse;
};

const io::TensorView& tensor_of(const PartFile& part, const std::string& name) {
  const io::TensorView* tensor = part.file.find(name);
  if (tensor == nullptr)
    throw CommandError(fmt::format("{} has no tensor {}, which the first file has a layer for", part.path, name),
                       kExitUsage);
  return *tensor;
}

DType dtype_of(const PartFile& part, const std::string& name, io::Element element) {
  for (const DType type : {DType::f32, DType::f16, DType::bf16})
    if (io::element_of(type) == element) return type;
  throw CommandError(fmt::format("{}: {} is {}, expected f32, f16 or bf16", part.path, name, io::element_name(element)),
                     kExitUsage);
}

LayerPart layer_part(const PartFile& part, const std::string& name, Layout layout) {
  const io::TensorView &o = tensor_of(part, name + ".o"), &lse = tensor_of(part, name + ".lse");
  if (o.shape.size() != 3 && o.shape.size() != 4)
    throw CommandError(fmt::format("{}: {}.o has {} dimensions, expected 3 or 4", part.path, name, o.shape.size()),
                       kExitUsage);
  std::vector<int64_t> shape = o.shape;
  if (shape.size() == 3) shape.insert(shape.begin(), 1);
  const int64_t rows = shape[layout == Layout::bshd ? 1 : 2], heads = shape[layout == Layout::bshd ? 2 : 1];
  const std::vector<int64_t> expected = {shape[0], heads, rows};
  if (lse.element != io::Element::f32 || lse.shape != expected)
    throw CommandError(fmt::format("{}: {}.lse is {} {}, expected f32 {} (= batch, heads, rows of {}.o); --layout "
                                   "says how o lies",
                                   part.path, name, io::element_name(lse.element), io::shape_text(lse.shape),
                                   io::shape_text(expected), name),
                       kExitUsage);
  LayerPart result;
  result.shape = o.shape;
  result.o_bytes.assign(o.data.begin(), o.data.end());
  result.lse.resize(lse.data.size() / sizeof(float));
  std::memcpy(result.lse.data(), lse.data.data(), lse.data.size());
  result.o = {result.o_bytes.data(), dtype_of(part, name + ".o", o.element), layout, shape[0], rows, heads, shape[3]};
  return result;
}

/// The largest distance; infinite where one is NaN and the other is not.
double distance(DType type, const void* left, DType other_type, const void* right, int64_t count) {
  double largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double a = io::element_value(type, left, i), b = io::element_value(other_type, right, i);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    const double away = std::fabs(a - b);
    largest = std::isnan(away) ? INFINITY : std::max(largest, away);
  }
  return largest;
}

void merge_files(const MergeWords& words) {
  if (!words.out.empty() && !words.out.ends_with(".safetensors"))
    throw CommandError("--out is " + words.out + ", expected a name that ends in .safetensors", kExitUsage);
  if (words.out.empty() && words.compare.empty())
    throw CommandError("neither --out nor --compare is given, expected one of them", kExitUsage);
  const Layout layout = words.layout == "bshd" ? Layout::bshd : Layout::bhsd;
  std::vector<std::unique_ptr<PartFile>> files;
  for (const std::string& path : words.files) files.push_back(read_part(path));
  std::unique_ptr<PartFile> whole;
  if (!words.compare.empty()) whole = read_part(words.compare);
  MergeOptions options;
  options.threads = words.common.threads;

  io::SafetensorsFile output;
  std::vector<LayerPart> results;
  std::vector<std::string> names;
  for (const auto& [name, view] : files[0]->file.tensors)
    if (name.ends_with(".o")) names.push_back(name.substr(0, name.size() - 2));
  if (names.empty())
    throw CommandError(files[0]->path + " has no tensor NAME.o, expected a file that `attend run --out` wrote",
                       kExitUsage);
  results.reserve(names.size());  // the output views them
  nlohmann::ordered_json report = nlohmann::ordered_json::array();
  for (const std::string& name : names) {
    std::vector<LayerPart> parts;
    for (const auto& file : files) parts.push_back(layer_part(*file, name, layout));
    std::vector<PartialResult> given;
    for (const LayerPart& part : parts) given.push_back({part.o, part.lse.data()});
    LayerPart& result = results.emplace_back(layer_part(*files[0], name, layout));
    Tensor o;
    o.data = result.o_bytes.data();
    o.dtype = result.o.dtype;
    o.batch = result.o.batch;
    o.rows = result.o.rows;
    o.heads = result.o.heads;
    o.cols = result.o.cols;
    o.strides = result.o.strides;
    require(merge(given, o, result.lse.data(), options));
    output.tensors.emplace_back(name + ".o", io::TensorView{io::element_of(o.dtype), result.shape, result.o_bytes});
    output.tensors.emplace_back(
        name + ".lse",
        io::TensorView{io::Element::f32, {o.batch, o.heads, o.rows}, std::as_bytes(std::span(result.lse))});
    nlohmann::ordered_json line{{"layer", name}, {"parts", files.size()}, {"rows", o.batch * o.rows * o.heads}};
    std::string text = fmt::format("{}: {} parts, {} rows", name, files.size(), o.batch * o.rows * o.heads);
    if (whole != nullptr) {
      const LayerPart other = layer_part(*whole, name, layout);
      if (other.shape != result.shape)
        throw CommandError(fmt::format("{}: {}.o is {}, expected {}", whole->path, name, io::shape_text(other.shape),
                                       io::shape_text(result.shape)),
                           kExitUsage);
      const double in_o = distance(o.dtype, o.data, other.o.dtype, other.o.data, o.batch * o.rows * o.heads * o.cols);
      const double in_lse = distance(DType::f32, result.lse.data(), DType::f32, other.lse.data(),
                                     static_cast<int64_t>(result.lse.size()));
      line["o_distance"] = in_o;
      line["lse_distance"] = in_lse;
      text += fmt::format(", largest distance {:.2e} in o, {:.2e} in lse", in_o, in_lse);
    }
    if (words.common.json)
      report.push_back(std::move(line));
    else
      fmt::print("{}\n", text);
  }
  if (!words.out.empty()) require(io::write_file_atomically(words.out, take(io::format_safetensors(output))));
  if (words.common.json) fmt::print("{}\n", report.dump());
}

}  // namespace

void add_merge_command(CLI::App& app, CommandContext&) {
  auto words = std::make_shared<MergeWords>();
  CLI::App* command =
      new_command(app, "merge", "Join results over parts of the keys, as `attend run --out` writes them",
                  {"attend run data/smollm2_qkv.safetensors --layer 15 --mask \"causal&padding:0..300\" --repeat 1 "
                   "--out a.safetensors",
                   "attend run data/smollm2_qkv.safetensors --layer 15 --mask \"causal&padding:300..1000\" --repeat 1 "
                   "--out b.safetensors",
                   "attend run data/smollm2_qkv.safetensors --layer 15 --repeat 1 --out whole.safetensors",
                   "attend merge a.safetensors b.safetensors --out merged.safetensors --compare whole.safetensors"});
  command->add_option("files", words->files, "Files with NAME.o and NAME.lse, one for each part")->required();
  command->add_option("--out", words->out, "Write o and log-sum-exp over all keys to this .safetensors file");
  command->add_option("--compare", words->compare, "Say how far the result is from this file's");
  command->add_option("--layout", words->layout, "Order of the dimensions of o")
      ->check(CLI::IsMember({"bshd", "bhsd"}))
      ->capture_default_str();
  add_threads_option(*command, words->common);
  add_json_option(*command, words->common);
  command->callback([words] { merge_files(*words); });
}

}  // namespace attend::cli
