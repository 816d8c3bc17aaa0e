// SPDX-License-Identifier: Apache-2.0
#include "cuda/host/driver.hpp"

#include <gtest/gtest.h>

#include "cuda/host/launch_backend.hpp"

namespace {

using attend::StatusCode;
namespace driver = attend::cuda::driver;

TEST(driver, a_missing_library_is_an_error_that_names_it) {
  const auto api = driver::load("libno_such_driver.so.1");
  ASSERT_FALSE(api.ok());
  EXPECT_EQ(api.status().code(), StatusCode::device);
  EXPECT_NE(api.status().message().find("libno_such_driver.so.1"), std::string::npos) << api.status().message();
}

TEST(driver, a_library_that_is_no_driver_is_an_error_that_names_the_function) {
  const auto api = driver::load("libc.so.6");
  ASSERT_FALSE(api.ok());
  EXPECT_EQ(api.status().code(), StatusCode::device);
  EXPECT_NE(api.status().message().find("cuInit"), std::string::npos) << api.status().message();
}

TEST(driver, errors_carry_the_name_and_the_text_of_the_driver) {
  driver::Api api;
  api.error_name = [](driver::Code, const char** name) -> driver::Code { return *name = "CUDA_ERROR_X", 0; };
  api.error_string = [](driver::Code, const char** text) -> driver::Code { return *text = "an x", 0; };
  EXPECT_TRUE(driver::check(api, 0, "cuCall").ok());
  const attend::Status failed = driver::check(api, 719, "cuCall");
  EXPECT_EQ(failed.code(), StatusCode::device);
  EXPECT_EQ(failed.message(), "cuCall: CUDA_ERROR_X (719): an x");
  EXPECT_EQ(driver::check(api, 2, "cuCall").code(), StatusCode::out_of_memory);
}

TEST(driver, backend_exists_or_says_why_not) {
  const auto backend = attend::cuda::make_driver_backend();
  if (backend.ok()) {
    EXPECT_GT((*backend)->facts().multiprocessors, 0);
    return;
  }
  EXPECT_EQ(backend.status().code(), StatusCode::device);
  EXPECT_FALSE(backend.status().message().empty());
}

}  // namespace
