// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <attend/attention.hpp>
#include <cstdint>

namespace attend {

/// Bytes of one row of each tensor, of one head; of keys and values in a cache with their scales.
struct RowBytes {
  explicit RowBytes(const AttentionFwd& p)
      : q(p.d * dtype_bytes(p.q_type)),
        k(key(p.k_format(), p.k_type, p.d)),
        v(key(p.v_format(), p.v_type, p.dv)),
        o(p.dv * dtype_bytes(p.o_type)),
        lse(p.lse ? 4 : 0) {}

  int64_t q, k, v, o;
  int64_t lse;  ///< 0 when it is not asked for

 private:
  static int64_t key(KvFormat format, DType type, int64_t columns) {
    const KvFormatRow row = kv_format_row(format);
    const int64_t scales = row.scales == KvScales::channel ? 0 : kv_row_scales(format, columns);
    return kv_bytes(format, type, kv_row_elements(format, columns)) + scales * dtype_bytes(row.scale_type);
  }
};

}  // namespace attend
