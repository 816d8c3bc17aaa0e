// SPDX-License-Identifier: Apache-2.0
#include "sim/golden/vectors.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>

namespace ptxsim::golden {
namespace {

constexpr std::string_view kMagic = "ptxsim golden 1\n";

class Writer {
 public:
  explicit Writer(std::string_view start) { raw(std::as_bytes(std::span(start))); }
  template <class T>
  void number(T value) {
    static_assert(std::is_arithmetic_v<T> && std::endian::native == std::endian::little);
    raw(std::as_bytes(std::span(&value, 1)));
  }
  void bytes(std::span<const std::byte> data) {
    number(static_cast<uint32_t>(data.size()));
    raw(data);
  }
  void text(std::string_view data) { bytes(std::as_bytes(std::span(data))); }
  std::vector<std::byte> take() { return std::move(out_); }

 private:
  void raw(std::span<const std::byte> data) { out_.insert(out_.end(), data.begin(), data.end()); }
  std::vector<std::byte> out_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}
  bool magic() {
    if (rest_.size() < kMagic.size() || std::memcmp(rest_.data(), kMagic.data(), kMagic.size()) != 0) return false;
    rest_ = rest_.subspan(kMagic.size());
    return true;
  }
  template <class T>
  T number() {
    T value{};
    if (rest_.size() < sizeof value) {
      broken_ = true;
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_ = rest_.subspan(sizeof value);
    return value;
  }
  std::vector<std::byte> bytes() {
    const uint32_t size = number<uint32_t>();
    if (size > rest_.size()) broken_ = true;
    if (broken_) return {};
    std::vector<std::byte> out(rest_.begin(), rest_.begin() + size);
    rest_ = rest_.subspan(size);
    return out;
  }
  std::string text() {
    const std::vector<std::byte> data = bytes();
    return {reinterpret_cast<const char*>(data.data()), data.size()};
  }
  bool broken() const { return broken_; }
  bool at_end() const { return rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
  bool broken_ = false;
};

void write_desc(Writer& writer, const TiledDesc& desc) {
  writer.number(static_cast<uint8_t>(desc.type));
  writer.number(static_cast<uint8_t>(desc.rank));
  writer.number(static_cast<uint8_t>(desc.swizzle));
  writer.number(static_cast<uint8_t>(desc.fill));
  for (const uint64_t value : desc.dim) writer.number(value);
  for (const uint64_t value : desc.stride_bytes) writer.number(value);
  for (const uint32_t value : desc.box) writer.number(value);
  for (const uint32_t value : desc.element_stride) writer.number(value);
}

TiledDesc read_desc(Reader& reader) {
  TiledDesc desc;
  desc.type = static_cast<TensorType>(reader.number<uint8_t>());
  desc.rank = reader.number<uint8_t>();
  desc.swizzle = static_cast<TensorSwizzle>(reader.number<uint8_t>() & 3);
  desc.fill = static_cast<TensorFill>(reader.number<uint8_t>() & 1);
  for (uint64_t& value : desc.dim) value = reader.number<uint64_t>();
  for (uint64_t& value : desc.stride_bytes) value = reader.number<uint64_t>();
  for (uint32_t& value : desc.box) value = reader.number<uint32_t>();
  for (uint32_t& value : desc.element_stride) value = reader.number<uint32_t>();
  return desc;
}

/// Steps between two f32 in the order of real numbers; 0 for two NaN, a lot for one.
uint64_t ulps(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b) ? 0 : UINT32_MAX;
  const auto place = [](float x) {
    const int64_t bits = std::bit_cast<int32_t>(x);
    return bits < 0 ? int64_t{INT32_MIN} - bits : bits;
  };
  return static_cast<uint64_t>(std::abs(place(a) - place(b)));
}

}  // namespace

std::vector<std::byte> format_vectors(const std::vector<Vector>& vectors, const std::string& device) {
  Writer writer(kMagic);
  writer.text(device);
  std::map<std::string, uint32_t> texts;
  std::vector<const std::string*> order;
  for (const Vector& vector : vectors)
    if (texts.emplace(vector.ptx, static_cast<uint32_t>(texts.size())).second) order.push_back(&vector.ptx);
  writer.number(static_cast<uint32_t>(order.size()));
  for (const std::string* text : order) writer.text(*text);
  writer.number(static_cast<uint32_t>(vectors.size()));
  for (const Vector& vector : vectors) {
    writer.text(vector.name);
    writer.number(texts.at(vector.ptx));
    writer.number(vector.threads);
    writer.number(static_cast<uint8_t>(vector.match));
    writer.number(vector.tolerance);
    writer.number(static_cast<uint8_t>(vector.has_map));
    if (vector.has_map) write_desc(writer, vector.desc);
    writer.bytes(vector.in);
    writer.bytes(vector.out);
  }
  return writer.take();
}

Result<VectorFile> parse_vectors(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  if (!reader.magic()) return attend::invalid_argument("no file of golden vectors: it does not begin with their line");
  VectorFile file;
  file.device = reader.text();
  std::vector<std::string> texts;
  for (uint32_t left = reader.number<uint32_t>(); left > 0 && !reader.broken(); --left) texts.push_back(reader.text());
  for (uint32_t left = reader.number<uint32_t>(); left > 0 && !reader.broken(); --left) {
    Vector vector;
    vector.name = reader.text();
    const uint32_t text = reader.number<uint32_t>();
    vector.threads = reader.number<uint32_t>();
    const uint8_t match = reader.number<uint8_t>();
    vector.tolerance = reader.number<float>();
    vector.has_map = reader.number<uint8_t>() != 0;
    if (vector.has_map) vector.desc = read_desc(reader);
    vector.in = reader.bytes();
    vector.out = reader.bytes();
    if (reader.broken()) break;
    if (text >= texts.size() || match > static_cast<uint8_t>(Match::f32_near))
      return attend::invalid_argument("golden vector " + vector.name +
                                      " names a text or a comparison that is not there");
    vector.ptx = texts[text];
    vector.match = static_cast<Match>(match);
    file.vectors.push_back(std::move(vector));
  }
  if (reader.broken() || !reader.at_end())
    return attend::invalid_argument("a file of golden vectors that is cut off, or has something behind its end");
  return file;
}

std::string difference(const Vector& vector, std::span<const std::byte> found) {
  if (found.size() != vector.out.size())
    return "has " + std::to_string(found.size()) + " bytes, expected " + std::to_string(vector.out.size());
  const auto word = [](std::span<const std::byte> bytes, size_t at) {
    uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, std::min<size_t>(4, bytes.size() - at));
    return value;
  };
  size_t wrong = 0;
  std::string first;
  for (size_t at = 0; at < found.size(); at += 4) {
    const uint32_t a = word(found, at), b = word(vector.out, at);
    if (a == b) continue;
    const float x = std::bit_cast<float>(a), y = std::bit_cast<float>(b);
    if (vector.match == Match::f32_ulp && static_cast<double>(ulps(x, y)) <= double{vector.tolerance}) continue;
    if (vector.match == Match::f32_near &&
        std::abs(double{x} - double{y}) <= double{vector.tolerance} * std::max(1.0, std::abs(double{y})))
      continue;
    if (wrong++ > 0) continue;
    std::array<char, 160> text{};
    std::snprintf(text.data(), text.size(), "word %zu is 0x%08x (%.9g), expected 0x%08x (%.9g)", at / 4, a, double{x},
                  b, double{y});
    first = text.data();
  }
  if (wrong == 0) return {};
  return first + "; " + std::to_string(wrong) + " of " + std::to_string((found.size() + 3) / 4) + " words differ";
}

}  // namespace ptxsim::golden
