// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdio>

#include "sim/trace/timeline.hpp"

namespace ptxsim {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
      out += escape.data();
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string metadata(const char* what, uint32_t process, size_t thread, const std::string& name) {
  return std::string("{\"name\":\"") + what + "\",\"ph\":\"M\",\"pid\":" + std::to_string(process) +
         ",\"tid\":" + std::to_string(thread) + ",\"args\":{\"name\":" + quoted(name) + "}},\n";
}

}  // namespace

std::string chrome_trace(const Trace& trace, const std::string& kernel) {
  std::string out = "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"kernel\":" + quoted(kernel) +
                    ",\"unit\":\"1 us is one scheduler step\"},\n\"traceEvents\":[\n";
  const std::vector<TimelineRow> rows = timeline_rows(trace);
  for (size_t i = 0; i < rows.size(); ++i) {
    const TimelineRow& row = rows[i];
    if (i == 0 || rows[i - 1].cta != row.cta)
      out += metadata("process_name", row.cta, 0, "CTA " + std::to_string(row.cta));
    out += metadata("thread_name", row.cta, i + 1, row.name);
    for (const Trace::Span* span : row.spans) {
      out += "{\"name\":" + quoted(span->name) + ",\"cat\":" + quoted(timeline_class_name(span->what)) +
             ",\"ph\":\"X\",\"pid\":" + std::to_string(row.cta) + ",\"tid\":" + std::to_string(i + 1) +
             ",\"ts\":" + std::to_string(span->begin) + ",\"dur\":" + std::to_string(span->end - span->begin) +
             ",\"args\":{\"line\":" + std::to_string(span->line) + "}},\n";
    }
  }
  if (!rows.empty()) out.erase(out.size() - 2, 1);
  return out + "]}\n";
}

}  // namespace ptxsim
