/* SPDX-License-Identifier: Apache-2.0 */
#include "expect.h"

int failures = 0, checks = 0;

attend_attention_fwd_desc small_desc(void) {
  attend_attention_fwd_desc desc = attend_attention_fwd_desc_init();
  desc.b = 2;
  desc.hq = 4;
  desc.hk = 2;
  desc.sq = 9;
  desc.sk = 13;
  desc.d = 16;
  return desc;
}

int main(void) {
  test_problems();
  test_runs();
  test_devices();
  test_merges();
  test_gradients();
  test_kv_pages();
  test_errors();
  test_versions();
  printf("%d checks, %d failures\n", checks, failures);
  return failures == 0 && checks > 0 ? 0 : 1;
}
