// SPDX-License-Identifier: Apache-2.0
// Copies of boxes of tensors by the asynchronous proxy (PTX ISA 9.7.9 "cp.async.bulk.tensor"). One thread calls.
#pragma once
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
  ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, to, &map,
                            {at.column, at.row, at.head, at.sequence}, &barrier);
}
__device__ inline void tensor_load(void* to, const TensorMap& map, const PackedBoxAt& at, uint64_t& barrier) {
  ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, to, &map,
                            {at.column, at.head, at.row, at.pack, at.sequence}, &barrier);
}
/// What is outside of the tensor is not written. In the thread's group of stores.
__device__ inline void tensor_store(const TensorMap& map, const PackedBoxAt& at, const void* from) {
  ptx::cp_async_bulk_tensor(ptx::space_global, ptx::space_shared, &map,
                            {at.column, at.head, at.row, at.pack, at.sequence}, from);
}
__device__ inline void store_commit() { ptx::cp_async_bulk_commit_group(); }
/// Until the sources of all stores of this thread have been read.
__device__ inline void store_wait_read() { ptx::cp_async_bulk_wait_group_read(ptx::n32_t<0>{}); }
/// Hands what this thread knows to have been written to the asynchronous proxy.
__device__ inline void fence_async_proxy() { ptx::fence_proxy_async(ptx::space_shared); }

}  // namespace attend::cuda::atoms
