/* SPDX-License-Identifier: Apache-2.0 */
/* Callers that are older or newer than the library: shorter and longer structs. */
#include <stdlib.h>

#include "expect.h"

/* A struct as another version of the header would have it: the known one and some bytes after. */
struct longer_desc {
  attend_attention_fwd_desc known;
  int64_t added[3];
};

static void shorter_input_has_defaults(void) {
  attend_attention_fwd_desc desc = small_desc();
  desc.mask_terms = (const attend_mask_term*)&failures; /* behind the end of what this caller knows */
  desc.mask_count = 1;
  desc.struct_size = offsetof(attend_attention_fwd_desc, mask_terms);
  attend_attention_fwd* problem = NULL;
  EXPECT_OK(attend_attention_fwd_create(&desc, &problem));
  attend_attention_fwd_desc found = attend_attention_fwd_desc_init();
  EXPECT_OK(attend_attention_fwd_describe(problem, &found));
  EXPECT(found.mask_count == 0 && found.b == 2);
  attend_attention_fwd_destroy(problem);

  desc.struct_size = sizeof(size_t); /* no field at all: heads are 0 */
  EXPECT_REFUSED(attend_attention_fwd_create(&desc, &problem), ATTEND_INVALID_ARGUMENT, "hq is 0, expected ");
}

static void longer_input_is_taken_when_zero(void) {
  struct longer_desc longer;
  memset(&longer, 0, sizeof longer);
  longer.known = small_desc();
  longer.known.struct_size = sizeof longer;
  attend_attention_fwd* problem = NULL;
  EXPECT_OK(attend_attention_fwd_create(&longer.known, &problem));
  attend_attention_fwd_destroy(problem);
  longer.added[2] = 1;
  EXPECT_REFUSED(attend_attention_fwd_create(&longer.known, &problem), ATTEND_INVALID_ARGUMENT,
                 "desc.struct_size is 320 with a field set at byte 312, expected ");
  EXPECT(problem == NULL);
}

static void sizes_that_are_none(void) {
  attend_attention_fwd* problem = NULL;
  const size_t sizes[] = {0, 4, 7, sizeof(attend_attention_fwd_desc) + 1, 1 << 20, SIZE_MAX};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    attend_attention_fwd_desc desc = small_desc();
    desc.struct_size = sizes[i];
    EXPECT_REFUSED(attend_attention_fwd_create(&desc, &problem), ATTEND_INVALID_ARGUMENT, "desc.struct_size is ");
    desc.struct_size = sizeof desc;
    EXPECT_OK(attend_attention_fwd_create(&desc, &problem));
    attend_attention_fwd_cost cost = attend_attention_fwd_cost_init();
    cost.struct_size = sizes[i];
    EXPECT_REFUSED(attend_attention_fwd_query_cost(problem, &cost), ATTEND_INVALID_ARGUMENT, "cost.struct_size is ");
    EXPECT(cost.visible_pairs == 0);
    attend_attention_fwd_destroy(problem);
  }
}

static void outputs_fill_what_the_caller_knows(void) {
  attend_attention_fwd_desc desc = small_desc();
  attend_attention_fwd* problem = NULL;
  EXPECT_OK(attend_attention_fwd_create(&desc, &problem));

  attend_attention_fwd_cost shorter = attend_attention_fwd_cost_init();
  shorter.struct_size = offsetof(attend_attention_fwd_cost, bytes);
  shorter.bytes = 7;
  EXPECT_OK(attend_attention_fwd_query_cost(problem, &shorter));
  EXPECT(shorter.struct_size == offsetof(attend_attention_fwd_cost, bytes));
  EXPECT(shorter.visible_pairs == 2 * 4 * 9 * 13 && shorter.bytes == 7);

  struct {
    attend_attention_fwd_cost known;
    int64_t added, behind;
  } longer;
  memset(&longer, 0x55, sizeof longer);
  longer.known.struct_size = sizeof longer.known + sizeof longer.added;
  EXPECT_OK(attend_attention_fwd_query_cost(problem, &longer.known));
  EXPECT(longer.known.struct_size == sizeof longer.known + sizeof longer.added);
  EXPECT(longer.known.visible_pairs == 2 * 4 * 9 * 13);
  EXPECT(longer.added == 0 && longer.behind == 0x5555555555555555);
  attend_attention_fwd_destroy(problem);
}

/* Terms lie struct_size bytes apart: the caller's size, not the library's. */
static void mask_terms_of_another_size(void) {
  struct {
    attend_mask_term known;
    int64_t added;
  } longer[2];
  memset(longer, 0, sizeof longer);
  longer[0].known = attend_mask_window(3, -1);
  longer[1].known = attend_mask_term_init(ATTEND_MASK_CAUSAL);
  longer[0].known.struct_size = longer[1].known.struct_size = sizeof longer[0];
  attend_attention_fwd_desc desc = small_desc();
  desc.mask_terms = &longer[0].known;
  desc.mask_count = 2;
  attend_attention_fwd* problem = NULL;
  EXPECT_OK(attend_attention_fwd_create(&desc, &problem));
  attend_attention_fwd_desc found = attend_attention_fwd_desc_init();
  EXPECT_OK(attend_attention_fwd_describe(problem, &found));
  EXPECT(found.mask_count == 2 && found.mask_terms[0].a == 3 && found.mask_terms[1].kind == ATTEND_MASK_CAUSAL);
  attend_attention_fwd_destroy(problem);
  longer[1].added = 1;
  EXPECT_REFUSED(attend_attention_fwd_create(&desc, &problem), ATTEND_INVALID_ARGUMENT,
                 "desc.mask_terms[1].struct_size is 80 with a field set at byte 72, expected ");
}

/* Options and arguments as they were before devices: what lies behind them is not looked at. */
static void callers_without_devices(void) {
  attend_attention_fwd* problem = NULL;
  attend_attention_fwd_plan* plan = NULL;
  EXPECT_OK(attend_attention_fwd_create_from_text("attention_fwd hq=1 hk=1 sq=1 sk=1 d=4 dtype=f32", &problem));
  attend_plan_options options = attend_plan_options_init();
  options.struct_size = offsetof(attend_plan_options, device);
  options.device = (const attend_device*)&failures;
  EXPECT_OK(attend_attention_fwd_plan_create(problem, &options, &plan));
  const float v[4] = {1, -2, 3, 0.5f};
  float o[4] = {0, 0, 0, 0};
  attend_attention_fwd_args args = attend_attention_fwd_args_init();
  args.struct_size = offsetof(attend_attention_fwd_args, stream);
  args.stream = &failures;
  args.q = args.k = args.v = v;
  args.o = o;
  EXPECT_OK(attend_attention_fwd_run_alloc(plan, &args));
  EXPECT(memcmp(o, v, sizeof v) == 0);
  attend_attention_fwd_plan_destroy(plan);
  attend_attention_fwd_destroy(problem);
}

void test_versions(void) {
  callers_without_devices();
  shorter_input_has_defaults();
  longer_input_is_taken_when_zero();
  sizes_that_are_none();
  outputs_fill_what_the_caller_knows();
  mask_terms_of_another_size();
}
