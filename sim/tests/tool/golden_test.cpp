// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "sim/golden/vectors.hpp"
#include "sim/tool/golden_run.hpp"

namespace ptxsim::golden {
namespace {

std::vector<Vector> few() {
  std::vector<Vector> vectors = make_vectors("permute", 1);
  const std::vector<Vector> maps = make_vectors("tensor_copy", 1);
  vectors.insert(vectors.end(), maps.begin(), maps.end());
  return vectors;
}

TEST(golden, file_holds_what_was_put_in) {
  const std::vector<Vector> vectors = few();
  const std::vector<std::byte> bytes = format_vectors(vectors, "a device");
  const Result<VectorFile> file = parse_vectors(bytes);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->device, "a device");
  ASSERT_EQ(file->vectors.size(), vectors.size());
  for (size_t i = 0; i < vectors.size(); ++i) {
    const Vector &a = vectors[i], &b = file->vectors[i];
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.ptx, b.ptx);
    EXPECT_EQ(a.threads, b.threads);
    EXPECT_EQ(a.in, b.in);
    EXPECT_EQ(a.out, b.out);
    EXPECT_EQ(a.has_map, b.has_map);
    EXPECT_EQ(a.desc.box, b.desc.box);
    EXPECT_EQ(a.desc.swizzle, b.desc.swizzle);
    EXPECT_EQ(a.desc.stride_bytes, b.desc.stride_bytes);
  }
}

TEST(golden, broken_files_are_refused) {
  std::vector<Vector> vectors = make_vectors("permute", 1);
  vectors.resize(1);
  vectors[0].in.resize(64);
  vectors[0].out.resize(64);
  const std::vector<std::byte> bytes = format_vectors(vectors, "d");
  ASSERT_TRUE(parse_vectors(bytes).ok());
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(parse_vectors(std::span(bytes).first(size)).ok()) << "cut off at " << size;
  std::vector<std::byte> longer = bytes;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(parse_vectors(longer).ok());
}

TEST(golden, same_seed_makes_the_same_vectors_and_another_does_not) {
  const std::vector<Vector> a = make_vectors("", 1), b = make_vectors("", 1), c = make_vectors("", 2);
  ASSERT_EQ(a.size(), b.size());
  size_t different = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].ptx, b[i].ptx);
    EXPECT_EQ(a[i].in, b[i].in);
    different += i < c.size() && a[i].in != c[i].in;
  }
  EXPECT_GT(different, a.size() / 2);
}

TEST(golden, differences_are_judged_as_the_vector_says) {
  Vector vector;
  const auto word = [](float value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  };
  vector.out = word(1.0F);
  const std::vector<std::byte> near = word(1.0000002F), far = word(1.1F);  // 2 units, many
  EXPECT_EQ(difference(vector, vector.out), "");
  EXPECT_NE(difference(vector, near), "");
  vector.match = Match::f32_ulp;
  vector.tolerance = 2;
  EXPECT_EQ(difference(vector, near), "");
  EXPECT_NE(difference(vector, far), "");
  vector.tolerance = 1;
  EXPECT_NE(difference(vector, near), "");
  vector.match = Match::f32_near;
  vector.tolerance = 0.2F;
  EXPECT_EQ(difference(vector, far), "");
  EXPECT_NE(difference(vector, {}), "");
}

/// All families run without a hazard under the simulator, whatever the schedule.
TEST(golden, every_family_runs_clean_in_the_simulator) {
  std::set<std::string> families_seen;
  for (const Vector& vector : make_vectors("", 5)) {
    families_seen.insert(vector.name.substr(0, vector.name.find(':')));
    const auto backend = tool::open_backend("simulator", Schedule{.seed = 3});
    ASSERT_TRUE(backend.ok());
    const auto out = tool::run_vector(**backend, vector);
    EXPECT_TRUE(out.ok()) << vector.name << "\n" << out.status().message();
  }
  EXPECT_EQ(families_seen.size(), families().size());
}

/// Recorded under one schedule and replayed under another; then each vector with one bit of its output turned.
TEST(golden, replay_accepts_what_was_recorded_and_catches_one_bit) {
  std::vector<Vector> vectors = make_vectors("", 9);
  for (Vector& vector : vectors) {
    const auto recorder = tool::open_backend("simulator", Schedule{.seed = 1, .async = AsyncPolicy::eager});
    auto out = tool::run_vector(**recorder, vector);
    ASSERT_TRUE(out.ok()) << vector.name << "\n" << out.status().message();
    vector.out = std::move(*out);
  }
  Result<VectorFile> file = parse_vectors(format_vectors(vectors, "a device"));
  ASSERT_TRUE(file.ok()) << file.status().message();
  for (size_t i = 0; i < file->vectors.size(); ++i) {
    Vector& vector = file->vectors[i];
    const auto backend = tool::open_backend("simulator", Schedule{.seed = 2, .async = AsyncPolicy::split});
    const auto out = tool::run_vector(**backend, vector);
    ASSERT_TRUE(out.ok()) << vector.name << "\n" << out.status().message();
    EXPECT_EQ(difference(vector, *out), "") << vector.name;
    vector.match = Match::bits;
    vector.out[(i * 7919) % vector.out.size()] ^= std::byte{static_cast<unsigned char>(1u << (i % 8))};
    EXPECT_NE(difference(vector, *out), "") << vector.name;
  }
}

/// The three models of accumulation differ on the family that asks the device which one it has.
TEST(golden, sums_of_8_bit_products_tell_the_models_apart_within_their_tolerance) {
  for (Vector vector : make_vectors("fp8_sum", 4)) {
    std::vector<std::vector<std::byte>> found;
    for (const Accumulate accumulate : {Accumulate::f64, Accumulate::f32, Accumulate::trunc}) {
      const auto backend = tool::open_backend("simulator", Schedule{.accumulate = accumulate});
      const auto out = tool::run_vector(**backend, vector);
      ASSERT_TRUE(out.ok()) << vector.name << "\n" << out.status().message();
      found.push_back(*out);
    }
    vector.out = found[0];
    EXPECT_EQ(difference(vector, found[1]), "") << vector.name;
    EXPECT_EQ(difference(vector, found[2]), "") << vector.name;
    EXPECT_NE(found[0], found[2]) << vector.name;
    EXPECT_NE(found[1], found[2]) << vector.name;
  }
}

/// What a device gave (files that `ptxsim record` wrote there) is what the simulator gives.
TEST(golden, simulator_gives_what_devices_gave) {
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(PTXSIM_GOLDEN_FOLDER)) {
    if (entry.path().extension() != ".bin") continue;
    ++files;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::vector<char> text{std::istreambuf_iterator<char>(in), {}};
    const Result<VectorFile> file = parse_vectors(std::as_bytes(std::span(text)));
    ASSERT_TRUE(file.ok()) << entry.path() << ": " << file.status().message();
    for (const Vector& vector : file->vectors) {
      const auto backend = tool::open_backend("simulator", {});
      ASSERT_TRUE(backend.ok());
      const auto out = tool::run_vector(**backend, vector);
      ASSERT_TRUE(out.ok()) << vector.name << ": " << out.status().message();
      EXPECT_EQ(difference(vector, *out), "") << entry.path() << ": " << vector.name;
    }
  }
  if (files == 0) GTEST_SKIP() << "no vectors of a device here";
}

}  // namespace
}  // namespace ptxsim::golden
