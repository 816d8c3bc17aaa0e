// SPDX-License-Identifier: Apache-2.0
#include <attend/kv_cache.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "base/e4m3.hpp"
#include "base/element.hpp"
#include "base/text.hpp"

namespace attend {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// to[c] = scale * code, of columns [begin, end) with one scale.
template <class Code>
void decode_codes(const void* row, int64_t begin, int64_t end, float scale, float* to) {
  for (int64_t c = begin; c < end; ++c) to[c] = scale * Code::value(row, c);
}

/// Codes of one format as signed numbers, and the largest of them.
struct Int8Code {
  static constexpr float kLargest = 127;
  static float value(const void* row, int64_t c) { return static_cast<const int8_t*>(row)[c]; }
  static void decode(const void* row, int64_t begin, int64_t end, int64_t, float scale, float* to) {
    decode_codes<Int8Code>(row, begin, end, scale, to);
  }
  static void store(void* row, int64_t c, int64_t, float x) {
    static_cast<int8_t*>(row)[c] = static_cast<int8_t>(std::lrintf(x));
  }
};
struct E4m3Code {
  static constexpr float kLargest = kE4m3Largest;
  static float value(const void* row, int64_t c) { return e4m3_to_f32(static_cast<const uint8_t*>(row)[c]); }
  static void decode(const void* row, int64_t begin, int64_t end, int64_t, float scale, float* to) {
    decode_codes<E4m3Code>(row, begin, end, scale, to);
  }
  static void store(void* row, int64_t c, int64_t, float x) { static_cast<uint8_t*>(row)[c] = f32_to_e4m3(x); }
};
struct Int4Code {
  static constexpr float kLargest = 7;
  static int64_t byte(int64_t c, int64_t group) { return (c / group) * (group / 2) + c % (group / 2); }
  static int shift(int64_t c, int64_t group) { return c % group < group / 2 ? 0 : 4; }
  /// Columns [begin, end) of the group that begins at `begin`: its low halves, then its high ones.
  static void decode(const void* row, int64_t begin, int64_t end, int64_t group, float scale, float* to) {
    const uint8_t* bytes = static_cast<const uint8_t*>(row) + begin / 2;
    const int64_t half = group / 2, low = std::min(half, end - begin), high = end - begin - low;
    to += begin;
    for (int64_t i = 0; i < low; ++i) to[i] = scale * static_cast<float>((bytes[i] & 15) - 8);
    for (int64_t i = 0; i < high; ++i) to[half + i] = scale * static_cast<float>((bytes[i] >> 4) - 8);
  }
  static void store(void* row, int64_t c, int64_t group, float x) {
    uint8_t& to = static_cast<uint8_t*>(row)[byte(c, group)];
    const int code = static_cast<int>(std::lrintf(x)) + 8, s = shift(c, group);
    to = static_cast<uint8_t>((to & ~(15 << s)) | code << s);
  }
};

/// Calls `f.template operator()<Code>()` for a format that has codes.
template <class F>
void visit_code(KvFormat format, F&& f) {
  switch (format) {
    case KvFormat::plain: return;
    case KvFormat::int8:
    case KvFormat::int8_channel: return f.template operator()<Int8Code>();
    case KvFormat::int4_32:
    case KvFormat::int4_64: return f.template operator()<Int4Code>();
    case KvFormat::e4m3: return f.template operator()<E4m3Code>();
  }
}

float scale_at(const KvFormatRow& format, const void* scales, int64_t i) {
  float scale = 0;
  visit_dtype(format.scale_type, [&]<class E>() {
    typename E::Storage stored;
    std::memcpy(&stored, static_cast<const char*>(scales) + i * static_cast<int64_t>(sizeof stored), sizeof stored);
    scale = E::widen(stored);
  });
  return scale;
}

/// Stores a scale and returns what was stored. Rounded up in bf16, so that the largest element stays within the codes.
float store_scale(const KvFormatRow& format, void* scales, int64_t i, float scale) {
  visit_dtype(format.scale_type, [&]<class E>() {
    typename E::Storage stored = E::narrow(scale);
    if constexpr (!std::is_same_v<typename E::Storage, float>) {
      if (E::widen(stored) < scale) ++stored;
    }
    scale = E::widen(stored);
    std::memcpy(static_cast<char*>(scales) + i * static_cast<int64_t>(sizeof stored), &stored, sizeof stored);
  });
  return scale;
}

/// Codes of columns [begin, end) with one scale.
template <class Code>
void encode_range(const float* from, int64_t begin, int64_t end, int64_t group, float scale, void* row) {
  for (int64_t c = begin; c < end; ++c) {
    const float x = scale > 0 ? from[c] / scale : 0.0F;
    Code::store(row, c, group, x != x ? 0.0F : std::clamp(x, -Code::kLargest, Code::kLargest));
  }
}

}  // namespace

KvFormatRow kv_format_row(KvFormat format) {
  switch (format) {
#define ATTEND_KV_FORMAT(name, bits, scales, scale_type, doc) \
  case KvFormat::name:                                        \
    return {#name, bits, KvScales::scales, DType::scale_type};
#include <attend/kv_formats.def>
#undef ATTEND_KV_FORMAT
  }
  return {};
}

Result<KvFormat> parse_kv_format(std::string_view text) {
  std::string names;
#define ATTEND_KV_FORMAT(name, bits, scales, scale_type, doc) \
  if (text == #name) return KvFormat::name;                   \
  names += names.empty() ? #name : ", " #name;
#include <attend/kv_formats.def>
#undef ATTEND_KV_FORMAT
  return invalid_argument("kv_format is " + in_quotes(text) + ", expected one of " + names);
}

int64_t kv_row_elements(KvFormat format, int64_t columns) {
  const KvFormatRow row = kv_format_row(format);
  if (row.bits != 4) return columns;
  const int64_t group = row.group(columns);
  return (columns + group - 1) / group * group;
}

int64_t kv_row_scales(KvFormat format, int64_t columns) {
  const KvFormatRow row = kv_format_row(format);
  if (row.scales == KvScales::channel) return columns;
  const int64_t group = row.group(columns);
  return group == 0 ? 0 : (columns + group - 1) / group;
}

void kv_decode(KvFormat format, DType type, const void* row, const void* scales, int64_t columns, float* to) {
  if (format == KvFormat::plain) return widen(type, row, columns, to);
  const KvFormatRow info = kv_format_row(format);
  const int64_t group = info.scales == KvScales::channel ? 1 : info.group(columns);
  visit_code(format, [&]<class Code>() {
    for (int64_t begin = 0; begin < columns; begin += group) {
      const float scale = scale_at(info, scales, begin / group);
      Code::decode(row, begin, std::min(begin + group, columns), group, scale, to);
    }
  });
}

void kv_encode(KvFormat format, DType type, const float* from, int64_t columns, void* row, void* scales) {
  if (format == KvFormat::plain) return narrow(type, from, columns, row);
  const KvFormatRow info = kv_format_row(format);
  std::memset(row, 0, static_cast<size_t>(kv_bytes(format, type, kv_row_elements(format, columns))));
  visit_code(format, [&]<class Code>() {
    if (info.scales == KvScales::channel) {
      for (int64_t c = 0; c < columns; ++c) encode_range<Code>(from, c, c + 1, 1, scale_at(info, scales, c), row);
      return;
    }
    const int64_t group = info.group(columns);
    for (int64_t begin = 0; begin < columns; begin += group) {
      const int64_t end = std::min(begin + group, columns);
      float largest = 0;
      for (int64_t c = begin; c < end; ++c) {
        const float x = std::abs(from[c]);
        if (!(x <= largest)) largest = x;
        if (largest != largest) break;
      }
      const float wanted = largest <= std::numeric_limits<float>::max() ? largest / Code::kLargest : kNan;
      const float scale = store_scale(info, scales, begin / group, wanted);
      encode_range<Code>(from, begin, end, group, scale, row);
    }
  });
}

}  // namespace attend
