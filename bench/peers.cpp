// SPDX-License-Identifier: Apache-2.0
#include "peers.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

namespace attend::bench {

using nlohmann::json;

namespace {

/// Longer than any case of a suite takes a slow peer.
constexpr int kPatienceMs = 300'000;

Status broken(const std::string& why) { return {StatusCode::device, "bench peers: " + why}; }

/// In a checkout the binary is at build/attend, installed at bin/attend.
std::string script_path() {
  std::error_code error;
  for (const std::string& folder : likely_folders())
    for (const char* place : {"/peers.py", "/../bench/peers.py", "/../share/attend/bench/peers.py"})
      if (std::filesystem::exists(folder + place, error)) return folder + place;
  return {};
}

}  // namespace

struct Peers::State {
  pid_t child = -1;
  int socket = -1;
  std::string unread;
  std::vector<std::string> names;

  ~State() {
    if (socket >= 0) close(socket);  // the script ends when its input does
    if (child > 0) {
      int status = 0;
      for (int i = 0; i < 50; ++i) {
        if (waitpid(child, &status, WNOHANG) != 0) return;
        usleep(20'000);
      }
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
    }
  }

  Status send_line(const json& message) const {
    const std::string text = message.dump() + '\n';
    for (size_t sent = 0; sent < text.size();) {
      const ssize_t n = send(socket, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return broken("the script ended");
      sent += static_cast<size_t>(n);
    }
    return {};
  }

  Result<json> receive_line() {
    for (;;) {
      if (const size_t end = unread.find('\n'); end != std::string::npos) {
        json message = json::parse(std::string_view(unread).substr(0, end), nullptr, /*allow_exceptions=*/false);
        unread.erase(0, end + 1);
        if (!message.is_object()) return broken("the script answered with something that is no JSON object");
        return message;
      }
      pollfd wait{socket, POLLIN, 0};
      const int ready = poll(&wait, 1, kPatienceMs);
      if (ready < 0 && errno == EINTR) continue;
      if (ready == 0) return broken("the script did not answer in time");
      std::array<char, 4096> buffer{};
      const ssize_t n = read(socket, buffer.data(), buffer.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return broken("the script ended");
      unread.append(buffer.data(), static_cast<size_t>(n));
    }
  }
};

Peers::Peers(std::unique_ptr<State> state) : state_(std::move(state)) {}
Peers::Peers(Peers&&) noexcept = default;
Peers& Peers::operator=(Peers&&) noexcept = default;
Peers::~Peers() = default;

const std::vector<std::string>& Peers::names() const { return state_->names; }

Result<Peers> Peers::start() {
  const std::string script = script_path();
  if (script.empty()) return unsupported("bench peers: bench/peers.py is not beside this binary");
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return broken(std::string("no socket: ") + std::strerror(errno));
  const pid_t child = fork();
  if (child < 0) {
    close(ends[0]);
    close(ends[1]);
    return broken(std::string("no process: ") + std::strerror(errno));
  }
  if (child == 0) {
    dup2(ends[1], STDIN_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    execlp("python3", "python3", script.c_str(), "--serve", static_cast<char*>(nullptr));
    _exit(127);
  }
  close(ends[1]);
  auto state = std::make_unique<State>();
  state->child = child;
  state->socket = ends[0];
  const Result<json> hello = state->receive_line();
  if (!hello.ok()) return hello.status();
  for (const json& name : hello->value("peers", json::array()))
    if (name.is_string()) state->names.push_back(name.get<std::string>());
  if (state->names.empty()) return unsupported("bench peers: " + hello->value("reason", std::string("none installed")));
  return Peers(std::move(state));
}

Result<std::vector<Record>> Peers::measure(const Record& subject, double min_time) {
  const json question = {{"problem", subject.problem}, {"threads", subject.threads}, {"min_time", min_time}};
  if (Status status = state_->send_line(question); !status.ok()) return status;
  const Result<json> answer = state_->receive_line();
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
