// SPDX-License-Identifier: Apache-2.0
#include "safetensors.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace attend::io {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the format's own library
constexpr const char* kMetadata = "__metadata__";

Status broken(const std::string& what) { return invalid_argument("safetensors: " + what); }

/// Names come from the file: what could confuse a terminal or fill it is not repeated.
std::string shown(const std::string& name) {
  std::string text = "'";
  for (const char c : name.substr(0, 80)) text += c >= ' ' && c <= '~' ? c : '?';
  return text + (name.size() > 80 ? "...'" : "'");
}

std::string_view name_of(Element element) {
  switch (element) {
#define ATTEND_ELEMENT(name, bytes, safetensors, npy) \
  case Element::name:                                 \
    return safetensors;
#include "elements.def"
#undef ATTEND_ELEMENT
  }
  return {};
}

Result<Element> element_of_name(const std::string& name) {
#define ATTEND_ELEMENT(row, bytes, safetensors, npy) \
  if (name == safetensors) return Element::row;
#include "elements.def"
#undef ATTEND_ELEMENT
  return broken("dtype " + shown(name) + " is unknown");
}

/// Parses JSON of at most three levels (file, tensor, list) without a key twice in one object.
Result<json> parse_header(std::string_view text) {
  std::vector<std::set<std::string>> keys;
  std::string problem;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > 3 && problem.empty()) problem = "the header is nested deeper than a tensor's lists";
    if (event == json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      if (!keys.empty()) keys.pop_back();
    } else if (event == json::parse_event_t::key && !keys.empty()) {
      const std::string& key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(key).second && problem.empty()) problem = "the header has " + shown(key) + " twice";
    }
    return true;
  };
  json header = json::parse(text, watch, /*allow_exceptions=*/false);
  if (header.is_discarded()) return broken("the header is no JSON");
  if (!problem.empty()) return broken(problem);
  if (!header.is_object()) return broken("the header is no JSON object");
  return header;
}

/// A list of whole numbers from 0 to 2^63 - 1.
Status read_numbers(const std::string& where, const json& list, std::vector<int64_t>& numbers) {
  if (!list.is_array()) return broken(where + " is no list");
  for (const json& number : list) {
    if (!number.is_number_unsigned() || number.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
      return broken(where + " holds something that is no whole number from 0 to 2^63 - 1");
    numbers.push_back(number.get<int64_t>());
  }
  return {};
}

struct Placed {
  std::string name;
  TensorView tensor;
  int64_t begin = 0, end = 0;
};

Status read_tensor(const std::string& name, const json& entry, std::span<const std::byte> data, Placed& placed) {
  const std::string where = "tensor " + shown(name);
  if (!entry.is_object()) return broken(where + " is no JSON object");
  for (const char* key : {"dtype", "shape", "data_offsets"})
    if (!entry.contains(key)) return broken(where + " has no " + key);
  if (entry.size() != 3) return broken(where + " has keys beside dtype, shape and data_offsets");
  if (!entry["dtype"].is_string()) return broken(where + ": dtype is no string");
  const Result<Element> element = element_of_name(entry["dtype"].get_ref<const std::string&>());
  if (!element.ok()) return invalid_argument(element.status().message() + " (" + where + ")");

  placed.name = name;
  placed.tensor.element = *element;
  if (Status status = read_numbers(where + ": shape", entry["shape"], placed.tensor.shape); !status.ok()) return status;
  std::vector<int64_t> offsets;
  if (Status status = read_numbers(where + ": data_offsets", entry["data_offsets"], offsets); !status.ok())
    return status;
  if (offsets.size() != 2)
    return broken(where + ": data_offsets holds " + std::to_string(offsets.size()) + " numbers, expected 2");
  placed.begin = offsets[0];
  placed.end = offsets[1];
  if (placed.begin > placed.end || placed.end > static_cast<int64_t>(data.size()))
    return broken(where + ": data_offsets are " + std::to_string(placed.begin) + " and " + std::to_string(placed.end) +
                  ", expected a range within the " + std::to_string(data.size()) + " bytes of data");
  const Result<int64_t> bytes = tensor_bytes("safetensors: " + where, *element, placed.tensor.shape);
  if (!bytes.ok()) return bytes.status();
  if (*bytes != placed.end - placed.begin)
    return broken(where + ": data_offsets span " + std::to_string(placed.end - placed.begin) + " bytes, expected " +
                  std::to_string(*bytes) + " for shape " + shape_text(placed.tensor.shape) + " of " +
                  element_name(*element));
  placed.tensor.data = data.subspan(static_cast<size_t>(placed.begin), static_cast<size_t>(*bytes));
  return {};
}

}  // namespace

const TensorView* SafetensorsFile::find(std::string_view name) const {
  for (const auto& [key, tensor] : tensors)
    if (key == name) return &tensor;
  return nullptr;
}

Result<SafetensorsFile> parse_safetensors(std::span<const std::byte> bytes) {
  if (bytes.size() < 8) return broken("the file has " + std::to_string(bytes.size()) + " bytes, expected 8 or more");
  uint64_t length = 0;
  for (size_t i = 0; i < 8; ++i) length |= std::to_integer<uint64_t>(bytes[i]) << 8 * i;
  if (length > kMaxHeaderBytes || length > bytes.size() - 8)
    return broken("the header's length is " + std::to_string(length) + " bytes, but the file has only " +
                  std::to_string(bytes.size() - 8) + " after it (and 10^8 is the limit)");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8, static_cast<size_t>(length));
  if (!text.starts_with('{')) return broken("the header does not begin with {");
  const Result<json> header = parse_header(text);
  if (!header.ok()) return header.status();
  const std::span<const std::byte> data = bytes.subspan(8 + static_cast<size_t>(length));

  SafetensorsFile file;
  std::vector<Placed> placed;
  for (const auto& [name, entry] : header->items()) {
    if (name == kMetadata) {
      if (!entry.is_object()) return broken("__metadata__ is no JSON object");
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string()) return broken("__metadata__ holds something that is no string");
        file.metadata[key] = value.get<std::string>();
      }
      continue;
    }
    if (Status status = read_tensor(name, entry, data, placed.emplace_back()); !status.ok()) return status;
  }
  std::stable_sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  int64_t at = 0;
  for (Placed& one : placed) {
    if (one.begin != at)
      return broken("tensor " + shown(one.name) + " begins at byte " + std::to_string(one.begin) + ", expected " +
                    std::to_string(at) + (one.begin < at ? ": it overlaps another" : ": there is a hole before it"));
    at = one.end;
    file.tensors.emplace_back(std::move(one.name), std::move(one.tensor));
  }
  if (at != static_cast<int64_t>(data.size()))
    return broken("the file has " + std::to_string(static_cast<int64_t>(data.size()) - at) +
                  " bytes after its last tensor");
  return file;
}

Result<std::vector<std::byte>> format_safetensors(const SafetensorsFile& file) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!file.metadata.empty()) header[kMetadata] = file.metadata;
  int64_t at = 0;
  for (const auto& [name, tensor] : file.tensors) {
    if (name == kMetadata || header.contains(name)) return broken("the name " + shown(name) + " is taken");
    const Result<int64_t> bytes = tensor_bytes("safetensors: tensor " + shown(name), tensor.element, tensor.shape);
    if (!bytes.ok()) return bytes.status();
    if (tensor.data.size() != static_cast<size_t>(*bytes))
      return broken("tensor " + shown(name) + " has " + std::to_string(tensor.data.size()) +
                    " bytes of data, expected " + std::to_string(*bytes));
    header[name] = {{"dtype", name_of(tensor.element)}, {"shape", tensor.shape}, {"data_offsets", {at, at + *bytes}}};
    at += *bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    return broken("a name or a metadata value is no UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxHeaderBytes) return broken("the header has more than 10^8 bytes");

  std::vector<std::byte> out;
  out.reserve(8 + text.size() + static_cast<size_t>(at));
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<std::byte>(text.size() >> 8 * i & 0xff));
  const auto* start = reinterpret_cast<const std::byte*>(text.data());
  out.insert(out.end(), start, start + text.size());
  for (const auto& [name, tensor] : file.tensors) out.insert(out.end(), tensor.data.begin(), tensor.data.end());
  return out;
}

}  // namespace attend::io
