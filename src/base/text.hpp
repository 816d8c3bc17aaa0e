// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

// Numbers and words in text, independent of the locale.
namespace attend {

/// The whole text as a number; nothing for anything else, overflow included. No leading `+` or space.
template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

/// The shortest text that parse_number reads back as the same number.
template <class T>
requires(std::integral<T> || std::floating_point<T>) std::string print_number(T value) {
  std::array<char, 64> buffer;
  const auto [stop, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return error == std::errc() ? std::string(buffer.data(), stop) : std::string("?");
}

/// Text for an error message: in quotes, cut after 40 characters, what is not printable as `?`.
inline std::string in_quotes(std::string_view text) {
  constexpr size_t kLongest = 40;
  std::string out = "\"";
  for (const char c : text.substr(0, kLongest)) out += c >= ' ' && c <= '~' ? c : '?';
  return out + (text.size() > kLongest ? "...\"" : "\"");
}

/// Cuts off and returns what stands before the first `separator`, which goes too; all of it when there is none.
inline std::string_view cut(std::string_view& text, char separator) {
  const size_t at = text.find(separator);
  const std::string_view head = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  return head;
}

}  // namespace attend
