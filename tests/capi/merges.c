/* SPDX-License-Identifier: Apache-2.0 */
/* Partial results, joined. */
#include <math.h>

#include "expect.h"

static attend_merge_desc desc_of(int64_t rows, int64_t heads, int64_t cols) {
  attend_merge_desc desc = attend_merge_desc_init();
  desc.b = 1;
  desc.rows = rows;
  desc.heads = heads;
  desc.cols = cols;
  return desc;
}

static void joins_by_weight(void) {
  const float a[] = {2, -4, 1, 1}, b[] = {4, 8, 5, 5};
  const float a_lse[] = {1, 7}, b_lse[] = {1, -INFINITY};
  const void* parts[] = {a, b};
  const float* lses[] = {a_lse, b_lse};
  float o[4], lse[2];
  attend_merge_desc desc = desc_of(2, 1, 2);
  EXPECT_OK(attend_merge(&desc, parts, lses, 2, o, lse));
  EXPECT(o[0] == 3 && o[1] == 2 && o[2] == 1 && o[3] == 1);
  EXPECT(fabsf(lse[0] - (1 + logf(2))) < 1e-6f && lse[1] == 7);
  desc.layout = ATTEND_STRIDED; /* the rows of o the other way round */
  desc.part_strides.row = 2;
  desc.o_strides.row = -2;
  desc.threads = 2;
  EXPECT_OK(attend_merge(&desc, parts, lses, 2, o + 2, NULL));
  EXPECT(o[2] == 3 && o[3] == 2 && o[0] == 1 && o[1] == 1);
}

static void joins_ragged_lists(void) {
  const float parts[] = {1, 3, 10, 20, 60}, parts_lse[] = {0, 0, 0, 0, 0};
  const int32_t cu[] = {0, 2, 2, 5};
  float o[3], lse[3];
  attend_merge_desc desc = desc_of(3, 1, 1);
  EXPECT_OK(attend_merge_ragged(&desc, parts, parts_lse, cu, 4, ATTEND_INT32, o, lse));
  EXPECT(o[0] == 2 && o[1] == 0 && fabsf(o[2] - 30) < 1e-5f);
  EXPECT(lse[1] == -INFINITY && fabsf(lse[2] - logf(3)) < 1e-6f);
  EXPECT_REFUSED(attend_merge_ragged(&desc, parts, parts_lse, cu, 3, ATTEND_INT32, o, lse), ATTEND_INVALID_ARGUMENT,
                 "merge_ragged: cu_parts_count is 3, expected 3 + 1 (= desc.rows + 1)");
  EXPECT_REFUSED(attend_merge_ragged(&desc, parts, parts_lse, NULL, 4, ATTEND_INT32, o, lse), ATTEND_INVALID_ARGUMENT,
                 "merge_ragged: cu_parts is NULL");
}

static void says_what_is_wrong(void) {
  const float a[] = {1};
  const void* parts[] = {a};
  const float* lses[] = {NULL};
  float o[1];
  attend_merge_desc desc = desc_of(1, 1, 1);
  EXPECT_REFUSED(attend_merge(NULL, parts, lses, 1, o, NULL), ATTEND_INVALID_ARGUMENT, "merge: desc is NULL");
  EXPECT_REFUSED(attend_merge(&desc, parts, lses, 1, o, NULL), ATTEND_INVALID_ARGUMENT, "merge: parts[0].lse is null");
  EXPECT_REFUSED(attend_merge(&desc, NULL, lses, 1, o, NULL), ATTEND_INVALID_ARGUMENT, "merge: parts is NULL");
  EXPECT_REFUSED(attend_merge(&desc, parts, lses, -1, o, NULL), ATTEND_INVALID_ARGUMENT, "merge: count is -1");
  EXPECT_REFUSED(attend_merge(&desc, parts, NULL, 0, NULL, NULL), ATTEND_INVALID_ARGUMENT, "merge: o.data is null");
  desc.o_type = 7;
  EXPECT_REFUSED(attend_merge(&desc, parts, lses, 1, o, NULL), ATTEND_INVALID_ARGUMENT, "merge: desc.o_type is 7");
  desc = desc_of(1, 1, 1);
  desc.layout = ATTEND_THD;
  EXPECT_REFUSED(attend_merge(&desc, parts, lses, 1, o, NULL), ATTEND_INVALID_ARGUMENT, "merge: desc.layout is 2");
  desc = desc_of(INT64_MAX, 2, 2);
  EXPECT_REFUSED(attend_merge(&desc, parts, lses, 1, o, NULL), ATTEND_INVALID_ARGUMENT, "merge: desc.rows is");
  desc = desc_of(1, -1, 1);
  EXPECT_REFUSED(attend_merge(&desc, parts, lses, 1, o, NULL), ATTEND_INVALID_ARGUMENT, "merge: desc.heads is -1");
  desc = desc_of(1, 1, 1);
  desc.threads = -4;
  EXPECT_REFUSED(attend_merge(&desc, NULL, NULL, 0, o, NULL), ATTEND_INVALID_ARGUMENT, "merge: options.threads is -4");
}

void test_merges(void) {
  joins_by_weight();
  joins_ragged_lists();
  says_what_is_wrong();
}
