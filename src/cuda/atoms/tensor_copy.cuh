// SPDX-License-Identifier: Apache-2.0
// Copies of boxes of tensors by the asynchronous proxy (PTX ISA 9.7.9 "cp.async.bulk.tensor"). One thread calls.
#pragma once
#include <cstdint>

#include "cuda/atoms/barrier.cuh"
#include "cuda/atoms/tensor_map.hpp"

namespace attend::cuda::atoms {

/// First element of a box: column, row, head, sequence.
struct BoxAt {
  int column, row, head, sequence;
};

/// The same of a tensor whose heads come in packs: the head in its pack, and which pack.
struct PackedBoxAt {
  int column, head, row, pack, sequence;
};

__device__ inline void prefetch_map(const TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}
/// `barrier` counts the whole box, whatever part of it is inside the tensor; zeros outside.
__device__ inline void tensor_load(void* to, const TensorMap& map, const BoxAt& at, uint64_t& barrier) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4, %5}], "
      "[%6];" ::"r"(shared_address(to)),
      "l"(&map), "r"(at.column), "r"(at.row), "r"(at.head), "r"(at.sequence), "r"(shared_address(&barrier))
      : "memory");
}
__device__ inline void tensor_load(void* to, const TensorMap& map, const PackedBoxAt& at, uint64_t& barrier) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4, %5, "
      "%6}], [%7];" ::"r"(shared_address(to)),
      "l"(&map), "r"(at.column), "r"(at.head), "r"(at.row), "r"(at.pack), "r"(at.sequence),
      "r"(shared_address(&barrier))
      : "memory");
}
/// What is outside of the tensor is not written. In the thread's group of stores.
__device__ inline void tensor_store(const TensorMap& map, const PackedBoxAt& at, const void* from) {
  asm volatile("cp.async.bulk.tensor.5d.global.shared::cta.tile.bulk_group [%0, {%1, %2, %3, %4, %5}], [%6];" ::"l"(
                   &map),
               "r"(at.column), "r"(at.head), "r"(at.row), "r"(at.pack), "r"(at.sequence), "r"(shared_address(from))
               : "memory");
}
__device__ inline void store_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
/// Until the sources of all stores of this thread have been read.
__device__ inline void store_wait_read() { asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory"); }
/// Hands what this thread knows to have been written to the asynchronous proxy.
__device__ inline void fence_async_proxy() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

}  // namespace attend::cuda::atoms
