// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attend.hpp>
#include <memory>
#include <string>
#include <vector>

#include "stage.hpp"

namespace attend::bench::cuda {

/// A product of two square matrices by cuBLAS on normal numbers, the ceiling of what multiplies. The library is found
/// with dlopen; nothing is linked.
class Product {
 public:
  /// `libraries`: paths to try first. Errors: device, naming what was tried; unsupported for a type of 32 bits.
  static Result<Product> make(const Stage& stage, DType type, const std::vector<std::string>& libraries);
  Product(Product&&) noexcept;
  Product& operator=(Product&&) noexcept;
  ~Product();

  Status run();          ///< into the stage's stream
  double flops() const;  ///< of one run
  std::string name() const;

 private:
  struct State;
  explicit Product(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace attend::bench::cuda
