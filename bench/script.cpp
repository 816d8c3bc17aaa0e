// SPDX-License-Identifier: Apache-2.0
#include "script.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "record.hpp"

namespace attend::bench {

using nlohmann::json;

namespace {

/// Longer than any case of a suite takes a slow peer.
constexpr int kPatienceMs = 300'000;

Status broken(const std::string& why) { return {StatusCode::device, "bench peers: " + why}; }

/// In a checkout the binary is at build/attend, installed at bin/attend.
std::string path_of(const std::string& name) {
  std::error_code error;
  for (const std::string& folder : likely_folders())
    for (const char* place : {"/", "/../bench/", "/../share/attend/bench/"}) {
      std::string path = folder;
      path.append(place).append(name);
      if (std::filesystem::is_regular_file(path, error)) return path;
    }
  return {};
}

}  // namespace

struct Script::State {
  pid_t child = -1;
  int socket = -1;
  std::string unread;
  json hello;

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

Script::Script(std::unique_ptr<State> state) : state_(std::move(state)) {}
Script::Script(Script&&) noexcept = default;
Script& Script::operator=(Script&&) noexcept = default;
Script::~Script() = default;

const json& Script::hello() const { return state_->hello; }

Result<Script> Script::start(const std::string& name) {
  const std::string script = path_of(name);
  if (script.empty()) return unsupported("bench peers: bench/" + name + " is not beside this binary");
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
  state->hello = *hello;
  return Script(std::move(state));
}

Result<json> Script::ask(const json& question) {
  if (Status status = state_->send_line(question); !status.ok()) return status;
  return state_->receive_line();
}

}  // namespace attend::bench
