/* SPDX-License-Identifier: Apache-2.0 */
/* Problems from descriptors and text, their lifetimes and what they say of themselves. */
#include <stdlib.h>

#include "expect.h"

static void text_is_written_like_snprintf(void) {
  attend_attention_fwd_desc desc = small_desc();
  attend_attention_fwd* problem = NULL;
  EXPECT_OK(attend_attention_fwd_create(&desc, &problem));
  size_t length = 0;
  EXPECT_OK(attend_attention_fwd_text(problem, NULL, 0, &length));
  EXPECT(length > 20 && length < 200);
  char whole[256], part[8] = "xxxxxxx";
  EXPECT_OK(attend_attention_fwd_text(problem, whole, sizeof whole, NULL));
  EXPECT(strlen(whole) == length);
  EXPECT(strncmp(whole, "attention_fwd ", 14) == 0);
  size_t same_length = 0;
  EXPECT_OK(attend_attention_fwd_text(problem, part, 5, &same_length));
  EXPECT(same_length == length);
  EXPECT(strcmp(part, "atte") == 0);
  EXPECT(part[5] == 'x'); /* nothing behind `size` is touched */
  EXPECT_OK(attend_attention_fwd_text(problem, part, 0, NULL));
  EXPECT(strcmp(part, "atte") == 0);

  attend_attention_fwd* again = NULL;
  EXPECT_OK(attend_attention_fwd_create_from_text(whole, &again));
  char back[256];
  EXPECT_OK(attend_attention_fwd_text(again, back, sizeof back, NULL));
  EXPECT(strcmp(whole, back) == 0);
  attend_attention_fwd_destroy(again);
  attend_attention_fwd_destroy(problem);
  attend_attention_fwd_destroy(NULL);
}

static void description_gives_every_field_back(void) {
  static const int64_t cu_q[] = {0, 4, 9};
  static const int32_t cu_k[] = {0, 13, 20};
  static const int64_t prefix[] = {3, 1};
  attend_mask_term terms[2];
  terms[0] = attend_mask_window(5, -1);
  terms[1] = attend_mask_with_data(ATTEND_MASK_PREFIX_LM, 0, prefix, 2);
  attend_attention_fwd_desc desc = small_desc();
  desc.sq = 0; /* found: the longest is 5 */
  desc.sk = 13;
  desc.dv = 24;
  desc.q_type = ATTEND_F32;
  desc.k_type = ATTEND_F16;
  desc.v_type = ATTEND_BF16;
  desc.o_type = ATTEND_F16;
  desc.layout = ATTEND_STRIDED;
  desc.q_strides.row = 100;
  desc.q_strides.head = 20;
  desc.k_strides.row = 101;
  desc.k_strides.head = 21;
  desc.v_strides.row = 102;
  desc.v_strides.head = 30;
  desc.o_strides.row = 103;
  desc.o_strides.head = 25;
  desc.has_scale = 1;
  desc.scale = 0.25;
  desc.softcap = 30;
  desc.alibi = 1;
  desc.alibi_per_batch = 1;
  desc.sink = 1;
  desc.lse = 1;
  desc.bias = 1;
  desc.bias_head = 1;
  desc.cu_q = cu_q;
  desc.cu_q_count = 3;
  desc.cu_q_type = ATTEND_INT64;
  desc.cu_k = cu_k;
  desc.cu_k_count = 3;
  desc.mask_terms = terms;
  desc.mask_count = 2;
  attend_attention_fwd* problem = NULL;
  EXPECT_OK(attend_attention_fwd_create(&desc, &problem));

  attend_attention_fwd_desc found = attend_attention_fwd_desc_init();
  EXPECT_OK(attend_attention_fwd_describe(problem, &found));
  EXPECT(found.struct_size == sizeof found);
  EXPECT(found.b == 2 && found.hq == 4 && found.hk == 2 && found.sq == 5 && found.sk == 13 && found.d == 16);
  EXPECT(found.dv == 24);
  EXPECT(found.q_type == ATTEND_F32 && found.k_type == ATTEND_F16);
  EXPECT(found.v_type == ATTEND_BF16 && found.o_type == ATTEND_F16);
  EXPECT(found.layout == ATTEND_STRIDED);
  EXPECT(memcmp(&found.q_strides, &desc.q_strides, 4 * sizeof desc.q_strides) == 0);
  EXPECT(found.has_scale == 1 && found.scale == 0.25 && found.softcap == 30);
  EXPECT(found.alibi == 1 && found.alibi_per_batch == 1 && found.sink == 1 && found.lse == 1);
  EXPECT(found.bias == 1 && found.bias_batch == 0 && found.bias_head == 1 && found.bias_row == 0);
  EXPECT(found.cu_q_count == 3 && found.cu_q_type == ATTEND_INT64);
  EXPECT(found.cu_k_count == 3 && found.cu_k_type == ATTEND_INT32);
  EXPECT(found.cu_q != cu_q && found.cu_k != cu_k); /* copies */
  EXPECT(found.cu_q != NULL && memcmp(found.cu_q, cu_q, sizeof cu_q) == 0);
  EXPECT(found.cu_k != NULL && memcmp(found.cu_k, cu_k, sizeof cu_k) == 0);
  EXPECT(found.mask_count == 2 && found.mask_terms != NULL);
  EXPECT(found.mask_terms[0].kind == ATTEND_MASK_WINDOW && found.mask_terms[0].a == 5 && found.mask_terms[0].b == -1);
  EXPECT(found.mask_terms[1].kind == ATTEND_MASK_PREFIX_LM && found.mask_terms[1].count == 2);
  EXPECT(memcmp(found.mask_terms[1].data, prefix, sizeof prefix) == 0);

  attend_attention_fwd_cost cost = attend_attention_fwd_cost_init();
  EXPECT_OK(attend_attention_fwd_query_cost(problem, &cost));
  EXPECT(cost.visible_pairs > 0 && cost.flops == 2.0 * (double)cost.visible_pairs * (16 + 24));
  EXPECT(cost.lse_elements == 4 * 9 && cost.bias_elements == 4 * 13);
  attend_attention_fwd_destroy(problem);
}

/* Everything the descriptor points to may be gone, and so may the Problem, when the plan runs. */
static void arrays_are_copied(void) {
  int32_t* cu = malloc(3 * sizeof *cu);
  int64_t* end = malloc(2 * sizeof *end);
  attend_mask_term* terms = malloc(sizeof *terms);
  cu[0] = 0;
  cu[1] = 4;
  cu[2] = 9;
  end[0] = 3;
  end[1] = 5;
  terms[0] = attend_mask_with_data(ATTEND_MASK_PADDING, 0, end, 2);
  attend_attention_fwd_desc desc = small_desc();
  desc.sq = desc.sk = 0;
  desc.hq = desc.hk = 1;
  desc.d = 2;
  desc.layout = ATTEND_THD;
  desc.cu_q = desc.cu_k = cu;
  desc.cu_q_count = desc.cu_k_count = 3;
  desc.mask_terms = terms;
  desc.mask_count = 1;
  attend_attention_fwd* problem = NULL;
  EXPECT_OK(attend_attention_fwd_create(&desc, &problem));
  memset(cu, 0x7f, 3 * sizeof *cu);
  memset(end, 0x7f, 2 * sizeof *end);
  memset(terms, 0x7f, sizeof *terms);
  free(cu);
  free(end);
  free(terms);
  attend_attention_fwd_plan* plan = NULL;
  EXPECT_OK(attend_attention_fwd_plan_create(problem, NULL, &plan));
  attend_attention_fwd_destroy(problem);

  float q[9 * 2] = {0}, v[9 * 2], o[9 * 2];
  for (int i = 0; i < 18; ++i) v[i] = (float)i;
  attend_attention_fwd_args args = attend_attention_fwd_args_init();
  args.q = args.k = q;
  args.v = v;
  args.o = o;
  EXPECT_OK(attend_attention_fwd_run_alloc(plan, &args));
  attend_attention_fwd_plan_destroy(plan);
  /* All scores are 0: means of the used values, rows 0 to 2 of the first sequence and 4 to 8 of the second. */
  EXPECT(o[0] > 1.99f && o[0] < 2.01f);
  EXPECT(o[4 * 2] > 11.99f && o[4 * 2] < 12.01f);
}

/* One row, one key, one column of f32: each schedule by hand. */
static void traffic_is_counted(void) {
  attend_attention_fwd* problem = NULL;
  attend_attention_fwd_plan* plan = NULL;
  EXPECT_OK(attend_attention_fwd_create_from_text("attention_fwd hq=1 hk=1 sq=1 sk=1 d=1 dtype=f32", &problem));
  attend_memory_traffic traffic = attend_memory_traffic_init();
  EXPECT_OK(attend_attention_fwd_query_traffic(problem, ATTEND_SCHEDULE_NAIVE, 1024, &traffic));
  EXPECT(traffic.read == 5 * 4 && traffic.written == 3 * 4); /* q k s p v; s p o */
  EXPECT_OK(attend_attention_fwd_query_traffic(problem, ATTEND_SCHEDULE_FLASH_ATTENTION_1, 1024, &traffic));
  EXPECT(traffic.read == 6 * 4 && traffic.written == 6 * 4); /* k v q o l m; o l m twice */
  EXPECT_OK(attend_attention_fwd_plan_create(problem, NULL, &plan));
  EXPECT_OK(attend_attention_fwd_plan_query_traffic(plan, 1 << 20, &traffic));
  EXPECT(traffic.read == 3 * 4 && traffic.written == 4); /* k v q; o */
  EXPECT_REFUSED(attend_attention_fwd_query_traffic(problem, ATTEND_SCHEDULE_NAIVE, 15, &traffic),
                 ATTEND_INVALID_ARGUMENT, "memory_traffic: level_bytes is 15, expected at least 16");
  EXPECT_REFUSED(attend_attention_fwd_query_traffic(problem, 2, 1024, &traffic), ATTEND_INVALID_ARGUMENT,
                 "memory_traffic: schedule is 2, expected 0 (naive) or 1 (flash_attention_1)");
  EXPECT_REFUSED(attend_attention_fwd_plan_query_traffic(plan, INT64_MIN, &traffic), ATTEND_INVALID_ARGUMENT,
                 "memory_traffic: level_bytes is -9223372036854775808, expected at least ");
  EXPECT_REFUSED(attend_attention_fwd_query_traffic(NULL, ATTEND_SCHEDULE_NAIVE, 64, &traffic), ATTEND_INVALID_ARGUMENT,
                 "attention_fwd_query_traffic: problem is NULL");
  EXPECT_REFUSED(attend_attention_fwd_plan_query_traffic(NULL, 64, &traffic), ATTEND_INVALID_ARGUMENT,
                 "attention_fwd_plan_query_traffic: plan is NULL");
  EXPECT_REFUSED(attend_attention_fwd_plan_query_traffic(plan, 1 << 20, NULL), ATTEND_INVALID_ARGUMENT,
                 "attention_fwd_plan_query_traffic: traffic is NULL");
  attend_attention_fwd_plan_destroy(plan);
  attend_attention_fwd_destroy(problem);
}

void test_problems(void) {
  text_is_written_like_snprintf();
  description_gives_every_field_back();
  arrays_are_copied();
  traffic_is_counted();
}
