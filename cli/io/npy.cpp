// SPDX-License-Identifier: Apache-2.0
#include "npy.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

namespace attend::io {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxDimensions = 32;  // NumPy's own limit until version 2

Status broken(const std::string& what) { return invalid_argument("npy: " + what); }

struct Header {
  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<int64_t>> shape;
};

/// Reads the dictionary literal that is the header: three keys, each once, in any order.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  Status parse(Header& header) {
    if (!accept('{')) return broken("header does not begin with {");
    while (!accept('}')) {
      std::string key;
      if (!quoted(key)) return broken("header has no quoted key at byte " + std::to_string(at_));
      if (!accept(':')) return broken("header has no ':' after '" + key + "'");
      if (Status status = value(key, header); !status.ok()) return status;
      if (accept(',')) continue;
      if (!accept('}')) return broken("header has neither ',' nor '}' after '" + key + "'");
      break;
    }
    skip_space();
    if (at_ != text_.size()) return broken("header goes on after its '}'");
    if (!header.descr) return broken("header has no 'descr'");
    if (!header.fortran_order) return broken("header has no 'fortran_order'");
    if (!header.shape) return broken("header has no 'shape'");
    return {};
  }

 private:
  Status value(const std::string& key, Header& header) {
    if (key == "descr") {
      std::string descr;
      if (header.descr) return broken("header has 'descr' twice");
      if (!quoted(descr)) return broken("descr is no string: structured arrays are not supported");
      header.descr = descr;
      return {};
    }
    if (key == "fortran_order") {
      if (header.fortran_order) return broken("header has 'fortran_order' twice");
      if (word("True"))
        header.fortran_order = true;
      else if (word("False"))
        header.fortran_order = false;
      else
        return broken("fortran_order is neither True nor False");
      return {};
    }
    if (key == "shape") {
      if (header.shape) return broken("header has 'shape' twice");
      header.shape.emplace();
      return shape(*header.shape);
    }
    return broken("header has the unknown key '" + key + "', expected descr, fortran_order and shape");
  }

  Status shape(std::vector<int64_t>& sizes) {
    if (!accept('(')) return broken("shape is no tuple");
    while (!accept(')')) {
      int64_t size = 0;
      skip_space();
      const size_t begin = at_;
      for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
        if (__builtin_mul_overflow(size, 10, &size) || __builtin_add_overflow(size, text_[at_] - '0', &size))
          return broken("shape holds a number above 2^63");
      }
      if (at_ == begin) return broken("shape holds something that is no number at byte " + std::to_string(at_));
      if (sizes.size() == kMaxDimensions) return broken("shape has more than 32 dimensions");
      sizes.push_back(size);
      if (accept(',')) continue;
      if (!accept(')')) return broken("shape has neither ',' nor ')' after " + std::to_string(size));
      break;
    }
    return {};
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }
  bool accept(char wanted) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view wanted) {
    skip_space();
    if (text_.substr(at_, wanted.size()) != wanted) return false;
    at_ += wanted.size();
    return true;
  }
  /// Letters and signs between a pair of quotes; nothing in a valid header needs a backslash.
  bool quoted(std::string& content) {
    skip_space();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) return false;
    const size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) return false;
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    const bool plain =
        std::all_of(inside.begin(), inside.end(), [](char c) { return c >= ' ' && c <= '~' && c != '\\'; });
    if (!plain || inside.size() > 64) return false;
    content = inside;
    at_ = end + 1;
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
};

Result<Element> element_of_descr(const std::string& descr) {
#define ATTEND_ELEMENT(name, bytes, safetensors, npy) \
  if (!std::string_view(npy).empty() && descr == npy) return Element::name;
#include "elements.def"
#undef ATTEND_ELEMENT
  if (descr.starts_with('>')) return broken("descr is '" + descr + "': big-endian arrays are not supported");
  return broken("descr is '" + descr + "', expected one of <f4 <f2 <f8 <u2 or another plain number type");
}

std::string_view descr_of(Element element) {
  switch (element) {
#define ATTEND_ELEMENT(name, bytes, safetensors, npy) \
  case Element::name:                                 \
    return npy;
#include "elements.def"
#undef ATTEND_ELEMENT
  }
  return {};
}

}  // namespace

Result<NpyArray> parse_npy(std::span<const std::byte> bytes) {
  const auto byte_at = [&](size_t i) { return std::to_integer<size_t>(bytes[i]); };
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(kMagic)) return broken("the file does not begin with \\x93NUMPY");
  if (bytes.size() < 10) return broken("the file ends within its first 10 bytes");
  const size_t version = byte_at(6);
  if (version < 1 || version > 3) return broken("version is " + std::to_string(version) + ", expected 1, 2 or 3");
  const size_t length_bytes = version == 1 ? 2 : 4;
  if (bytes.size() < 8 + length_bytes) return broken("the file ends within the header's length");
  size_t length = 0;
  for (size_t i = 0; i < length_bytes; ++i) length |= byte_at(8 + i) << 8 * i;
  const size_t data_begin = 8 + length_bytes + length;
  if (data_begin > bytes.size())
    return broken("the header's length is " + std::to_string(length) + " bytes, but the file has only " +
                  std::to_string(bytes.size()));

  Header header;
  if (Status status = HeaderParser(text.substr(8 + length_bytes, length)).parse(header); !status.ok()) return status;
  Result<Element> element = element_of_descr(*header.descr);
  if (!element.ok()) return element.status();
  if (*header.fortran_order)
    return broken("the array is in Fortran order; save numpy.ascontiguousarray(array) instead");

  NpyArray array;
  array.element = *element;
  array.shape = std::move(*header.shape);
  const Result<int64_t> size = tensor_bytes("npy", array.element, array.shape);
  if (!size.ok()) return size.status();
  array.data = bytes.subspan(data_begin);
  if (array.data.size() != static_cast<size_t>(*size))
    return broken("the data has " + std::to_string(array.data.size()) + " bytes, expected " + std::to_string(*size) +
                  " for shape " + shape_text(array.shape) + " of " + element_name(array.element));
  return array;
}

Result<std::vector<std::byte>> format_npy(const TensorView& array) {
  const Element element = array.element == Element::bf16 ? Element::u16 : array.element;
  if (descr_of(element).empty()) return broken(std::string("has no element type ") + element_name(element));
  const Result<int64_t> size = tensor_bytes("npy", element, array.shape);
  if (!size.ok()) return size.status();
  if (array.data.size() != static_cast<size_t>(*size))
    return broken("the data has " + std::to_string(array.data.size()) + " bytes, expected " + std::to_string(*size));
  if (array.shape.size() > kMaxDimensions) return broken("shape has more than 32 dimensions");

  std::string header = "{'descr': '" + std::string(descr_of(element)) + "', 'fortran_order': False, 'shape': (";
  for (size_t i = 0; i < array.shape.size(); ++i) header += (i == 0 ? "" : " ") + std::to_string(array.shape[i]) + ",";
  if (array.shape.size() > 1) header.pop_back();  // (3,) but (3, 4)
  header += "), }";
  const size_t unpadded = kMagic.size() + 4 + header.size() + 1;
  header.append((64 - unpadded % 64) % 64, ' ');  // the data begins at a multiple of 64 bytes
  header += '\n';

  std::string start(kMagic);
  start += '\x01';
  start += '\x00';
  start += static_cast<char>(header.size() & 0xff);
  start += static_cast<char>(header.size() >> 8);
  start += header;
  std::vector<std::byte> file(start.size() + array.data.size());
  std::copy_n(reinterpret_cast<const std::byte*>(start.data()), start.size(), file.begin());
  std::copy(array.data.begin(), array.data.end(), file.begin() + static_cast<int64_t>(start.size()));
  return file;
}

}  // namespace attend::io
