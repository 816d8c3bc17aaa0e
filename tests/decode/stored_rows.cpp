// SPDX-License-Identifier: Apache-2.0
#include "decode/stored_rows.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "base/float16.hpp"
#include "base/rng.hpp"

namespace attend::test {
namespace {

using cpu::DecodeFormat;

int group_of(DecodeFormat format) {
  return format == DecodeFormat::int4_32 ? 32 : format == DecodeFormat::int4_64 ? 64 : 0;
}

/// By the definition of the format, not by its bits.
double e4m3_value(unsigned code) {
  const unsigned exponent = code >> 3 & 15, fraction = code & 7;
  if (exponent == 15 && fraction == 7) return std::numeric_limits<double>::quiet_NaN();
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -9) : std::ldexp(8 + fraction, static_cast<int>(exponent) - 10);
  return code & 0x80 ? -magnitude : magnitude;
}

template <class T>
T get(const std::vector<std::byte>& bytes, size_t index) {
  T x;
  std::memcpy(&x, bytes.data() + index * sizeof x, sizeof x);
  return x;
}
template <class T>
void put(std::vector<std::byte>& bytes, size_t index, T x) {
  std::memcpy(bytes.data() + index * sizeof x, &x, sizeof x);
}

}  // namespace

const std::vector<DecodeFormat>& decode_formats() {
  static const std::vector<DecodeFormat> formats = {
#define ATTEND_DECODE_FORMAT(name, row) DecodeFormat::name,
#include "cpu/decode_formats.def"
#undef ATTEND_DECODE_FORMAT
  };
  return formats;
}

const char* format_name(DecodeFormat format) {
  switch (format) {
#define ATTEND_DECODE_FORMAT(name, row) \
  case DecodeFormat::name:              \
    return #name;
#include "cpu/decode_formats.def"
#undef ATTEND_DECODE_FORMAT
  }
  return "?";
}

StoredRows StoredRows::random(DecodeFormat format, int count, int columns, uint64_t seed, float magnitude) {
  StoredRows stored;
  stored.format = format;
  stored.columns = columns;
  Rng rng(seed);
  const auto scale = [&] { return static_cast<float>(magnitude * (0.5 + rng.uniform())); };
  const auto codes = [&](size_t bytes, auto valid) {
    std::vector<std::byte> row(bytes);
    for (auto& b : row) do
        b = static_cast<std::byte>(rng.next());
      while (!valid(static_cast<unsigned>(b)));
    return row;
  };
  const auto any = [](unsigned) { return true; };
  const int group = group_of(format);
  for (int i = 0; i < count; ++i) {
    std::vector<std::byte> row, scales;
    switch (format) {
      case DecodeFormat::f32:
        row.resize(static_cast<size_t>(columns) * 4);
        for (int c = 0; c < columns; ++c)
          put(row, static_cast<size_t>(c), static_cast<float>(rng.normal()) * magnitude);
        break;
      case DecodeFormat::f16:
      case DecodeFormat::bf16:
        row.resize(static_cast<size_t>(columns) * 2);
        for (int c = 0; c < columns; ++c) {
          const float x = static_cast<float>(rng.normal()) * magnitude;
          put(row, static_cast<size_t>(c), format == DecodeFormat::f16 ? f32_to_f16(x) : f32_to_bf16(x));
        }
        break;
      case DecodeFormat::int8:
        row = codes(static_cast<size_t>(columns), any);
        scales.resize(4);
        put(scales, 0, scale() / 64);
        break;
      case DecodeFormat::e4m3:
        row = codes(static_cast<size_t>(columns), [](unsigned b) { return (b & 0x7f) != 0x7f; });
        scales.resize(4);
        put(scales, 0, scale() / 128);
        break;
      case DecodeFormat::int4_32:
      case DecodeFormat::int4_64: {
        const size_t groups = static_cast<size_t>((columns + group - 1) / group);
        row = codes(groups * static_cast<size_t>(group) / 2, any);
        scales.resize(groups * 2);
        for (size_t g = 0; g < groups; ++g) put(scales, g, f32_to_bf16(scale() / 4));
        break;
      }
    }
    stored.rows.push_back(std::move(row));
    stored.scales.push_back(std::move(scales));
  }
  stored.find_addresses();
  return stored;
}

void StoredRows::set_channel_scales(const std::vector<float>& to) {
  channel_scales = to;
  for (auto& each : scales) each.clear();
  find_addresses();
}

void StoredRows::set_mean(const std::vector<float>& to) { mean = to; }

void StoredRows::poison(int row) {
  // All bits set are NaN in every floating-point format, scales included; codes of integers have NaN by their scales.
  const size_t i = static_cast<size_t>(row);
  std::fill(scales[i].begin(), scales[i].end(), std::byte{0xff});
  std::fill(rows[i].begin(), rows[i].end(), std::byte{0xff});
}

void StoredRows::find_addresses() {
  row_at_.clear();
  scale_at_.clear();
  // Offsets of a block are added by the kernel: 24 bytes there, taken away here.
  for (const auto& each : rows)
    row_at_.push_back(reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(each.data()) - 24));
  for (const auto& each : scales)
    if (!each.empty())
      scale_at_.push_back(reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(each.data()) + 40));
}

cpu::DecodeSide StoredRows::side(int first) const {
  return {row_at_.data() + first, 24, scale_at_.empty() ? nullptr : scale_at_.data() + first, -40};
}

double StoredRows::element(int row, int column) const {
  const size_t r = static_cast<size_t>(row), c = static_cast<size_t>(column);
  const double scale = !channel_scales.empty()                          ? channel_scales[c]
                       : scales[r].size() == 4 && group_of(format) == 0 ? get<float>(scales[r], 0)
                                                                        : 1;
  switch (format) {
    case DecodeFormat::f32: return get<float>(rows[r], c);
    case DecodeFormat::f16: return f16_to_f32(get<uint16_t>(rows[r], c));
    case DecodeFormat::bf16: return bf16_to_f32(get<uint16_t>(rows[r], c));
    case DecodeFormat::int8: return scale * get<int8_t>(rows[r], c);
    case DecodeFormat::e4m3: return scale * e4m3_value(get<uint8_t>(rows[r], c));
    default: {
      const int group = group_of(format), in_group = column % group;
      const size_t byte = static_cast<size_t>(column / group * (group / 2) + in_group % (group / 2));
      const int code = get<uint8_t>(rows[r], byte) >> (in_group < group / 2 ? 0 : 4) & 15;
      return bf16_to_f32(get<uint16_t>(scales[r], static_cast<size_t>(column / group))) * static_cast<float>(code - 8);
    }
  }
}

std::vector<float> StoredRows::decoded() const {
  std::vector<float> all;
  for (int row = 0; row < static_cast<int>(rows.size()); ++row)
    for (int c = 0; c < columns; ++c)
      all.push_back(static_cast<float>(element(row, c) +
                                       (mean.empty() ? 0.0 : static_cast<double>(mean[static_cast<size_t>(c)]))));
  return all;
}

}  // namespace attend::test
