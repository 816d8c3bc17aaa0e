// SPDX-License-Identifier: Apache-2.0
#include "peers.hpp"

#include <utility>

namespace attend::bench::cuda {

using nlohmann::json;

namespace {

std::map<std::string, std::string> texts_of(const json& answer, const char* field) {
  std::map<std::string, std::string> texts;
  const json fields = answer.value(field, json::object());
  for (const auto& [name, text] : fields.items())
    if (text.is_string()) texts.emplace(name, text.get<std::string>());
  return texts;
}

}  // namespace

Peers Peers::none(std::string reason) {
  Peers peers;
  peers.absent_ = std::move(reason);
  return peers;
}

Peers Peers::start() {
  Result<Script> script = Script::start("cuda/peers.py");
  if (!script.ok()) return none(script.status().message());
  Peers peers;
  const json& hello = script->hello();
  peers.texts_ = texts_of(hello, "peers");
  for (const json& path : hello.value("libraries", json::array()))
    if (path.is_string()) peers.libraries_.push_back(path.get<std::string>());
  if (peers.texts_.empty())
    peers.absent_ = hello.value("reason", std::string("no peer is installed"));
  else
    peers.script_ = std::move(script).value();
  return peers;
}

Result<json> Peers::ask(const json& question) {
  if (!script_) return Status(StatusCode::unsupported, absent_);
  Result<json> answer = script_->ask(question);
  if (!answer.ok()) {  // it ended: there is none from here on
    script_.reset();
    absent_ = answer.status().message();
    return answer.status();
  }
  if (answer->contains("reason")) return Status(StatusCode::unsupported, answer->value("reason", std::string()));
  return answer;
}

Peers::Opened Peers::open(const std::string& problem, int64_t sets) {
  Opened opened;
  const Result<json> answer = ask({{"open", problem}, {"sets", sets}});
  if (!answer.ok()) {
    for (const auto& [name, text] : texts_) opened.refused[name] = answer.status().message();
    return opened;
  }
  for (const json& name : answer->value("peers", json::array()))
    if (name.is_string()) opened.names.push_back(name.get<std::string>());
  opened.refused = texts_of(*answer, "refused");
  opened.notes = texts_of(*answer, "notes");
  return opened;
}

Result<Lap> Peers::lap(const std::string& name, int runs, double hide_seconds) {
  const Result<json> answer = ask({{"time", name}, {"runs", runs}, {"hide", hide_seconds}});
  if (!answer.ok()) return answer.status();
  const Lap lap{answer->value("seconds", 0.0), answer->value("host_seconds", 0.0)};
  if (!(lap.seconds > 0)) return Status(StatusCode::unsupported, name + ": no time");
  return lap;
}

std::map<std::string, double> Peers::errors(const std::string& problem) {
  std::map<std::string, double> found;
  const Result<json> answer = ask({{"error", problem}});
  if (!answer.ok()) return found;
  const json fields = answer->value("rms", json::object());
  for (const auto& [name, value] : fields.items())
    if (value.is_number()) found[name] = value.get<double>();
  return found;
}

void Peers::close() {
  if (script_) (void)ask({{"close", true}});
}

}  // namespace attend::bench::cuda
