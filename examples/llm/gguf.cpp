// SPDX-License-Identifier: Apache-2.0
// The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. A file may come from anybody: every length is
// compared with the bytes that are left before anything is made of it.
#include "gguf.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <numeric>

namespace llm {
namespace {

enum class Kind : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };
constexpr std::array<size_t, 13> kLeastBytes = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};  // of a value, by kind
constexpr size_t kLeastKeyBytes = 8 + 4 + 1, kLeastTensorBytes = 8 + 4 + 8 + 4 + 8;
constexpr uint32_t kMostDimensions = 4;
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

/// A name of the file as errors show it: not its control characters, and not all of a long one.
std::string quoted(std::string_view name) {
  constexpr size_t kShown = 80;
  std::string out = "'";
  for (const char c : name.substr(0, kShown)) out += static_cast<unsigned char>(c) < ' ' || c == 127 ? '?' : c;
  return out + (name.size() > kShown ? "...'" : "'");
}

struct TypeRow {
  TensorType type;
  const char* name;
  int64_t elements, bytes;
};
constexpr TypeRow kTypes[] = {
#define LLM_TENSOR_TYPE(name, id, elements, bytes) {TensorType::name, #name, elements, bytes},
#include "tensor_types.def"
};

const TypeRow& row_of(TensorType type) {
  return *std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeRow& row) { return row.type == type; });
}

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  size_t position() const { return position_; }
  size_t left() const { return bytes_.size() - position_; }

  [[noreturn]] void fail(const std::string& what) const { throw Error(file_ + ": " + what); }

  template <class T>
  T number(const std::string& what) {
    T value;
    std::memcpy(&value, take(sizeof value, what), sizeof value);
    return value;
  }

  /// A count of things that have `least` bytes each.
  size_t count(size_t least, const std::string& what) {
    const auto value = number<uint64_t>(what);
    if (value > left() / least) {
      fail(what + " is " + std::to_string(value) + ", expected at most " + std::to_string(left() / least) + " in the " +
           std::to_string(left()) + " bytes that follow");
    }
    return value;
  }

  std::string_view string(const std::string& what) {
    const size_t size = count(1, "the length of " + what);
    return {reinterpret_cast<const char*>(take(size, what)), size};
  }

  Gguf::Value value(const std::string& what) {
    const Kind kind = this->kind(what);
    return kind == Kind::array ? array(what) : scalar(kind, what);
  }

 private:
  const std::byte* take(size_t size, const std::string& what) {
    if (size > left()) {
      fail("ends in " + what + ": " + std::to_string(left()) + " bytes are left, expected " + std::to_string(size));
    }
    position_ += size;
    return bytes_.data() + (position_ - size);
  }

  Kind kind(const std::string& what) {
    const auto kind = number<uint32_t>(what);
    if (kind >= kLeastBytes.size()) fail("the kind of " + what + " is " + std::to_string(kind) + ", expected 0 to 12");
    return static_cast<Kind>(kind);
  }

  Gguf::Value scalar(Kind kind, const std::string& what) {
    switch (kind) {
      case Kind::u8: return int64_t{number<uint8_t>(what)};
      case Kind::i8: return int64_t{number<int8_t>(what)};
      case Kind::u16: return int64_t{number<uint16_t>(what)};
      case Kind::i16: return int64_t{number<int16_t>(what)};
      case Kind::u32: return int64_t{number<uint32_t>(what)};
      case Kind::i32: return int64_t{number<int32_t>(what)};
      case Kind::i64: return number<int64_t>(what);
      case Kind::u64: {
        const auto value = number<uint64_t>(what);
        if (value > kMost) fail(what + " is " + std::to_string(value) + ", expected at most " + std::to_string(kMost));
        return static_cast<int64_t>(value);
      }
      case Kind::f32: return double{number<float>(what)};
      case Kind::f64: return number<double>(what);
      case Kind::boolean: {
        const auto value = number<uint8_t>(what);
        if (value > 1) fail(what + " is " + std::to_string(value) + ", expected 0 or 1 (a bool)");
        return value == 1;
      }
      case Kind::string: return string(what);
      case Kind::array: break;
    }
    fail(what + " is an array of arrays, expected an array of plain values");
  }

  Gguf::Value array(const std::string& what) {
    const Kind kind = this->kind("an element of " + what);
    const size_t size = count(kLeastBytes[static_cast<size_t>(kind)], "the length of " + what);
    switch (kind) {
      case Kind::f32:
      case Kind::f64: return elements<double>(kind, size, what);
      case Kind::string: return elements<std::string_view>(kind, size, what);
      case Kind::array: fail(what + " is an array of arrays, expected an array of plain values");
      case Kind::boolean: {
        std::vector<int64_t> out(size);
        for (int64_t& each : out) each = std::get<bool>(scalar(kind, what)) ? 1 : 0;
        return out;
      }
      default: return elements<int64_t>(kind, size, what);
    }
  }

  template <class T>
  std::vector<T> elements(Kind kind, size_t size, const std::string& what) {
    std::vector<T> out(size);
    for (T& each : out) each = std::get<T>(scalar(kind, what));
    return out;
  }

  std::span<const std::byte> bytes_;
  const std::string& file_;
  size_t position_ = 0;
};

/// A tensor of the file's list, its data still to be found.
struct Placed {
  Tensor tensor;
  uint64_t offset = 0, bytes = 0;  // offset: from where the data begin
};

Placed read_tensor(Reader& in, const std::string& what) {
  Placed out;
  Tensor& tensor = out.tensor;
  tensor.name = in.string("the name of " + what);
  const std::string self = "tensor " + quoted(tensor.name);

  const auto dimensions = in.number<uint32_t>("the dimensions of " + self);
  if (dimensions < 1 || dimensions > kMostDimensions) {
    in.fail(self + " has " + std::to_string(dimensions) + " dimensions, expected 1 to 4");
  }
  tensor.rows = 1;
  for (uint32_t i = 0; i < dimensions; ++i) {
    const auto size = in.number<uint64_t>("the dimensions of " + self);
    int64_t& into = i == 0 ? tensor.columns : tensor.rows;
    const uint64_t most = static_cast<uint64_t>(kMost / std::max<int64_t>(i == 0 ? 1 : into, 1));
    if (size < 1 || size > most) {
      in.fail("dimension " + std::to_string(i) + " of " + self + " is " + std::to_string(size) + ", expected 1 to " +
              std::to_string(most));
    }
    into = i == 0 ? static_cast<int64_t>(size) : into * static_cast<int64_t>(size);
  }

  const auto id = in.number<uint32_t>("the type of " + self);
  const TypeRow* row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                    [&](const TypeRow& each) { return static_cast<uint32_t>(each.type) == id; });
  if (row == std::end(kTypes)) {
    std::string known;
    for (const TypeRow& each : kTypes) {
      known += (known.empty() ? "" : ", ") + std::to_string(static_cast<uint32_t>(each.type)) + " (" + each.name + ")";
    }
    in.fail("the type of " + self + " is " + std::to_string(id) + ", expected one of " + known);
  }
  tensor.type = row->type;
  if (tensor.columns % row->elements != 0) {
    in.fail(self + " has " + std::to_string(tensor.columns) + " columns, expected whole blocks of " +
            std::to_string(row->elements) + " (" + row->name + ")");
  }
  const int64_t blocks = tensor.columns / row->elements;
  if (blocks > kMost / row->bytes || tensor.rows > kMost / (blocks * row->bytes)) {
    in.fail(self + " has " + std::to_string(tensor.rows) + " rows of " + std::to_string(tensor.columns) +
            " elements, expected less than 2^63 bytes");
  }
  out.bytes = static_cast<uint64_t>(tensor.rows * tensor.row_bytes());
  out.offset = in.number<uint64_t>("the offset of " + self);
  return out;
}

/// Finds the data: each tensor at its own multiple of the alignment, none over another or over the file's end.
void place(const Reader& in, std::span<const std::byte> bytes, uint64_t alignment, std::vector<Placed>& tensors) {
  if (tensors.empty()) return;
  const uint64_t padding = (alignment - in.position() % alignment) % alignment;
  if (padding > in.left())
    in.fail("ends before the data of its tensors, which begin at a multiple of " + std::to_string(alignment));
  const auto data = bytes.subspan(in.position() + padding);
  for (Placed& each : tensors) {
    const std::string self = "tensor " + quoted(each.tensor.name);
    if (each.offset % alignment != 0) {
      in.fail("the offset of " + self + " is " + std::to_string(each.offset) + ", expected a multiple of " +
              std::to_string(alignment));
    }
    if (each.offset > data.size() || each.bytes > data.size() - each.offset) {
      in.fail(self + " has " + std::to_string(each.bytes) + " bytes at offset " + std::to_string(each.offset) +
              ", expected to end in the " + std::to_string(data.size()) + " bytes of data");
    }
    each.tensor.data = data.subspan(each.offset, each.bytes);
  }
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return tensors[a].offset < tensors[b].offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const Placed &before = tensors[order[i - 1]], &after = tensors[order[i]];
    if (before.offset + before.bytes > after.offset) {
      in.fail("tensors " + quoted(before.tensor.name) + " and " + quoted(after.tensor.name) +
              " overlap, expected each in bytes of its own");
    }
  }
}

const char* kind_name(const Gguf::Value& value) {
  constexpr const char* kNames[] = {"an integer",           "a real number",     "a bool",           "a text",
                                    "an array of integers", "an array of reals", "an array of texts"};
  return kNames[value.index()];
}

/// The value of a key, nullptr where it is missing.
template <class T>
const T* find_value(const Gguf& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) return nullptr;
  if (const T* value = std::get_if<T>(&found->second)) return value;
  throw Error(file.name() + ": key " + quoted(key) + " is " + kind_name(found->second) + ", expected " +
              kind_name(Gguf::Value(T{})));
}

template <class T>
const T& value_of(const Gguf& file, const std::string& key) {
  if (const T* value = find_value<T>(file, key)) return *value;
  throw Error(file.name() + ": key " + quoted(key) + " is missing, expected " + kind_name(Gguf::Value(T{})));
}

template <class T>
T value_or(const Gguf& file, const std::string& key, T otherwise) {
  const T* value = find_value<T>(file, key);
  return value != nullptr ? *value : otherwise;
}

}  // namespace

const char* type_name(TensorType type) { return row_of(type).name; }

int64_t Tensor::row_bytes() const {
  const TypeRow& row = row_of(type);
  return columns / row.elements * row.bytes;
}

Gguf Gguf::open(const std::string& path) {
  const auto failed = [&](const char* what) { return Error(path + ": cannot " + what + ": " + std::strerror(errno)); };
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw failed("open it");
  struct stat status {};
  const bool known = ::fstat(descriptor, &status) == 0;
  void* bytes = MAP_FAILED;
  const size_t size = known ? static_cast<size_t>(status.st_size) : 0;
  if (size > 0) bytes = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int reason = errno;
  ::close(descriptor);
  if (known && size == 0) throw Error(path + ": is empty, expected a GGUF file");
  errno = reason;
  if (bytes == MAP_FAILED) throw failed("map it");

  std::shared_ptr<const void> mapping(bytes, [size](const void* at) { ::munmap(const_cast<void*>(at), size); });
  Gguf file = parse({static_cast<const std::byte*>(bytes), size}, path);
  file.mapping_ = std::move(mapping);
  return file;
}

Gguf Gguf::parse(std::span<const std::byte> bytes, const std::string& name) {
  Gguf file;
  file.name_ = name;
  Reader in(bytes, file.name_);
  constexpr uint32_t kMagic = 0x46554747, kVersion = 3;  // "GGUF"
  if (in.number<uint32_t>("the magic number") != kMagic) in.fail("is no GGUF file: its first 4 bytes are not GGUF");
  const auto version = in.number<uint32_t>("the version");
  if (version != kVersion) in.fail("its GGUF version is " + std::to_string(version) + ", expected 3");
  const auto tensor_count = in.number<uint64_t>("the number of tensors");
  const size_t key_count = in.count(kLeastKeyBytes, "the number of keys");

  for (size_t i = 0; i < key_count; ++i) {
    const std::string_view key = in.string("key " + std::to_string(i));
    const std::string what = "key " + quoted(key);
    if (!file.metadata_.try_emplace(std::string(key), in.value(what)).second) {
      in.fail(what + " is there twice, expected once");
    }
  }
  const int64_t alignment = file.integer("general.alignment", 32);
  if (alignment < 8 || alignment % 8 != 0) {
    in.fail("key 'general.alignment' is " + std::to_string(alignment) + ", expected a multiple of 8");
  }

  if (tensor_count > in.left() / kLeastTensorBytes) {
    in.fail("the number of tensors is " + std::to_string(tensor_count) + ", expected at most " +
            std::to_string(in.left() / kLeastTensorBytes) + " in the " + std::to_string(in.left()) +
            " bytes that follow");
  }
  std::vector<Placed> placed;
  for (size_t i = 0; i < tensor_count; ++i) {
    placed.push_back(read_tensor(in, "tensor " + std::to_string(i)));
    if (!file.by_name_.try_emplace(placed.back().tensor.name, i).second) {
      in.fail("tensor " + quoted(placed.back().tensor.name) + " is there twice, expected once");
    }
  }
  place(in, bytes, static_cast<uint64_t>(alignment), placed);
  for (Placed& each : placed) file.tensors_.push_back(std::move(each.tensor));
  return file;
}

int64_t Gguf::integer(const std::string& key) const { return value_of<int64_t>(*this, key); }
int64_t Gguf::integer(const std::string& key, int64_t otherwise) const { return value_or(*this, key, otherwise); }
double Gguf::real(const std::string& key) const { return value_of<double>(*this, key); }
double Gguf::real(const std::string& key, double otherwise) const { return value_or(*this, key, otherwise); }
bool Gguf::boolean(const std::string& key, bool otherwise) const { return value_or(*this, key, otherwise); }
std::string_view Gguf::text(const std::string& key) const { return value_of<std::string_view>(*this, key); }
std::string_view Gguf::text(const std::string& key, std::string_view otherwise) const {
  return value_or(*this, key, otherwise);
}
const std::vector<std::string_view>& Gguf::texts(const std::string& key) const {
  return value_of<std::vector<std::string_view>>(*this, key);
}
const std::vector<int64_t>& Gguf::integers(const std::string& key) const {
  return value_of<std::vector<int64_t>>(*this, key);
}
const std::vector<double>& Gguf::reals(const std::string& key) const {
  return value_of<std::vector<double>>(*this, key);
}

const Tensor& Gguf::tensor(const std::string& name, int64_t rows, int64_t columns) const {
  const auto shape = [](int64_t r, int64_t c) { return "[" + std::to_string(r) + "][" + std::to_string(c) + "]"; };
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) {
    throw Error(name_ + ": tensor " + quoted(name) + " is missing, expected " + shape(rows, columns));
  }
  const Tensor& tensor = tensors_[found->second];
  if (tensor.rows != rows || tensor.columns != columns) {
    throw Error(name_ + ": tensor " + quoted(name) + " is " + shape(tensor.rows, tensor.columns) + ", expected " +
                shape(rows, columns));
  }
  return tensor;
}

}  // namespace llm
