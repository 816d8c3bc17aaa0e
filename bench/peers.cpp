// SPDX-License-Identifier: Apache-2.0
#include "peers.hpp"

#include <cmath>

#include "script.hpp"

namespace attend::bench {

using nlohmann::json;

struct Peers::State {
  Script script;
  std::vector<std::string> names;
};

Peers::Peers(std::unique_ptr<State> state) : state_(std::move(state)) {}
Peers::Peers(Peers&&) noexcept = default;
Peers& Peers::operator=(Peers&&) noexcept = default;
Peers::~Peers() = default;

const std::vector<std::string>& Peers::names() const { return state_->names; }

Result<Peers> Peers::start() {
  Result<Script> script = Script::start("peers.py");
  if (!script.ok()) return script.status();
  auto state = std::make_unique<State>(State{std::move(script).value(), {}});
  const json& hello = state->script.hello();
  for (const json& name : hello.value("peers", json::array()))
    if (name.is_string()) state->names.push_back(name.get<std::string>());
  if (state->names.empty()) return unsupported("bench peers: " + hello.value("reason", std::string("none installed")));
  return Peers(std::move(state));
}

Result<std::vector<Record>> Peers::measure(const Record& subject, double min_time) {
  const json question = {{"problem", subject.problem}, {"threads", subject.threads}, {"min_time", min_time}};
  const Result<json> answer = state_->script.ask(question);
  if (!answer.ok()) return answer.status();
  std::vector<Record> records;
  for (const json& timing : answer->value("timings", json::array())) {
    Record record = subject;
    record.bars.clear();
    record.not_judged.clear();
    record.kernel = timing.value("kernel", std::string("?"));
    record.isa = timing.value("isa", std::string("own choice"));
    record.arithmetic = timing.value("arithmetic", std::string("f32"));
    record.date = utc_now();
    record.workspace_bytes = -1;  // theirs is not known
    record.tile_rows = record.tile_keys = 0;
    record.error_ratio =
        std::nan("");  // the script compares with numpy in f64, but our bound is not a promise of theirs
    record.median_s = timing.value("median_s", 0.0);
    record.p10_s = timing.value("p10_s", 0.0);
    record.p90_s = timing.value("p90_s", 0.0);
    record.runs = record.rounds = timing.value("runs", int64_t{0});
    if (!(record.median_s > 0)) {
      record.state = Record::State::failed;
      record.reason = record.kernel + ": " + timing.value("reason", std::string("no time"));
    } else {
      record.gflops = record.flops / record.median_s * 1e-9;
      record.gbps = record.bytes / record.median_s * 1e-9;
      record.peak_gflops = record.arithmetic == "bf16_dot" ? record.peak_dot_bf16_gflops : record.peak_fma_f32_gflops;
      const bool same_arithmetic = record.arithmetic == subject.arithmetic;
      record.peak_alone_gflops = same_arithmetic ? subject.peak_alone_gflops : 0;
      record.share_alone = record.peak_alone_gflops > 0 ? record.gflops / record.peak_alone_gflops : 0;
      record.share = record.peak_gflops > 0 ? record.gflops / record.peak_gflops : 0;
    }
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace attend::bench
