/* SPDX-License-Identifier: Apache-2.0 */
/* Plans, runs, executors, the one call, and the machine. */
#include <math.h>
#include <stdlib.h>

#include "expect.h"

enum { kB = 2, kHq = 4, kHk = 2, kSq = 9, kSk = 13, kD = 16 };
static float q[kB * kSq * kHq * kD], k[kB * kSk * kHk * kD], v[kB * kSk * kHk * kD];
static float o[kB * kSq * kHq * kD], lse[kB * kHq * kSq];
static float other_o[kB * kSq * kHq * kD], other_lse[kB * kHq * kSq];

static void fill(void) {
  for (size_t i = 0; i < sizeof q / sizeof *q; ++i) q[i] = sinf((float)i);
  for (size_t i = 0; i < sizeof k / sizeof *k; ++i) k[i] = cosf(1.5f * (float)i);
  for (size_t i = 0; i < sizeof v / sizeof *v; ++i) v[i] = sinf(0.3f * (float)i);
}

/* The formula in double, for small_desc() under a causal mask. Returns the largest distance of o and lse from it. */
static double distance_from_formula(const float* found_o, const float* found_lse) {
  double largest = 0;
  for (int n = 0; n < kB; ++n) {
    for (int h = 0; h < kHq; ++h) {
      for (int i = 0; i < kSq; ++i) {
        double s[kSk], sum = 0, out[kD] = {0};
        const int keys = i + kSk - kSq + 1;
        for (int j = 0; j < keys; ++j) {
          s[j] = 0;
          for (int c = 0; c < kD; ++c) {
            s[j] += (double)q[((n * kSq + i) * kHq + h) * kD + c] * (double)k[((n * kSk + j) * kHk + h / 2) * kD + c];
          }
          sum += s[j] = exp(s[j] / sqrt((double)kD));
        }
        for (int j = 0; j < keys; ++j) {
          for (int c = 0; c < kD; ++c) out[c] += s[j] / sum * (double)v[((n * kSk + j) * kHk + h / 2) * kD + c];
        }
        for (int c = 0; c < kD; ++c) {
          largest = fmax(largest, fabs(out[c] - (double)found_o[((n * kSq + i) * kHq + h) * kD + c]));
        }
        largest = fmax(largest, fabs(log(sum) - (double)found_lse[(n * kHq + h) * kSq + i]));
      }
    }
  }
  return largest;
}

static attend_attention_fwd_plan* make_plan(const attend_plan_options* options) {
  const attend_mask_term causal = attend_mask_term_init(ATTEND_MASK_CAUSAL);
  attend_attention_fwd_desc desc = small_desc();
  desc.lse = 1;
  desc.mask_terms = &causal;
  desc.mask_count = 1;
  attend_attention_fwd* problem = NULL;
  attend_attention_fwd_plan* plan = NULL;
  EXPECT_OK(attend_attention_fwd_create(&desc, &problem));
  EXPECT_OK(attend_attention_fwd_plan_create(problem, options, &plan));
  attend_attention_fwd_destroy(problem);
  return plan;
}

static attend_attention_fwd_args make_args(float* to_o, float* to_lse) {
  attend_attention_fwd_args args = attend_attention_fwd_args_init();
  args.q = q;
  args.k = k;
  args.v = v;
  args.o = to_o;
  args.lse = to_lse;
  return args;
}

static void plan_runs_and_explains_itself(void) {
  attend_attention_fwd_plan* plan = make_plan(NULL);
  attend_plan_info info = attend_plan_info_init();
  EXPECT_OK(attend_attention_fwd_plan_query(plan, &info));
  EXPECT(info.kernel != NULL && strncmp(info.kernel, "attention_fwd.", 14) == 0);
  EXPECT(info.isa != NULL && strstr(info.kernel, info.isa) != NULL);
  EXPECT(info.threads >= 1 && info.tile_rows >= 1 && info.tile_keys >= 1 && info.candidate_count >= 1);
  EXPECT(info.arithmetic == ATTEND_ARITHMETIC_F32); /* f32 in: nothing is rounded to bf16 */
  int chosen = 0;
  for (int64_t i = 0; i < info.candidate_count; ++i) {
    attend_candidate candidate = attend_candidate_init();
    EXPECT_OK(attend_attention_fwd_plan_candidate(plan, i, &candidate));
    EXPECT(candidate.kernel != NULL && candidate.reason != NULL);
    if (strcmp(candidate.kernel, info.kernel) == 0) chosen += candidate.accepted;
  }
  EXPECT(chosen == 1);
  char text[8192];
  size_t length = 0;
  EXPECT_OK(attend_attention_fwd_plan_explain(plan, text, sizeof text, &length));
  EXPECT(length < sizeof text && strlen(text) == length && strstr(text, info.kernel) != NULL);

  /* A workspace at an odd address, with a mark behind it. */
  unsigned char* workspace = malloc(info.workspace_bytes + 2);
  workspace[info.workspace_bytes + 1] = 0xa5;
  const attend_attention_fwd_args args = make_args(o, lse);
  EXPECT_OK(attend_attention_fwd_run(plan, &args, workspace + 1, info.workspace_bytes));
  EXPECT(workspace[info.workspace_bytes + 1] == 0xa5);
  free(workspace);
  EXPECT(distance_from_formula(o, lse) < 1e-5);

  const attend_attention_fwd_args other = make_args(other_o, other_lse);
  EXPECT_OK(attend_attention_fwd_run_alloc(plan, &other));
  EXPECT(memcmp(o, other_o, sizeof o) == 0 && memcmp(lse, other_lse, sizeof lse) == 0);
  attend_attention_fwd_plan_destroy(plan);
  attend_attention_fwd_plan_destroy(NULL);
}

static void one_call_equals_plan_and_run(void) {
  memset(other_o, 0xff, sizeof other_o);
  memset(other_lse, 0xff, sizeof other_lse);
  EXPECT_OK(attend_attention(q, k, v, other_o, other_lse, ATTEND_F32, ATTEND_BSHD, kB, kHq, kHk, kSq, kSk, kD, 0, 1, -1,
                             -1, 0));
  EXPECT(memcmp(o, other_o, sizeof o) == 0 && memcmp(lse, other_lse, sizeof lse) == 0);
  EXPECT_OK(attend_attention(q, k, v, other_o, NULL, ATTEND_F32, ATTEND_BSHD, kB, kHq, kHk, kSq, kSk, kD, 0.25, 1, -1,
                             -1, 0)); /* 1 / sqrt(16) said aloud, no lse */
  EXPECT(memcmp(o, other_o, sizeof o) == 0);
  EXPECT_OK(
      attend_attention(q, k, v, other_o, NULL, ATTEND_F32, ATTEND_BSHD, kB, kHq, kHk, kSq, kSk, kD, 0, 0, 3, 0, 0));
  EXPECT(memcmp(o, other_o, sizeof o) != 0); /* four keys each, not all of them */
  EXPECT_OK(attend_attention(q, k, v, other_o, NULL, ATTEND_F32, ATTEND_BSHD, kB, kHq, kHk, kSq, kSk, kD, 0, 1, -1, -1,
                             0.5)); /* a cap that these scores feel */
  EXPECT(memcmp(o, other_o, sizeof o) != 0);
}

struct calls {
  int made, workers;
};

/* Workers one after the other, last first: any order is allowed. */
static void one_after_the_other(void* self, int workers, void (*task)(void* arg, int worker), void* arg) {
  struct calls* calls = self;
  ++calls->made;
  if (workers > calls->workers) calls->workers = workers;
  for (int worker = workers - 1; worker >= 0; --worker) task(arg, worker);
}

/* Long enough for several workers: 300 queries and keys. */
static attend_attention_fwd_plan* make_long_plan(const attend_plan_options* options) {
  attend_attention_fwd* problem = NULL;
  attend_attention_fwd_plan* plan = NULL;
  EXPECT_OK(attend_attention_fwd_create_from_text(
      "attention_fwd b=1 hq=2 hk=1 sq=300 sk=300 d=16 dtype=f32 mask=causal", &problem));
  EXPECT_OK(attend_attention_fwd_plan_create(problem, options, &plan));
  attend_attention_fwd_destroy(problem);
  return plan;
}

static void executor_is_used_and_bits_stay(void) {
  static float long_q[300 * 2 * 16], long_k[300 * 16], long_o[2][300 * 2 * 16];
  for (int i = 0; i < 300 * 2 * 16; ++i) long_q[i] = sinf((float)i);
  for (int i = 0; i < 300 * 16; ++i) long_k[i] = cosf(2 * (float)i);
  struct calls calls = {0, 0};
  attend_executor executor = attend_executor_init();
  executor.parallel = one_after_the_other;
  executor.self = &calls;
  executor.workers = 3;
  attend_plan_options options = attend_plan_options_init();
  options.executor = &executor;
  attend_attention_fwd_plan* plans[2] = {make_long_plan(NULL), make_long_plan(&options)};
  memset(&executor, 0, sizeof executor); /* the plan has a copy */
  memset(long_o[1], 0xff, sizeof long_o[1]);
  for (int i = 0; i < 2; ++i) {
    attend_attention_fwd_args args = attend_attention_fwd_args_init();
    args.q = long_q;
    args.k = args.v = long_k;
    args.o = long_o[i];
    EXPECT(calls.made == 0);
    EXPECT_OK(attend_attention_fwd_run_alloc(plans[i], &args));
    attend_attention_fwd_plan_destroy(plans[i]);
  }
  EXPECT(calls.made >= 1 && calls.workers >= 2 && calls.workers <= 3);
  EXPECT(memcmp(long_o[0], long_o[1], sizeof long_o[0]) == 0);
}

static void asked_kernel_is_taken(void) {
  attend_attention_fwd_plan* plan = make_plan(NULL);
  attend_plan_info info = attend_plan_info_init();
  EXPECT_OK(attend_attention_fwd_plan_query(plan, &info));
  for (int64_t i = 0; i < info.candidate_count; ++i) {
    attend_candidate candidate = attend_candidate_init();
    EXPECT_OK(attend_attention_fwd_plan_candidate(plan, i, &candidate));
    if (!candidate.accepted) continue;
    attend_plan_options options = attend_plan_options_init();
    options.kernel = candidate.kernel;
    options.threads = 1;
    attend_attention_fwd_plan* asked = make_plan(&options);
    attend_plan_info asked_info = attend_plan_info_init();
    EXPECT_OK(attend_attention_fwd_plan_query(asked, &asked_info));
    EXPECT(strcmp(asked_info.kernel, candidate.kernel) == 0 && asked_info.threads == 1);
    attend_attention_fwd_plan_destroy(asked);
  }
  attend_attention_fwd_plan_destroy(plan);
}

static void lse_changes_units(void) {
  float values[3] = {0, 1, -INFINITY}, back[3];
  EXPECT_OK(attend_lse_natural_to_base2(values, values, 3));
  EXPECT(values[0] == 0 && fabsf(values[1] - 1.442695f) < 1e-6f && values[2] == -INFINITY);
  EXPECT_OK(attend_lse_base2_to_natural(values, back, 3));
  EXPECT(back[0] == 0 && fabsf(back[1] - 1) < 1e-6f && back[2] == -INFINITY);
  EXPECT_OK(attend_lse_base2_to_natural(NULL, NULL, 0));
}

static void machine_lists_instruction_sets(void) {
  attend_machine* machine = NULL;
  EXPECT_OK(attend_machine_create(&machine));
  attend_machine_info info = attend_machine_info_init();
  EXPECT_OK(attend_machine_query(machine, &info));
  EXPECT(info.cpu != NULL && info.vendor != NULL && info.cores >= 1 && info.isa_count >= 1);
  int available = 0;
  for (int32_t i = 0; i < info.isa_count; ++i) {
    attend_isa_info isa = attend_isa_info_init();
    EXPECT_OK(attend_machine_query_isa(machine, i, &isa));
    EXPECT(isa.name != NULL && isa.name[0] != 0 && isa.reason != NULL);
    EXPECT(isa.available == (isa.reason[0] == 0)); /* a refusal has a reason */
    available += isa.available;
  }
  EXPECT(available >= 1);
  attend_isa_info isa = attend_isa_info_init();
  EXPECT_REFUSED(attend_machine_query_isa(machine, info.isa_count, &isa), ATTEND_INVALID_ARGUMENT, "index is ");
  attend_machine_destroy(machine);
  attend_machine_destroy(NULL);
}

void test_runs(void) {
  fill();
  plan_runs_and_explains_itself();
  one_call_equals_plan_and_run();
  executor_is_used_and_bits_stay();
  asked_kernel_is_taken();
  lse_changes_units();
  machine_lists_instruction_sets();
}
