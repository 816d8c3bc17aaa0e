// SPDX-License-Identifier: Apache-2.0
#include <attend/attention_bwd.hpp>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "ops/argument.hpp"
#include "ops/attention_check.hpp"

namespace attend {
namespace {

constexpr std::string_view kForward = "attention_fwd", kBackward = "attention_bwd";

/// What a check that both operations share says, in the name of this one.
Status as_backward(const Status& status, std::string_view in = {}) {
  if (status.ok() || status.message().rfind(kForward, 0) != 0) return status;
  const std::string_view rest = std::string_view(status.message()).substr(kForward.size() + 2);
  return Status(status.code(), std::string(kBackward) + ": " + std::string(in) + std::string(rest));
}

Status wrong(std::string_view argument, std::string_view found, std::string_view expected) {
  return as_backward(wrong_argument(argument, found, expected));
}

/// One tensor that the forward pass does not have.
struct Extra {
  const char* name;  ///< in messages and in the text: `dq`
  DType AttentionBwd::*type;
  Strides AttentionBwd::*strides;
  DType AttentionFwd::*like_type;
  Strides AttentionFwd::*like_strides;
  bool keys;      ///< rows are keys, heads key heads
  bool d_values;  ///< dv columns
  bool written;
};
constexpr std::array<Extra, 4> kExtras{{
    {"do", &AttentionBwd::do_type, &AttentionBwd::do_strides, &AttentionFwd::o_type, &AttentionFwd::o_strides, false,
     true, false},
    {"dq", &AttentionBwd::dq_type, &AttentionBwd::dq_strides, &AttentionFwd::q_type, &AttentionFwd::q_strides, false,
     false, true},
    {"dk", &AttentionBwd::dk_type, &AttentionBwd::dk_strides, &AttentionFwd::k_type, &AttentionFwd::k_strides, true,
     false, true},
    {"dv", &AttentionBwd::dv_type, &AttentionBwd::dv_strides, &AttentionFwd::v_type, &AttentionFwd::v_strides, true,
     true, true},
}};

int64_t rows_of(const AttentionFwd& f, const Extra& each) { return each.keys ? f.sk : f.sq; }
int64_t heads_of(const AttentionFwd& f, const Extra& each) { return each.keys ? f.hk : f.hq; }
int64_t columns_of(const AttentionFwd& f, const Extra& each) { return each.d_values ? f.dv : f.d; }
const Offsets& offsets_of(const AttentionFwd& f, const Extra& each) { return each.keys ? f.cu_k : f.cu_q; }

Status check_extra(const AttentionFwd& f, const Extra& each, const Strides& strides) {
  return check_strides(each.name, strides, offsets_of(f, each), f.b, rows_of(f, each), heads_of(f, each),
                       columns_of(f, each), each.written);
}

std::string print_strides(const Strides& s) {
  return print_number(s.batch) + "," + print_number(s.row) + "," + print_number(s.head);
}

}  // namespace

AttentionBwd AttentionBwd::of(const AttentionFwd& forward) {
  AttentionBwd problem;
  problem.forward = forward;
  problem.forward.lse = true;
  const bool sound = check_sizes(forward).ok();  // else check() refuses it, whatever the strides
  for (const Extra& each : kExtras) {
    problem.*each.type = forward.*each.like_type;
    Strides& strides = problem.*each.strides;
    strides = forward.*each.like_strides;
    if (!sound || check_extra(forward, each, strides).ok()) continue;
    const Layout layout = offsets_of(forward, each).empty() ? Layout::bshd : Layout::thd;
    strides = checked_dense_strides(layout, rows_of(forward, each), heads_of(forward, each), columns_of(forward, each));
  }
  return problem;
}

Status AttentionBwd::check() const {
  if (Status status = as_backward(forward.check(), "forward."); !status.ok()) return status;
  if (forward.cache) return wrong("forward.cache", "set", "none: what lies in a cache has no gradient");
  if (!forward.lse) return wrong("forward.lse", "false", "true: the backward pass reads it");
  for (const Extra& each : kExtras) {
    const std::string type = std::string(each.name) + "_type";
    if (Status status = as_backward(check_type(type.c_str(), this->*each.type)); !status.ok()) return status;
    if (Status status = as_backward(check_extra(forward, each, this->*each.strides)); !status.ok()) return status;
  }
  if (dbias && !forward.bias) return wrong("dbias", "true", "false: the forward Problem has no bias");
  if (dsink && !forward.sink) return wrong("dsink", "true", "false: the forward Problem has no sink");
  return {};
}

Cost AttentionBwd::cost() const {
  Cost cost = forward.cost();
  const auto columns = static_cast<double>(3 * forward.d + 2 * forward.dv);
  cost.flops = 2.0 * static_cast<double>(cost.visible_pairs) * columns;
  for (const Extra& each : kExtras) {
    const Offsets& cu = offsets_of(forward, each);
    const auto rows = static_cast<double>(cu.empty() ? forward.b * rows_of(forward, each) : cu[forward.b]);
    cost.bytes +=
        rows * static_cast<double>(heads_of(forward, each) * columns_of(forward, each) * dtype_bytes(this->*each.type));
  }
  return cost;
}

std::string AttentionBwd::text() const {
  AttentionFwd plain = forward;
  plain.lse = false;
  std::string out = std::string(kBackward) + plain.text().substr(kForward.size());
  if (do_type != forward.o_type) out += std::string(" do=") + dtype_name(do_type);
  if (dq_type != forward.q_type || dk_type != forward.k_type || dv_type != forward.v_type) {
    out += std::string(" grad=") + dtype_name(dq_type);
    if (dk_type != dq_type || dv_type != dq_type)
      out += std::string(",") + dtype_name(dk_type) + "," + dtype_name(dv_type);
  }
  const AttentionBwd usual = of(forward);
  for (const Extra& each : kExtras) {
    if (this->*each.strides != usual.*each.strides)
      out += " " + std::string(each.name) + "_strides=" + print_strides(this->*each.strides);
  }
  if (dbias) out += " dbias=1";
  if (dsink) out += " dsink=1";
  return out;
}

namespace {

/// Fields that the forward line does not have; the value of each one that is given.
constexpr std::array<std::string_view, 8> kFields{"do",         "grad",       "do_strides", "dq_strides",
                                                  "dk_strides", "dv_strides", "dbias",      "dsink"};

Result<DType> read_type(std::string_view field, std::string_view name) {
  Result<DType> type = parse_dtype(name);
  if (!type.ok()) return wrong(field, in_quotes(name), "f32, f16 or bf16");
  return type;
}

Status read_field(std::string_view field, std::string_view value, AttentionBwd& problem) {
  if (field == "dbias" || field == "dsink") {
    if (value != "0" && value != "1") return wrong(field, in_quotes(value), "0 or 1");
    (field == "dbias" ? problem.dbias : problem.dsink) = value == "1";
    return {};
  }
  if (field == "do") {
    const Result<DType> type = read_type(field, value);
    if (type.ok()) problem.do_type = *type;
    return type.ok() ? Status() : type.status();
  }
  if (field == "grad") {
    std::string_view rest = value;
    const bool three = value.find(',') != std::string_view::npos;
    for (DType* target : {&problem.dq_type, &problem.dk_type, &problem.dv_type}) {
      const Result<DType> type = read_type(field, three ? cut(rest, ',') : value);
      if (!type.ok()) return type.status();
      *target = *type;
    }
    if (three && !rest.empty()) return wrong(field, in_quotes(value), "1 or 3 types joined by commas");
    return {};
  }
  for (const Extra& each : kExtras) {
    if (field != std::string(each.name) + "_strides") continue;
    Strides& strides = problem.*each.strides;
    std::string_view rest = value;
    for (int64_t* target : {&strides.batch, &strides.row, &strides.head}) {
      const auto number = parse_number<int64_t>(cut(rest, ','));
      if (!number) return wrong(field, in_quotes(value), "batch,row,head");
      *target = *number;
    }
    if (!rest.empty()) return wrong(field, in_quotes(value), "batch,row,head");
  }
  return {};
}

}  // namespace

Result<AttentionBwd> AttentionBwd::parse(std::string_view line) {
  std::string forward;
  std::array<std::optional<std::string_view>, kFields.size()> given;
  bool first = true;
  while (!line.empty()) {
    const size_t end = std::min(line.find_first_of(" \t\r\n"), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    if (word.empty()) continue;
    if (first && word != kBackward) return wrong("operation", in_quotes(word), kBackward);
    std::string_view value = word;
    const std::string_view name = cut(value, '=');
    const auto at = std::find(kFields.begin(), kFields.end(), name);
    if (first || at == kFields.end() || word.find('=') == std::string_view::npos) {
      forward.append(first ? kForward : word).append(" ");
      first = false;
      continue;
    }
    std::optional<std::string_view>& slot = given[static_cast<size_t>(at - kFields.begin())];
    if (slot) return wrong(name, "given twice", "one value");
    if (value.empty()) return wrong(name, "empty", "a value");
    slot = value;
  }
  if (first) return wrong("operation", "missing", kBackward);
  const Result<AttentionFwd> parsed = AttentionFwd::parse(forward);
  if (!parsed.ok()) return as_backward(parsed.status());
  AttentionBwd problem = of(*parsed);
  for (size_t i = 0; i < kFields.size(); ++i) {
    if (!given[i]) continue;
    if (Status status = read_field(kFields[i], *given[i], problem); !status.ok()) return status;
  }
  if (Status status = problem.check(); !status.ok()) return status;
  return problem;
}

}  // namespace attend
