// SPDX-License-Identifier: Apache-2.0
#include "capi/executor.hpp"

#include "capi/structs.hpp"

namespace attend::capi {

Status read_executor(std::string_view operation, const std::string& name, const attend_executor* from, Executor* to) {
  attend_executor executor = attend_executor_init();
  ATTEND_CAPI_TRY(read_struct(operation, name, from, &executor));
  ATTEND_CAPI_TRY(expect_zero(operation, name + ".reserved", executor.reserved, "reserved"));
  if (executor.parallel == nullptr) return refuse_null(operation, name + ".parallel", "a function");
  if (executor.workers < 1) {
    return refuse(operation, name + ".workers", std::to_string(executor.workers), "at least 1");
  }
  to->parallel = executor.parallel;
  to->self = executor.self;
  to->workers = executor.workers;
  return {};
}

}  // namespace attend::capi
