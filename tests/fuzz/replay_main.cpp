// SPDX-License-Identifier: Apache-2.0
// main() of a fuzz target where there is no libFuzzer: mutates its seeds in a fixed order.
//   <target> [--inputs N] [--seed S]     runs the seeds and then N mutated inputs
//   <target> --write-seeds FOLDER        writes the seeds as files, for libFuzzer to start from
//   <target> FILE...                     runs these inputs, as libFuzzer saves them
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/rng.hpp"
#include "fuzz/target.hpp"

namespace attend::fuzz {
namespace {

constexpr const char* kCrashFile = "fuzz_crash_input";
std::string current;  // what runs: a fatal signal saves it

void save_current(int signal) {
  const int file = ::open(kCrashFile, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  const bool saved = file >= 0 && ::write(file, current.data(), current.size()) == static_cast<ssize_t>(current.size());
  constexpr char kText[] = "the input is in ./fuzz_crash_input\n";
  if (saved && ::write(STDERR_FILENO, kText, sizeof kText - 1) < 0) ::_exit(2);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run_one(const std::string& input) {
  current = input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

/// One, seldom up to four, of: other bytes, digits, bits, numbers at the edges, cuts, repetitions, pieces of another
/// input.
std::string mutated(std::string input, const std::vector<std::string>& all, Rng& rng) {
  const auto below = [&](size_t n) {
    return static_cast<size_t>(rng.below(static_cast<int64_t>(std::max<size_t>(n, 1))));
  };
  for (int64_t round = rng.below(2) * rng.below(4); round >= 0; --round) {
    const size_t at = below(input.size() + 1), length = below(std::min<size_t>(input.size() - at, 32) + 1);
    switch (rng.below(10)) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(rng.next());
        break;
      case 1:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << rng.below(8)));
        break;
      case 2: {
        constexpr int64_t kEdges[] = {0,          1,         -1,        255,      65535, 2147483647, -2147483648LL,
                                      4294967295, INT64_MAX, INT64_MIN, 1LL << 60};
        const int64_t value = kEdges[below(std::size(kEdges))];
        if (input.size() >= 8) std::memcpy(input.data() + std::min(at, input.size() - 8), &value, 8);
        break;
      }
      case 3: {
        const char* const kWords[] = {
            "0", "-1", "9223372036854775807", "9223372036854775808", "1e308", "nan", ",", ":", "&", "=", "\"", "[",
            "{", " "};
        input.insert(at, kWords[below(std::size(kWords))]);
        break;
      }
      case 4: input.erase(at, length); break;
      case 5: input.insert(at, input.substr(below(input.size() + 1), length)); break;
      case 6: {
        const std::string& other = all[below(all.size())];
        input.replace(at, length, other.substr(below(other.size() + 1), below(64)));
        break;
      }
      case 8:
      case 9:  // what is mostly text stays mostly valid
        if (const size_t digit = input.find_first_of("0123456789", at); digit != std::string::npos) {
          input[digit] = static_cast<char>('0' + rng.below(10));
        }
        break;
      case 7: input.resize(at); break;
    }
  }
  return input;
}

int write_seeds(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  const std::vector<std::string> all = seeds();
  for (size_t i = 0; i < all.size(); ++i) {
    std::ofstream file(folder / ("seed" + std::to_string(i)), std::ios::binary);
    file.write(all[i].data(), static_cast<std::streamsize>(all[i].size()));
    if (!file.flush()) {
      std::fprintf(stderr, "cannot write %s\n", folder.c_str());
      return 1;
    }
  }
  return 0;
}

int run_files(const std::vector<std::string>& files) {
  for (const std::string& name : files) {
    std::ifstream file(name, std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "cannot read %s\n", name.c_str());
      return 1;
    }
    run_one({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
  }
  return 0;
}

}  // namespace
}  // namespace attend::fuzz

int main(int argc, char** argv) {
  using namespace attend::fuzz;
  int64_t inputs = 1000;
  uint64_t seed = 1;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--write-seeds" && has_value) return write_seeds(argv[i + 1]);
    if (word == "--inputs" && has_value) {
      inputs = std::atoll(argv[++i]);
    } else if (word == "--seed" && has_value) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else {
      files.push_back(word);
    }
  }
  if (!files.empty()) return run_files(files);
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE}) std::signal(signal, save_current);
  const std::vector<std::string> all = seeds();
  for (const std::string& each : all) run_one(each);
  attend::Rng rng(seed);
  for (int64_t i = 0; i < inputs; ++i) {
    run_one(mutated(all[static_cast<size_t>(rng.below(static_cast<int64_t>(all.size())))], all, rng));
  }
  std::printf("%zu seeds and %lld mutated inputs\n", all.size(), static_cast<long long>(inputs));
  return 0;
}
