// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "capi/handles.hpp"
#include "capi/structs.hpp"

using attend::Status;
using attend::capi::refuse;
using attend::capi::refuse_null;

attend_status attend_machine_create(attend_machine** machine) {
  constexpr const char* kOperation = "machine_create";
  if (machine != nullptr) *machine = nullptr;
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (machine == nullptr) return refuse_null(kOperation, "machine", "where to put the handle");
    auto made = std::make_unique<attend_machine>();
    made->info = attend::machine_info();
    *machine = made.release();
    return {};
  });
}

void attend_machine_destroy(attend_machine* machine) { delete machine; }

attend_status attend_machine_query(const attend_machine* machine, attend_machine_info* info) {
  constexpr const char* kOperation = "machine_query";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (machine == nullptr) return refuse_null(kOperation, "machine", "a machine");
    attend_machine_info known = attend_machine_info_init();
    known.cpu = machine->info.cpu.c_str();
    known.vendor = machine->info.vendor.c_str();
    known.l1d_bytes = machine->info.l1d_bytes;
    known.l2_bytes = machine->info.l2_bytes;
    known.l3_bytes = machine->info.l3_bytes;
    known.cores = machine->info.cores;
    known.isa_count = static_cast<int32_t>(machine->info.isas.size());
    return attend::capi::write_struct(kOperation, "info", known, info);
  });
}

attend_status attend_machine_query_isa(const attend_machine* machine, int32_t index, attend_isa_info* isa) {
  constexpr const char* kOperation = "machine_query_isa";
  return attend::capi::guarded(kOperation, [&]() -> Status {
    if (machine == nullptr) return refuse_null(kOperation, "machine", "a machine");
    const auto count = static_cast<int32_t>(machine->info.isas.size());
    if (index < 0 || index >= count) {
      return refuse(kOperation, "index", std::to_string(index), "0 to " + std::to_string(count) + " - 1");
    }
    const attend::IsaInfo& found = machine->info.isas[static_cast<size_t>(index)];
    attend_isa_info known = attend_isa_info_init();
    known.name = found.name.c_str();
    known.reason = found.reason.c_str();
    known.available = found.available ? 1 : 0;
    return attend::capi::write_struct(kOperation, "isa", known, isa);
  });
}
