/* SPDX-License-Identifier: Apache-2.0 */
/* Every refusal names operation, argument, found and expected; each thread has its own last error. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "expect.h"

/* Creation must fail, say why, and leave no handle. */
#define EXPECT_NO_PROBLEM(desc, text)                                                             \
  do {                                                                                            \
    attend_attention_fwd* none_ = (attend_attention_fwd*)&failures;                               \
    EXPECT_REFUSED(attend_attention_fwd_create((desc), &none_), ATTEND_INVALID_ARGUMENT, (text)); \
    EXPECT(none_ == NULL);                                                                        \
  } while (0)

static void names_of_numbers(void) {
  EXPECT(strcmp(attend_status_string(ATTEND_OK), "ok") == 0);
  EXPECT(strcmp(attend_status_string(ATTEND_INVALID_ARGUMENT), "invalid_argument") == 0);
  EXPECT(strcmp(attend_status_string(ATTEND_INTERNAL), "internal") == 0);
  EXPECT(strcmp(attend_status_string(6), "?") == 0);
  EXPECT(strcmp(attend_status_string(-1), "?") == 0);
  EXPECT(strcmp(attend_dtype_name(ATTEND_BF16), "bf16") == 0 && attend_dtype_bytes(ATTEND_BF16) == 2);
  EXPECT(strcmp(attend_dtype_name(77), "?") == 0 && attend_dtype_bytes(77) == 0);
  EXPECT(strcmp(attend_mask_name(ATTEND_MASK_CAUSAL), "causal") == 0);
  EXPECT(strcmp(attend_mask_name(ATTEND_MASK_DENSE), "dense") == 0);
  EXPECT(strcmp(attend_mask_name(1000), "?") == 0 && strcmp(attend_mask_name(-1), "?") == 0);
  EXPECT(attend_version() == ATTEND_VERSION);
  char version[32];
  snprintf(version, sizeof version, "%d.%d.%d", ATTEND_VERSION_MAJOR, ATTEND_VERSION_MINOR, ATTEND_VERSION_PATCH);
  EXPECT(strcmp(attend_version_string(), version) == 0);
  EXPECT(strstr(attend_build_info(), version) != NULL);
}

static void null_pointers(void) {
  attend_attention_fwd_desc desc = small_desc();
  attend_attention_fwd* problem = NULL;
  attend_attention_fwd_plan* plan = NULL;
  const char* create = "attention_fwd_create: problem is NULL, expected ";
  EXPECT_REFUSED(attend_attention_fwd_create(&desc, NULL), ATTEND_INVALID_ARGUMENT, create);
  EXPECT_NO_PROBLEM(NULL, "attention_fwd_create: desc is NULL, expected ");
  EXPECT_REFUSED(attend_attention_fwd_create_from_text(NULL, &problem), ATTEND_INVALID_ARGUMENT,
                 "text is NULL, expected ");
  EXPECT_REFUSED(attend_attention_fwd_create_from_text("x", NULL), ATTEND_INVALID_ARGUMENT,
                 "problem is NULL, expected ");
  EXPECT_REFUSED(attend_attention_fwd_plan_create(NULL, NULL, &plan), ATTEND_INVALID_ARGUMENT,
                 "problem is NULL, expected ");
  EXPECT(plan == NULL);
  EXPECT_OK(attend_attention_fwd_create(&desc, &problem));
  EXPECT_REFUSED(attend_attention_fwd_plan_create(problem, NULL, NULL), ATTEND_INVALID_ARGUMENT,
                 "plan is NULL, expected ");
  EXPECT_REFUSED(attend_attention_fwd_text(NULL, NULL, 0, NULL), ATTEND_INVALID_ARGUMENT, "problem is NULL, expected ");
  EXPECT_REFUSED(attend_attention_fwd_text(problem, NULL, 4, NULL), ATTEND_INVALID_ARGUMENT,
                 "buffer is NULL, expected ");
  EXPECT_REFUSED(attend_attention_fwd_describe(NULL, &desc), ATTEND_INVALID_ARGUMENT, "problem is NULL, expected ");
  EXPECT_REFUSED(attend_attention_fwd_describe(problem, NULL), ATTEND_INVALID_ARGUMENT, "desc is NULL, expected ");
  EXPECT_REFUSED(attend_attention_fwd_query_cost(problem, NULL), ATTEND_INVALID_ARGUMENT, "cost is NULL, expected ");
  attend_attention_fwd_cost cost = attend_attention_fwd_cost_init();
  EXPECT_REFUSED(attend_attention_fwd_query_cost(NULL, &cost), ATTEND_INVALID_ARGUMENT, "problem is NULL, expected ");

  EXPECT_OK(attend_attention_fwd_plan_create(problem, NULL, &plan));
  attend_plan_info info = attend_plan_info_init();
  attend_candidate candidate = attend_candidate_init();
  attend_attention_fwd_args args = attend_attention_fwd_args_init();
  EXPECT_REFUSED(attend_attention_fwd_plan_query(NULL, &info), ATTEND_INVALID_ARGUMENT, "plan is NULL, expected ");
  EXPECT_REFUSED(attend_attention_fwd_plan_query(plan, NULL), ATTEND_INVALID_ARGUMENT, "info is NULL, expected ");
  EXPECT_REFUSED(attend_attention_fwd_plan_candidate(NULL, 0, &candidate), ATTEND_INVALID_ARGUMENT, "plan is NULL");
  EXPECT_REFUSED(attend_attention_fwd_plan_candidate(plan, 0, NULL), ATTEND_INVALID_ARGUMENT, "candidate is NULL");
  EXPECT_REFUSED(attend_attention_fwd_plan_candidate(plan, -1, &candidate), ATTEND_INVALID_ARGUMENT, "index is -1");
  EXPECT_REFUSED(attend_attention_fwd_plan_explain(NULL, NULL, 0, NULL), ATTEND_INVALID_ARGUMENT, "plan is NULL");
  EXPECT_REFUSED(attend_attention_fwd_plan_explain(plan, NULL, 9, NULL), ATTEND_INVALID_ARGUMENT, "buffer is NULL");
  EXPECT_REFUSED(attend_attention_fwd_run(NULL, &args, NULL, 0), ATTEND_INVALID_ARGUMENT,
                 "attention_fwd_run: plan is NULL");
  EXPECT_REFUSED(attend_attention_fwd_run(plan, NULL, NULL, 0), ATTEND_INVALID_ARGUMENT,
                 "attention_fwd_run: args is NULL");
  EXPECT_REFUSED(attend_attention_fwd_run_alloc(NULL, &args), ATTEND_INVALID_ARGUMENT, "plan is NULL, expected ");
  EXPECT_REFUSED(attend_attention_fwd_run_alloc(plan, NULL), ATTEND_INVALID_ARGUMENT, "args is NULL, expected ");

  EXPECT_REFUSED(attend_machine_create(NULL), ATTEND_INVALID_ARGUMENT, "machine_create: machine is NULL");
  EXPECT_REFUSED(attend_machine_query(NULL, NULL), ATTEND_INVALID_ARGUMENT, "machine_query: machine is NULL");
  EXPECT_REFUSED(attend_machine_query_isa(NULL, 0, NULL), ATTEND_INVALID_ARGUMENT,
                 "machine_query_isa: machine is NULL");
  EXPECT_REFUSED(attend_lse_natural_to_base2(NULL, NULL, 3), ATTEND_INVALID_ARGUMENT, "in is NULL, expected 3 floats");
  float one = 1;
  EXPECT_REFUSED(attend_lse_base2_to_natural(&one, NULL, 1), ATTEND_INVALID_ARGUMENT, "out is NULL, expected 1 floats");
  attend_attention_fwd_plan_destroy(plan);
  attend_attention_fwd_destroy(problem);
}

static void run_names_missing_memory(void) {
  static float memory[2 * 13 * 4 * 16], side[1024];
  attend_attention_fwd_desc desc = small_desc();
  desc.lse = desc.alibi = desc.bias = desc.sink = 1;
  attend_attention_fwd* problem = NULL;
  attend_attention_fwd_plan* plan = NULL;
  EXPECT_OK(attend_attention_fwd_create(&desc, &problem));
  EXPECT_OK(attend_attention_fwd_plan_create(problem, NULL, &plan));
  attend_plan_info info = attend_plan_info_init();
  EXPECT_OK(attend_attention_fwd_plan_query(plan, &info));
  void* workspace = malloc(info.workspace_bytes + 1);
  attend_attention_fwd_args whole = attend_attention_fwd_args_init();
  whole.q = whole.k = whole.v = memory;
  whole.o = side; /* never written: every call here fails */
  whole.lse = side;
  whole.alibi_slopes = whole.bias = whole.sink = side;
  const char* names[] = {"args.q",    "args.k",   "args.v", "args.o", "args.lse", "args.alibi_slopes",
                         "args.bias", "args.sink"};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    attend_attention_fwd_args args = whole;
    void* null = NULL;
    memcpy((unsigned char*)&args + sizeof(size_t) + i * sizeof(void*), &null, sizeof null);
    char text[64];
    snprintf(text, sizeof text, "attention_fwd_run: %s is NULL, expected ", names[i]);
    EXPECT_REFUSED(attend_attention_fwd_run(plan, &args, workspace, info.workspace_bytes), ATTEND_INVALID_ARGUMENT,
                   text);
  }
  if (info.workspace_bytes > 0) {
    EXPECT_REFUSED(attend_attention_fwd_run(plan, &whole, NULL, info.workspace_bytes), ATTEND_INVALID_ARGUMENT,
                   "attention_fwd_run: workspace is NULL, expected ");
    EXPECT_REFUSED(attend_attention_fwd_run(plan, &whole, workspace, info.workspace_bytes - 1), ATTEND_INVALID_ARGUMENT,
                   "attention_fwd_run: workspace_bytes is ");
  }
  EXPECT(side[0] == 0);
  free(workspace);
  attend_attention_fwd_plan_destroy(plan);
  attend_attention_fwd_destroy(problem);
}

static void descriptors_that_contradict_themselves(void) {
  static const int32_t cu[] = {0, 4, 9}, falling[] = {0, 5, 4};
  attend_attention_fwd_desc desc;
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.hq = 3, &desc), "hq is 3, expected ");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.b = -1, &desc), "b is -1, expected ");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.d = 513, &desc), "d is 513, expected ");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.sq = INT64_MAX, &desc), "expected ");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.q_type = 1000, &desc), "desc.q_type is 1000, expected ");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.o_type = -1, &desc), "desc.o_type is -1, expected ");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.layout = 3, &desc), "desc.layout is 3, expected ");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.o_strides.row = 5, &desc), "desc.o_strides.row is 5, expected 0");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.layout = ATTEND_STRIDED, &desc), "o_strides is ");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.scale = 1, &desc),
                    "desc.scale is 1.000000, expected 0 (has_scale is 0)");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.has_scale = 2, &desc), "desc.has_scale is 2, expected 0 or 1");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.has_scale = 1, desc.scale = NAN, &desc), "scale is nan, expected ");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.softcap = -1, &desc), "softcap is -1, expected ");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.lse = -1, &desc), "desc.lse is -1, expected 0 or 1");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.bias_row = 1, &desc), "desc.bias_row is 1, expected 0 (bias is 0)");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.alibi_per_batch = 1, &desc), "alibi_per_batch is ");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.cu_q_count = 3, &desc), "desc.cu_q_count is 3, expected 0");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.cu_k = cu, desc.cu_k_count = 2, &desc),
                    "desc.cu_k_count is 2, expected 2 + 1");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.cu_k = cu, desc.cu_k_count = INT64_MIN, &desc), "desc.cu_k_count is -");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.cu_k = cu, desc.cu_k_count = 3, desc.cu_k_type = 2, &desc),
                    "desc.cu_k_type is 2, expected ");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.sk = 0, desc.cu_k = falling, desc.cu_k_count = 3, &desc),
                    "cu_k[2] is 4, expected ");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.mask_count = 1, &desc), "desc.mask_terms is NULL, expected 1 terms");
  EXPECT_NO_PROBLEM((desc = small_desc(), desc.mask_count = -1, &desc), "desc.mask_count is -1, expected ");

  attend_attention_fwd* problem = NULL;
  EXPECT_REFUSED(attend_attention_fwd_create_from_text("attention_fwd b=1 colour=red", &problem),
                 ATTEND_INVALID_ARGUMENT, "colour");
}

static void masks_that_contradict_themselves(void) {
  static const int64_t numbers[] = {0, 4, 9};
  attend_mask_term terms[2];
  attend_attention_fwd_desc desc = small_desc();
  desc.mask_terms = terms;
  desc.mask_count = 2;
  terms[0] = attend_mask_window(4, 0);
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_term_init(1000), &desc),
                    "desc.mask_terms[1].kind is 1000, expected one of 0 (causal), ");
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_term_init(-1), &desc), "desc.mask_terms[1].kind is -1");
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_term_init(ATTEND_MASK_CAUSAL), terms[1].a = 5, &desc),
                    "desc.mask_terms[1].a is 5, expected 0 (not a field of causal)");
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_window(1, 1), terms[1].data = numbers, &desc),
                    "desc.mask_terms[1].data is a pointer, expected NULL (not a field of window)");
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_window(1, 1), terms[1].reserved = 1, &desc), "[1].reserved is 1");
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_window(-2, 1), &desc), "window");
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_with_data(ATTEND_MASK_CHUNK, 0, NULL, 0), &desc), "chunk");
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_with_data(ATTEND_MASK_PADDING, 0, NULL, 2), &desc),
                    "desc.mask_terms[1].data is NULL, expected 2 values of type int64_t");
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_with_data(ATTEND_MASK_PADDING, 0, numbers, -3), &desc),
                    "count is -3, expected ");
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_with_data(ATTEND_MASK_PADDING, 0, numbers, INT64_MAX), &desc), "count is ");
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_with_data(ATTEND_MASK_PADDING, 0, numbers, 3), &desc), "padding");
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_with_data(ATTEND_MASK_DENSE, 0, numbers, 3), &desc), "dense");
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_with_data(ATTEND_MASK_DENSE, 0, numbers, 3), terms[1].per_head = 7, &desc),
                    "desc.mask_terms[1].per_head is 7, expected 0 or 1");
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_with_data(ATTEND_MASK_TREE, 64, numbers, 3), &desc), "tree");
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_with_data(ATTEND_MASK_BLOCK_SPARSE, 0, numbers, 3), &desc), "block_sparse");
  EXPECT_NO_PROBLEM((terms[1] = attend_mask_window(1, 1), terms[1].struct_size -= 8, &desc),
                    "desc.mask_terms[1].struct_size is 64, expected 72, as the first term's");
}

static void bad_options(void) {
  attend_attention_fwd_desc desc = small_desc();
  attend_attention_fwd* problem = NULL;
  attend_attention_fwd_plan* plan = NULL;
  EXPECT_OK(attend_attention_fwd_create(&desc, &problem));
  attend_plan_options options = attend_plan_options_init();
  attend_executor executor = attend_executor_init();
  options.threads = -1;
  EXPECT_REFUSED(attend_attention_fwd_plan_create(problem, &options, &plan), ATTEND_INVALID_ARGUMENT,
                 "attention_fwd_plan_create: options.threads is -1, expected ");
  options.threads = 0;
  options.executor = &executor;
  EXPECT_REFUSED(attend_attention_fwd_plan_create(problem, &options, &plan), ATTEND_INVALID_ARGUMENT,
                 "options.executor.parallel is NULL, expected a function");
  options.executor = NULL;
  options.kernel = "attention_fwd.abacus.f32";
  EXPECT(attend_attention_fwd_plan_create(problem, &options, &plan) != ATTEND_OK);
  EXPECT(strstr(attend_last_error_message(), "attention_fwd.abacus.f32") != NULL);
  EXPECT(plan == NULL);
  attend_attention_fwd_destroy(problem);
}

static void one_call_refuses(void) {
  static float t[16];
  EXPECT_REFUSED(attend_attention(NULL, t, t, t, NULL, ATTEND_F32, ATTEND_BSHD, 1, 1, 1, 1, 1, 16, 0, 0, -1, -1, 0),
                 ATTEND_INVALID_ARGUMENT, "attention: args.q is NULL, expected ");
  EXPECT_REFUSED(attend_attention(t, t, t, t, NULL, 9, ATTEND_BSHD, 1, 1, 1, 1, 1, 16, 0, 0, -1, -1, 0),
                 ATTEND_INVALID_ARGUMENT, "attention: dtype is 9, expected ");
  EXPECT_REFUSED(attend_attention(t, t, t, t, NULL, ATTEND_F32, ATTEND_THD, 1, 1, 1, 1, 1, 16, 0, 0, -1, -1, 0),
                 ATTEND_INVALID_ARGUMENT, "attention: layout is 2, expected ");
  EXPECT_REFUSED(attend_attention(t, t, t, t, NULL, ATTEND_F32, ATTEND_BSHD, 1, 1, 1, 1, 1, 16, 0, 5, -1, -1, 0),
                 ATTEND_INVALID_ARGUMENT, "attention: causal is 5, expected 0 or 1");
  EXPECT_REFUSED(attend_attention(t, t, t, t, NULL, ATTEND_F32, ATTEND_BSHD, 1, 1, 1, 1, 1, 0, 0, 0, -1, -1, 0),
                 ATTEND_INVALID_ARGUMENT, "d is 0, expected ");
  EXPECT_REFUSED(attend_attention(t, t, t, t, NULL, ATTEND_F32, ATTEND_BSHD, 1, 1, 1, 1, 1, 16, 0, 0, -7, -1, 0),
                 ATTEND_INVALID_ARGUMENT, "-7");
}

static void* fail_elsewhere(void* first_message) {
  strncpy(first_message, attend_last_error_message(), 63);
  for (int i = 0; i < 1000; ++i) {
    if (attend_machine_create(NULL) != ATTEND_INVALID_ARGUMENT) return NULL;
    if (strcmp(attend_last_error_message(), "machine_create: machine is NULL, expected where to put the handle") != 0) {
      return NULL;
    }
  }
  return first_message;
}

static void each_thread_has_its_own_error(void) {
  char first[2][64] = {"not looked at", "not looked at"};
  pthread_t threads[2];
  EXPECT(attend_attention_fwd_plan_create(NULL, NULL, NULL) == ATTEND_INVALID_ARGUMENT);
  char here[256];
  snprintf(here, sizeof here, "%s", attend_last_error_message());
  for (int i = 0; i < 2; ++i) EXPECT(pthread_create(&threads[i], NULL, fail_elsewhere, first[i]) == 0);
  for (int i = 0; i < 2; ++i) {
    void* done = NULL;
    EXPECT(pthread_join(threads[i], &done) == 0);
    EXPECT(done == first[i]);
    EXPECT(first[i][0] == 0); /* a new thread has no error */
  }
  EXPECT(strcmp(here, attend_last_error_message()) == 0);
  EXPECT(attend_version() > 0); /* a call that succeeds leaves the text alone */
  EXPECT(strcmp(here, attend_last_error_message()) == 0);
}

void test_errors(void) {
  names_of_numbers();
  null_pointers();
  run_names_missing_memory();
  descriptors_that_contradict_themselves();
  masks_that_contradict_themselves();
  bad_options();
  one_call_refuses();
  each_thread_has_its_own_error();
}
