// SPDX-License-Identifier: Apache-2.0
#include "file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <new>

namespace attend::io {
namespace {

/// Closes a descriptor at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  /// False when the kernel reports an error of an earlier write only now.
  bool close() {
    const int fd = fd_;
    fd_ = -1;
    return ::close(fd) == 0;
  }

 private:
  int fd_;
};

std::string reason() { return std::strerror(errno); }

bool write_all(int fd, std::span<const std::byte> content) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    content = content.subspan(static_cast<size_t>(n));
  }
  return true;
}

Status failure(const std::string& path, const std::string& what) {
  return {StatusCode::internal, "cannot write " + path + ": " + what};
}

}  // namespace

Result<std::vector<std::byte>> read_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return invalid_argument("cannot open " + path + ": " + reason());
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0) return invalid_argument("cannot read " + path + ": " + reason());
  if (S_ISDIR(facts.st_mode)) return invalid_argument("cannot read " + path + ": it is a folder");
  std::vector<std::byte> content;
  try {
    size_t filled = 0;
    content.resize(static_cast<size_t>(facts.st_size) +
                   1);  // one more, so that a full read ends the loop without growing
    while (true) {
      const ssize_t n = ::read(file.get(), content.data() + filled, content.size() - filled);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return invalid_argument("cannot read " + path + ": " + reason());
      if (n == 0) break;
      filled += static_cast<size_t>(n);
      if (filled == content.size()) content.resize(2 * filled);  // a pipe, or a file that grows
    }
    content.resize(filled);
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::out_of_memory, "cannot read " + path + ": it does not fit into memory");
  }
  return content;
}

Status write_file_atomically(const std::string& path, std::span<const std::byte> content) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) == 0 && !S_ISREG(facts.st_mode)) {
    if (S_ISDIR(facts.st_mode)) return failure(path, "it is a folder");
    Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (file.get() < 0 || !write_all(file.get(), content) || !file.close()) return failure(path, reason());
    return {};
  }
  std::string temporary = path + ".XXXXXX";
  Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (file.get() < 0) return failure(path, reason());
  const mode_t mask = ::umask(0);
  ::umask(mask);
  const bool written = ::fchmod(file.get(), 0666 & ~mask) == 0 && write_all(file.get(), content) &&
                       ::fsync(file.get()) == 0 && file.close() && ::rename(temporary.c_str(), path.c_str()) == 0;
  if (written) return {};
  const std::string why = reason();
  ::unlink(temporary.c_str());
  return failure(path, why);
}

Status write_file_atomically(const std::string& path, std::string_view content) {
  return write_file_atomically(path, std::as_bytes(std::span(content.data(), content.size())));
}

}  // namespace attend::io
