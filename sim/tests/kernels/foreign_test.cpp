// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <numeric>

#include "sim/tests/kernels/kernels.hpp"

namespace ptxsim::test {
namespace {

using samples = Compiled;
using language = Compiled;
using cccl = Compiled;

Outcome judged(RunReport report, bool right) { return {std::move(report), right}; }

/// |a - b| in units of `ulp` relative to b.
bool near(double a, double b, double ulp) { return std::fabs(a - b) <= ulp * std::max(std::fabs(b), 0x1p-100); }

TEST_F(samples, grid_stride_loop) {
  expect_right("saxpy", [](const std::string& entry, const Schedule& schedule) {
    const std::vector<float> x = random_floats(1000, 1), y = random_floats(1000, 2);
    Device device(schedule);
    const uint64_t x_at = device.upload_new(x), y_at = device.upload_new(y);
    RunReport report = launched(device, kernels("samples"), entry, grid_of(3, 64), arguments(1000, 1.5f, x_at, y_at));
    const std::vector<float> out = device.download_all<float>(y_at, 1000);
    bool right = true;
    for (size_t i = 0; i < 1000; ++i) right = right && out[i] == std::fma(1.5f, x[i], y[i]);
    return judged(std::move(report), right);
  });
}

TEST_F(samples, sums) {
  expect_right("sum_by_tree", [](const std::string& entry, const Schedule& schedule) {
    const std::vector<float> in = quarters(3000, 1);
    Device device(schedule);
    const uint64_t at = device.upload_new(in), out_at = device.upload_new(std::vector<float>{0});
    RunReport report = launched(device, kernels("samples"), entry, grid_of(4, 128, 512), arguments(at, out_at, 3000));
    return judged(std::move(report),
                  device.download_all<float>(out_at, 1)[0] == std::accumulate(in.begin(), in.end(), 0.f));
  });
  expect_right("sum_by_groups", [](const std::string& entry, const Schedule& schedule) {
    std::vector<int> in(3000);
    std::iota(in.begin(), in.end(), -1000);
    Device device(schedule);
    const uint64_t at = device.upload_new(in), out_at = device.upload_new(std::vector<int>{0});
    RunReport report = launched(device, kernels("samples"), entry, grid_of(4, 128), arguments(at, out_at, 3000));
    return judged(std::move(report),
                  device.download_all<int>(out_at, 1)[0] == std::accumulate(in.begin(), in.end(), 0));
  });
}

TEST_F(samples, parts_of_a_warp) {
  expect_right("largest_of_eight", [](const std::string& entry, const Schedule& schedule) {
    const std::vector<float> in = random_floats(128, 3);
    Device device(schedule);
    const uint64_t at = device.upload_new(in), out_at = device.alloc(16 * 4);
    RunReport report = launched(device, kernels("samples"), entry, grid_of(1, 128), arguments(at, out_at));
    const std::vector<float> out = device.download_all<float>(out_at, 16);
    bool right = true;
    for (int i = 0; i < 16; ++i)
      right = right && out[i] == *std::max_element(in.begin() + 8 * i, in.begin() + 8 * i + 8);
    return judged(std::move(report), right);
  });
  expect_right("count_even", [](const std::string& entry, const Schedule& schedule) {
    std::vector<int> in(500);
    for (int i = 0; i < 500; ++i) in[i] = i * i % 7;
    Device device(schedule);
    const uint64_t at = device.upload_new(in), out_at = device.upload_new(std::vector<int>{0});
    RunReport report = launched(device, kernels("samples"), entry, grid_of(1, 96), arguments(at, out_at, 500));
    return judged(std::move(report), device.download_all<int>(out_at, 1)[0] ==
                                         std::count_if(in.begin(), in.end(), [](int v) { return v % 2 == 0; }));
  });
}

TEST_F(samples, histogram) {
  expect_right("histogram", [](const std::string& entry, const Schedule& schedule) {
    std::vector<uint8_t> in(2000);
    std::vector<uint32_t> expected(256, 0);
    for (uint32_t i = 0; i < 2000; ++i) ++expected[in[i] = static_cast<uint8_t>(i * i >> 3)];
    Device device(schedule);
    const uint64_t at = device.upload_new(in), out_at = device.upload_new(std::vector<uint32_t>(256, 0));
    RunReport report = launched(device, kernels("samples"), entry, grid_of(2, 128), arguments(at, out_at, 2000));
    return judged(std::move(report), device.download_all<uint32_t>(out_at, 256) == expected);
  });
}

TEST_F(samples, tiles) {
  expect_right("matrix_product", [](const std::string& entry, const Schedule& schedule) {
    constexpr size_t kSize = 32;
    const std::vector<float> a = quarters(kSize * kSize, 1), b = quarters(kSize * kSize, 2);
    Device device(schedule);
    const uint64_t a_at = device.upload_new(a), b_at = device.upload_new(b), c_at = device.alloc(kSize * kSize * 4);
    LaunchOptions options;
    options.grid = {2, 2, 1};
    options.block = {16, 16, 1};
    RunReport report = launched(device, kernels("samples"), entry, options, arguments(a_at, b_at, c_at, int{kSize}));
    const std::vector<float> c = device.download_all<float>(c_at, kSize * kSize);
    bool right = true;
    for (size_t i = 0; i < kSize * kSize; ++i) {
      float sum = 0;
      for (size_t k = 0; k < kSize; ++k) sum += a[i / kSize * kSize + k] * b[k * kSize + i % kSize];
      right = right && c[i] == sum;
    }
    return judged(std::move(report), right);
  });
  expect_right("transpose", [](const std::string& entry, const Schedule& schedule) {
    std::vector<double> in(20 * 35);
    std::iota(in.begin(), in.end(), 0.25);
    Device device(schedule);
    const uint64_t at = device.upload_new(in), out_at = device.alloc(in.size() * 8);
    LaunchOptions options;
    options.grid = {3, 2, 1};
    options.block = {16, 16, 1};
    RunReport report = launched(device, kernels("samples"), entry, options, arguments(at, out_at, 20, 35));
    const std::vector<double> out = device.download_all<double>(out_at, in.size());
    bool right = true;
    for (size_t i = 0; i < in.size(); ++i) right = right && out[i % 35 * 20 + i / 35] == in[i];
    return judged(std::move(report), right);
  });
}

TEST_F(samples, softmax) {
  expect_right("softmax", [](const std::string& entry, const Schedule& schedule) {
    constexpr size_t kRows = 4, kColumns = 77;
    const std::vector<float> in = random_floats(kRows * kColumns, 4);
    Device device(schedule);
    const uint64_t at = device.upload_new(in), out_at = device.alloc(in.size() * 4);
    RunReport report =
        launched(device, kernels("samples"), entry, grid_of(2, 64), arguments(at, out_at, int{kColumns}));
    const std::vector<float> out = device.download_all<float>(out_at, in.size());
    bool right = true;
    for (size_t row = 0; row < kRows; ++row) {
      double sum = 0;
      for (size_t i = 0; i < kColumns; ++i) sum += std::exp(double{in[row * kColumns + i]});
      for (size_t i = 0; i < kColumns; ++i)  // ex2.approx: 2 units; its argument: |x| log2(e) units
        right = right && near(out[row * kColumns + i], std::exp(double{in[row * kColumns + i]}) / sum, 0x1p-19);
    }
    return judged(std::move(report), right);
  });
}

TEST_F(language, calls_local_arrays_and_tables) {
  expect_right("calls", [](const std::string& entry, const Schedule& schedule) {
    std::vector<int> in(64 + 9);
    for (int i = 0; i < 73; ++i) in[i] = i * 37 % 23 - 8;
    Device device(schedule);
    const uint64_t at = device.upload_new(in), sums_at = device.alloc(64 * 8), means_at = device.alloc(64 * 8),
                   middles_at = device.alloc(64 * 4), choices_at = device.alloc(64 * 4);
    RunReport report = launched(device, kernels("language"), entry, grid_of(1, 64),
                                arguments(at, sums_at, means_at, middles_at, choices_at));
    const auto sums = device.download_all<int64_t>(sums_at, 64);
    const auto means = device.download_all<double>(means_at, 64);
    const auto middles = device.download_all<int>(middles_at, 64);
    const auto choices = device.download_all<float>(choices_at, 64);
    bool right = true;
    for (int i = 0; i < 64; ++i) {
      std::vector<int> window(in.begin() + i, in.begin() + i + 9);
      const int64_t sum = std::accumulate(window.begin(), window.end(), 0);
      std::nth_element(window.begin(), window.begin() + 4, window.end());
      const float x = static_cast<float>(in[i]), y = static_cast<float>(in[i + 1]);
      const float expected[] = {x + y,           x - y, x * y, y - x, x / y, std::max(x, y), std::sqrt(x * x + y * y),
                                x > y ? 1.f : 0, x,     -1.f};
      right = right && sums[i] == sum && means[i] == static_cast<double>(sum) / 9 && middles[i] == window[4] &&
              (choices[i] == expected[i % 10] || (std::isnan(choices[i]) && std::isnan(expected[i % 10])));
    }
    return judged(std::move(report), right);
  });
}

TEST_F(language, memories_and_variables) {
  expect_right("memories", [](const std::string& entry, const Schedule& schedule) {
    const std::vector<float> in = quarters(128, 5);
    Device device(schedule);
    const uint64_t at = device.upload_new(in), out_at = device.alloc(128 * 4);
    RunReport report = launched(device, kernels("language"), entry, grid_of(1, 128, 512), arguments(at, out_at));
    const std::vector<float> out = device.download_all<float>(out_at, 128);
    bool right = true;
    for (size_t i = 0; i < 128; ++i)
      right = right && out[i] == in[127 - i] - in[127 - i] * static_cast<float>((127 - i) % 8 + 1);
    const Result<uint64_t> counter = device.symbol(kernels("language"), "counter");
    EXPECT_TRUE(counter.ok()) << counter.status().message();
    return judged(std::move(report), right && counter.ok() && device.download_all<uint32_t>(*counter, 1)[0] == 5 + 128);
  });
}

TEST_F(language, divisions_become_instructions_or_calls) {
  expect_right("divisions", [](const std::string& entry, const Schedule& schedule) {
    std::vector<int64_t> a, b;
    for (int64_t i = 0; i < 64; ++i) {
      a.push_back((i - 20) * 0x123456789abll * (i % 3 + 1));
      b.push_back(i % 5 == 0 ? 7 + i : (i - 31) * 0x1000003ll + 1);
    }
    Device device(schedule);
    const uint64_t a_at = device.upload_new(a), b_at = device.upload_new(b), q_at = device.alloc(64 * 8),
                   r_at = device.alloc(64 * 8), s_at = device.alloc(64 * 4);
    RunReport report =
        launched(device, kernels("language"), entry, grid_of(1, 64), arguments(a_at, b_at, q_at, r_at, s_at));
    const auto quotients = device.download_all<int64_t>(q_at, 64);
    const auto remainders = device.download_all<uint64_t>(r_at, 64);
    const auto small = device.download_all<int>(s_at, 64);
    bool right = true;
    for (size_t i = 0; i < 64; ++i) {
      const int x = static_cast<int>(a[i]), y = static_cast<int>(b[i]);
      right = right && quotients[i] == a[i] / b[i] &&
              remainders[i] == static_cast<uint64_t>(a[i]) % static_cast<uint64_t>(b[i]) &&
              small[i] == x / (y | 1) + x % 7;
    }
    return judged(std::move(report), right);
  });
}

/// Rows of a table of functions: what the kernel computes of x, what it should be, and its documented error (relative
/// to the larger of result and 1).
struct Function {
  double (*of)(double);
  double error;
};
template <class T, size_t N>
Outcome functions(const std::string& entry, const Schedule& schedule, const Function (&table)[N]) {
  std::vector<T> x;
  for (const float v : random_floats(64, 6)) x.push_back(static_cast<T>(5 * v));
  Device device(schedule);
  const uint64_t at = device.upload_new(x), out_at = device.alloc(N * 64 * sizeof(T));
  Outcome outcome{launched(device, kernels("language"), entry, grid_of(1, 64), arguments(at, out_at)), true};
  const std::vector<T> out = device.download_all<T>(out_at, N * 64);
  for (size_t row = 0; row < N; ++row) {
    for (size_t i = 0; i < 64; ++i) {
      const double expected = table[row].of(static_cast<double>(x[i]));
      const bool right = std::fabs(static_cast<double>(out[row * 64 + i]) - expected) <=
                         table[row].error * std::max(1.0, std::fabs(expected));
      EXPECT_TRUE(right) << entry << " row " << row << " x " << x[i] << ": " << out[row * 64 + i] << ", not "
                         << expected;
      outcome.right = outcome.right && right;
    }
  }
  return outcome;
}

TEST_F(language, functions_of_doubles_and_floats) {
  expect_right("doubles", [](const std::string& entry, const Schedule& schedule) {
    const Function table[] = {{[](double x) { return x / (1 + x * x); }, 0x1p-51},
                              {[](double x) { return std::sqrt(std::fabs(x)); }, 0x1p-52},
                              {[](double x) { return std::exp(x); }, 0x1p-51},
                              {[](double x) { return std::sin(x) + std::cos(x); }, 0x1p-50},
                              {[](double x) { return std::log(std::fabs(x) + 1); }, 0x1p-51}};
    return functions<double>(entry, schedule, table);
  });
  expect_right("floats", [](const std::string& entry, const Schedule& schedule) {
    const Function table[] = {{[](double x) { return std::exp(x); }, 0x1p-22},
                              {[](double x) { return std::log(std::fabs(x) + 1); }, 0x1p-21},
                              {[](double x) { return std::sin(x) * std::cos(x); }, 0x1p-21},
                              {[](double x) { return std::pow(std::fabs(x), 1.5); }, 0x1p-20},
                              {[](double x) { return std::tanh(x); }, 0x1p-22},
                              {[](double x) { return 1 / std::sqrt(std::fabs(x) + 1); }, 0x1p-22},
                              {[](double x) { return x / (std::fabs(x) + 2); }, 0x1p-23},
                              {[](double x) { return std::erf(x); }, 0x1p-22}};
    return functions<float>(entry, schedule, table);
  });
}

/// The nearest number with `bits` bits of mantissa; numbers here are far from the ends of the range.
double rounded(double value, int bits) {
  int power = 0;
  std::frexp(value, &power);
  const double unit = std::ldexp(1.0, power - 1 - bits);
  return value == 0 ? 0 : std::nearbyint(value / unit) * unit;
}

TEST_F(language, halves) {
  expect_right("halves", [](const std::string& entry, const Schedule& schedule) {
    std::vector<float> x = random_floats(64, 7);
    for (float& v : x) v += v < 0 ? -0.5f : 0.5f;
    Device device(schedule);
    const uint64_t at = device.upload_new(x), h_at = device.alloc(64 * 4), b_at = device.alloc(64 * 4),
                   back_at = device.alloc(64 * 8);
    RunReport report = launched(device, kernels("language"), entry, grid_of(1, 32), arguments(at, h_at, b_at, back_at));
    const auto h = device.download_all<uint16_t>(h_at, 128), b = device.download_all<uint16_t>(b_at, 128);
    const auto back = device.download_all<float>(back_at, 128);
    bool right = true;
    for (size_t i = 0; i < 64; ++i) {
      const double half = rounded(x[i], 10), brain = rounded(x[i], 7);
      const double fused_half = rounded(half * half + 0.5, 10), fused_brain = rounded(brain * brain + 0.5, 7);
      right = right && back[i] == fused_half && back[64 + i] == fused_brain &&
              h[i] == small_float(static_cast<float>(fused_half), 5, 10) &&
              h[64 + i] == small_float(static_cast<float>(std::max(half, -2 * half)), 5, 10) &&
              b[i] == small_float(static_cast<float>(fused_brain), 8, 7) &&
              b[64 + i] == small_float(static_cast<float>(rounded(brain - std::min(brain, 1.0), 7)), 8, 7);
    }
    return judged(std::move(report), right);
  });
}

TEST_F(language, eights) {
  expect_right("eights", [](const std::string& entry, const Schedule& schedule) {
    std::vector<float> x = random_floats(64, 8);
    for (float& v : x) v = v < 0 ? v - 0.25f : v + 0.25f;
    x[0] = 1e6f;  // saturates
    Device device(schedule);
    const uint64_t at = device.upload_new(x), e4m3_at = device.alloc(64), e5m2_at = device.alloc(64),
                   back_at = device.alloc(128 * 4);
    RunReport report =
        launched(device, kernels("language"), entry, grid_of(1, 32), arguments(at, e4m3_at, e5m2_at, back_at));
    const auto e4m3 = device.download_all<uint8_t>(e4m3_at, 64), e5m2 = device.download_all<uint8_t>(e5m2_at, 64);
    const auto back = device.download_all<float>(back_at, 128);
    bool right = e4m3[0] == 0x7e && e5m2[0] == 0x7b && back[0] == 448 && back[64] == 57344;
    for (size_t i = 1; i < 64; ++i) {
      const auto as_e4m3 = static_cast<float>(rounded(x[i], 3)), as_e5m2 = static_cast<float>(rounded(x[i], 2));
      right = right && e4m3[i] == small_float(as_e4m3, 4, 3) && e5m2[i] == small_float(as_e5m2, 5, 2) &&
              back[i] == as_e4m3 && back[64 + i] == as_e5m2;
    }
    return judged(std::move(report), right);
  });
}

TEST_F(language, bits) {
  expect_right("bits", [](const std::string& entry, const Schedule& schedule) {
    std::vector<uint32_t> in(64);
    for (uint32_t i = 0; i < 64; ++i) in[i] = (i + 1) * 0x9e3779b9u >> (i % 20);
    Device device(schedule);
    const uint64_t at = device.upload_new(in), out_at = device.alloc(6 * 64 * 4);
    RunReport report = launched(device, kernels("language"), entry, grid_of(1, 64), arguments(at, out_at));
    const auto out = device.download_all<uint32_t>(out_at, 6 * 64);
    bool right = true;
    for (uint32_t i = 0; i < 64; ++i) {
      const uint32_t v = in[i];
      uint32_t reversed = 0, dot = 7;
      for (uint32_t bit = 0; bit < 32; ++bit) reversed |= (v >> bit & 1) << (31 - bit);
      for (uint32_t byte = 0; byte < 4; ++byte) dot += (v >> 8 * byte & 255) * (0x01020304u >> 8 * byte & 255);
      const uint64_t both = uint64_t{~v} << 32 | v;
      uint32_t permuted = 0;
      for (uint32_t byte = 0; byte < 4; ++byte)
        permuted |= static_cast<uint32_t>(both >> 8 * (0x5140u >> 4 * byte & 7) & 255) << 8 * byte;
      // The upper half of v * (2^63 - 1) for 0 <= v < 2^32.
      const auto high = v == 0 ? 0 : static_cast<uint32_t>((v - 1) / 2);
      right = right &&
              out[i] == static_cast<uint32_t>(std::popcount(v) + 100 * std::countl_zero(v) +
                                              10000 * (std::countr_zero(v) + 1)) &&
              out[64 + i] == reversed && out[128 + i] == permuted &&
              out[192 + i] == std::rotl(v, static_cast<int>(i % 32)) && out[256 + i] == dot &&
              out[320 + i] == static_cast<uint32_t>(uint64_t{v} * 0x9e3779b9u >> 32) + high;
    }
    return judged(std::move(report), right);
  });
}

TEST_F(language, exchanges) {
  expect_right("exchanges", [](const std::string& entry, const Schedule& schedule) {
    Device device(schedule);
    const uint64_t largest_at = device.upload_new(std::vector<uint64_t>{0}),
                   tickets_at = device.upload_new(std::vector<uint32_t>{0}),
                   total_at = device.upload_new(std::vector<float>{0}),
                   owner_at = device.upload_new(std::vector<int>{-1});
    RunReport report = launched(device, kernels("language"), entry, grid_of(2, 96),
                                arguments(largest_at, tickets_at, total_at, owner_at));
    const int owner = device.download_all<int>(owner_at, 1)[0];
    return judged(std::move(report), device.download_all<uint64_t>(largest_at, 1)[0] == (1ull << 40 | 95) &&
                                         device.download_all<uint32_t>(tickets_at, 1)[0] == 0 &&
                                         device.download_all<float>(total_at, 1)[0] == 96 && owner >= 0 && owner < 96);
  });
}

TEST_F(language, assertions_end_the_launch) {
  const auto run = [](const std::vector<int>& in) {
    Device device;
    const uint64_t at = device.upload_new(in), out_at = device.alloc(32 * 4);
    return launched(device, kernels("language"), "asserts", grid_of(1, 32), arguments(at, out_at));
  };
  std::vector<int> in(32, 1000);
  EXPECT_TRUE(run(in).clean()) << run(in).text();
  in[5] = -1;
  const RunReport report = run(in);
  EXPECT_TRUE(report.has(HazardId::fault)) << report.text();
  EXPECT_NE(report.text().find("in[threadIdx.x] >= 0"), std::string::npos) << report.text();
}

TEST_F(cccl, barrier) {
  expect_right("barrier_rounds", [](const std::string& entry, const Schedule& schedule) {
    Device device(schedule);
    const uint64_t out_at = device.alloc(128 * 4);
    RunReport report = launched(device, kernels("cccl"), entry, grid_of(1, 128), arguments(out_at, 5));
    const auto out = device.download_all<int>(out_at, 128);
    bool right = true;
    for (int i = 0; i < 128; ++i) right = right && out[i] == (i + 5) % 128 + 5;
    return judged(std::move(report), right);
  });
}

TEST_F(cccl, asynchronous_copies) {
  for (const char* name : {"copies_on_a_barrier", "copies_in_a_pipeline"}) {
    expect_right(name, [](const std::string& entry, const Schedule& schedule) {
      std::vector<std::array<int, 4>> in(5 * 64), expected(5 * 64);
      for (int i = 0; i < 320; ++i) in[i] = {i, 2 * i, 3 * i, 4 * i};
      for (size_t i = 0; i < 320; ++i) expected[i] = in[i / 64 * 64 + 63 - i % 64];
      Device device(schedule);
      const uint64_t at = device.upload_new(in), out_at = device.alloc(320 * 16);
      RunReport report = launched(device, kernels("cccl"), entry, grid_of(1, 64), arguments(out_at, at, 5));
      return judged(std::move(report), device.download_all<std::array<int, 4>>(out_at, 320) == expected);
    });
  }
}

TEST_F(cccl, block_algorithms) {
  expect_right("block_algorithms", [](const std::string& entry, const Schedule& schedule) {
    std::vector<int> in(512);
    std::vector<uint32_t> keys;
    for (int i = 0; i < 512; ++i) {
      in[i] = i * 2357 % 1009;
      keys.push_back(static_cast<uint32_t>(in[i]) * 2654435761u);
    }
    std::sort(keys.begin(), keys.end());
    Device device(schedule);
    const uint64_t at = device.upload_new(in), sum_at = device.alloc(4), largest_at = device.alloc(4),
                   scanned_at = device.alloc(128 * 4), sorted_at = device.alloc(512 * 4);
    RunReport report = launched(device, kernels("cccl"), entry, grid_of(1, 128),
                                arguments(at, sum_at, largest_at, scanned_at, sorted_at));
    std::vector<int> scanned(128);
    std::exclusive_scan(in.begin(), in.begin() + 128, scanned.begin(), 0);
    return judged(std::move(report),
                  device.download_all<int>(sum_at, 1)[0] == scanned[127] + in[127] &&
                      device.download_all<int>(largest_at, 1)[0] == *std::max_element(in.begin(), in.begin() + 128) &&
                      device.download_all<int>(scanned_at, 128) == scanned &&
                      device.download_all<uint32_t>(sorted_at, 512) == keys);
  });
}

TEST_F(cccl, a_lock_in_global_memory) {
  expect_right("locked_sum", [](const std::string& entry, const Schedule& schedule) {
    Schedule together = schedule;
    together.interleave_clusters = true;
    Device device(together);
    const uint64_t value_at = device.upload_new(std::vector<int>{0}), lock_at = device.upload_new(std::vector<int>{0});
    RunReport report = launched(device, kernels("cccl"), entry, grid_of(6, 32), arguments(value_at, lock_at));
    return judged(std::move(report), device.download_all<int>(value_at, 1)[0] == 21);
  });
}

}  // namespace
}  // namespace ptxsim::test
