// SPDX-License-Identifier: Apache-2.0
// Tensor files: what is written comes back, and hostile bytes get a sentence.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "cli/io/npy.hpp"
#include "cli/io/safetensors.hpp"

namespace attend::io {
namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

/// A safetensors file with this header and so many bytes of data.
std::vector<std::byte> safetensors(const std::string& header, size_t data_bytes) {
  std::string text(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(text.data(), &length, 8);
  return bytes_of(text + header + std::string(data_bytes, '\1'));
}

std::vector<std::byte> npy(const std::string& header, size_t data_bytes) {
  const auto length = static_cast<uint16_t>(header.size());
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(length & 0xff);
  text += static_cast<char>(length >> 8);
  return bytes_of(text + header + std::string(data_bytes, '\1'));
}

struct Sample {
  Element element;
  std::vector<int64_t> shape;
};

const Sample kSamples[] = {
    {Element::f32, {3, 5}}, {Element::f16, {1, 7, 2, 3}}, {Element::f32, {}},
    {Element::f16, {0, 4}}, {Element::f32, {1}},
};

std::vector<std::byte> counted(const Sample& sample) {
  std::vector<std::byte> data(static_cast<size_t>(*tensor_bytes("t", sample.element, sample.shape)));
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 7);
  return data;
}

TEST(Npy, arrays_come_back) {
  for (const Sample& sample : kSamples) {
    const std::vector<std::byte> data = counted(sample);
    const auto file = format_npy({sample.element, sample.shape, data});
    ASSERT_TRUE(file.ok()) << file.status().message();
    const auto array = parse_npy(*file);
    ASSERT_TRUE(array.ok()) << array.status().message();
    EXPECT_EQ(array->element, sample.element);
    EXPECT_EQ(array->shape, sample.shape);
    EXPECT_TRUE(std::equal(data.begin(), data.end(), array->data.begin(), array->data.end()));
  }
}

TEST(Safetensors, files_come_back) {
  SafetensorsFile out;
  std::vector<std::vector<std::byte>> data;
  for (const Sample& sample : kSamples) data.push_back(counted(sample));
  for (size_t i = 0; i < data.size(); ++i)
    out.tensors.emplace_back("tensor." + std::to_string(i),
                             TensorView{kSamples[i].element, kSamples[i].shape, data[i]});
  out.metadata["made by"] = "a test \"quoted\"";
  const auto file = format_safetensors(out);
  ASSERT_TRUE(file.ok()) << file.status().message();
  const auto in = parse_safetensors(*file);
  ASSERT_TRUE(in.ok()) << in.status().message();
  EXPECT_EQ(in->metadata, out.metadata);
  ASSERT_EQ(in->tensors.size(), out.tensors.size());
  for (const auto& [name, tensor] : out.tensors) {
    const TensorView* found = in->find(name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(found->shape, tensor.shape);
    EXPECT_EQ(found->element, tensor.element);
    EXPECT_TRUE(std::equal(tensor.data.begin(), tensor.data.end(), found->data.begin(), found->data.end()));
  }
  EXPECT_EQ(in->find("no such"), nullptr);
}

TEST(Safetensors, hostile_files_get_a_sentence) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  ASSERT_TRUE(parse_safetensors(safetensors(good, 8)).ok());
  const std::vector<std::vector<std::byte>> files = {
      {},
      bytes_of("short"),
      safetensors(good, 7),                     // data end too early
      bytes_of(std::string(8, '\xff') + good),  // header longer than any file
      safetensors("", 0),
      safetensors("{", 0),
      safetensors("[]", 0),
      safetensors(std::string(100000, '['), 0),  // nesting
      safetensors(R"({"a":1})", 0),
      safetensors(R"({"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}})", 8),
      safetensors(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8),
      safetensors(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8),
      safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8),
      safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}})", 8),
      safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4611686018427387904]}})", 8),
      safetensors(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,8]}})", 8),
      safetensors(
          R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
          12),
      safetensors(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", 8),
  };
  for (size_t i = 0; i < files.size(); ++i) {
    const auto parsed = parse_safetensors(files[i]);
    ASSERT_FALSE(parsed.ok()) << "file " << i;
    EXPECT_EQ(parsed.status().code(), StatusCode::invalid_argument) << "file " << i;
    EXPECT_GT(parsed.status().message().size(), 10U) << "file " << i;
  }
}

TEST(Npy, hostile_files_get_a_sentence) {
  const auto header = [](const std::string& descr, const std::string& order, const std::string& shape) {
    return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
  };
  ASSERT_TRUE(parse_npy(npy(header("<f4", "False", "(2,)"), 8)).ok());
  const std::vector<std::vector<std::byte>> files = {
      {},
      bytes_of("\x93NUMPX\x01\x00"),
      bytes_of("\x93NUMPY"),
      npy(header("<f4", "False", "(2,)"), 7),
      npy(header("<f4", "True", "(2, 2)"), 16),
      npy(header("|O", "False", "(2,)"), 16),
      npy(header(">f4", "False", "(2,)"), 8),
      npy(header("<f4", "False", "(-2,)"), 8),
      npy(header("<f4", "False", "(4294967296, 4294967296, 4294967296)"), 8),
      npy(header("<f4", "False", "2"), 8),
      npy("{'descr': '<f4'}\n", 8),
      npy("not a dictionary\n", 8),
  };
  for (size_t i = 0; i < files.size(); ++i) {
    const auto parsed = parse_npy(files[i]);
    ASSERT_FALSE(parsed.ok()) << "file " << i;
    EXPECT_GT(parsed.status().message().size(), 10U) << "file " << i;
  }
  EXPECT_NE(parse_npy(npy(header("<f4", "True", "(2, 2)"), 16)).status().message().find("ortran"), std::string::npos);
}

}  // namespace
}  // namespace attend::io
