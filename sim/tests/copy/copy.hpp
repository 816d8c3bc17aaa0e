// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <numeric>
#include <string>
#include <vector>

#include "sim/tests/sync/sync.hpp"

// What tests of copies share: a tile in shared memory, an mbarrier, and text that shows the tile.
namespace ptxsim::test {

inline std::string tile_of(size_t bytes) {
  return ".shared .align 1024 .b8 tile[" + std::to_string(bytes) + "];\n.shared .align 8 .b64 full;\n";
}

/// Registers %s (the tile), %b (the mbarrier), %p: thread 0; the mbarrier awaits one arrival.
inline const std::string kBegin = R"(
  .reg .b32 %s, %b, %v, %i;
  .reg .b64 %g, %state;
  .reg .pred %p;
  mov.u32 %s, tile;
  mov.u32 %b, full;
  setp.eq.u32 %p, %tid1, 0;
  @%p mbarrier.init.shared.b64 [%b], 1;
  bar.sync 0;
)";

/// Threads store the tile's words to `out`, one by one.
inline std::string show(size_t words, uint32_t threads) {
  return R"({ .reg .b32 %word, %at, %value; .reg .b64 %to; .reg .pred %end;
  mov.u32 %word, %tid1;
NEXT:
  setp.ge.u32 %end, %word, )" +
         std::to_string(words) + R"(;
  @%end bra DONE;
  shl.b32 %at, %word, 2;
  add.u32 %at, %at, %s;
  ld.shared.u32 %value, [%at];
  mul.wide.u32 %to, %word, 4;
  add.u64 %to, %to, %rd_out;
  st.global.u32 [%to], %value;
  add.u32 %word, %word, )" +
         std::to_string(threads) + R"(;
  bra NEXT;
DONE: }
)";
}

/// tile[word] = in[word], one by one; a fence hands it to the asynchronous proxy, a barrier to the other threads.
inline std::string fill(size_t words, uint32_t threads) {
  return R"({ .reg .b32 %word, %at, %value; .reg .b64 %from; .reg .pred %end;
  mov.u32 %word, %tid1;
NEXT:
  setp.ge.u32 %end, %word, )" +
         std::to_string(words) + R"(;
  @%end bra DONE;
  shl.b32 %at, %word, 2;
  add.u32 %at, %at, %s;
  mul.wide.u32 %from, %word, 4;
  add.u64 %from, %from, %rd_in;
  ld.global.u32 %value, [%from];
  st.shared.u32 [%at], %value;
  add.u32 %word, %word, )" +
         std::to_string(threads) + R"(;
  bra NEXT;
DONE: }
  fence.proxy.async;
  bar.sync 0;
)";
}

inline std::vector<uint32_t> counting(size_t words, uint32_t first = 1) {
  std::vector<uint32_t> values(words);
  std::iota(values.begin(), values.end(), first);
  return values;
}

/// The launch is refused, or ends, with the hazard.
inline void expect_hazard(HazardId id, const Module& module, size_t words, const std::vector<uint32_t>& in,
                          uint32_t threads = 32) {
  expect_always(id, module, block_of(threads), words, 5, in);
}

/// Text that the parser must refuse.
inline void expect_refused(const std::string& instruction) {
  const std::string text =
      ".version 8.7\n.target sm_90a\n.address_size 64\n.visible .entry k()\n{\n.reg .b32 %r<9>; .reg .b64 %d<9>; "
      ".reg .b16 %h<4>; .reg .pred %p;\n" +
      instruction + "\nret;\n}\n";
  EXPECT_FALSE(Module::parse(text).ok()) << instruction;
}

}  // namespace ptxsim::test
