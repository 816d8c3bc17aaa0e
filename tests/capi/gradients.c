/* SPDX-License-Identifier: Apache-2.0 */
/* The backward pass. */
#include <math.h>

#include "expect.h"

enum { n = 2, d = 1 };

static attend_attention_fwd* two_by_two(void) {
  attend_attention_fwd* problem = NULL;
  EXPECT_OK(attend_attention_fwd_create_from_text("attention_fwd sq=2 sk=2 d=1 scale=1 mask=causal lse=1", &problem));
  return problem;
}

/* Row 0 sees key 0 alone: P = 1, so that its scores have no gradient. Row 1 sees both. */
static void computes_by_hand(void) {
  const float q[n * d] = {1, 2}, k[n * d] = {0.5f, -0.25f}, v[n * d] = {3, 7}, dout[n * d] = {10, 1};
  const double p0 = 1 / (1 + exp(-0.5 - 1.0)), p1 = 1 - p0;
  const double o1 = 3 * p0 + 7 * p1, ds0 = p0 * (3 - o1), ds1 = p1 * (7 - o1);
  const float o[n * d] = {3, (float)o1}, lse[n] = {0.5f, (float)log(exp(1.0) + exp(-0.5))};
  float dq[n * d], dk[n * d], dv[n * d];
  attend_attention_fwd* problem = two_by_two();
  attend_attention_bwd_plan* plan = NULL;
  attend_attention_bwd_args args = attend_attention_bwd_args_init();
  attend_plan_info info = attend_plan_info_init();
  char workspace[1 << 22], text[4096];
  size_t length = 0;
  EXPECT_OK(attend_attention_bwd_plan_create(problem, NULL, NULL, &plan));
  EXPECT_OK(attend_attention_bwd_plan_query(plan, &info));
  EXPECT(strncmp(info.kernel, "attention_bwd.", 14) == 0 && info.threads >= 1);
  EXPECT_OK(attend_attention_bwd_plan_explain(plan, text, sizeof text, &length));
  EXPECT(length > 100 && strstr(text, "chosen") != NULL);
  args.q = q;
  args.k = k;
  args.v = v;
  args.o = o;
  args.lse = lse;
  args.dout = dout;
  args.dq = dq;
  args.dk = dk;
  args.dv = dv;
  EXPECT_OK(attend_attention_bwd_run_alloc(plan, &args));
  EXPECT(dq[0] == 0 && fabs(dq[1] - (ds0 * 0.5 - ds1 * 0.25)) < 1e-5);
  EXPECT(fabs(dk[0] - 2 * ds0) < 1e-5 && fabs(dk[1] - 2 * ds1) < 1e-5);
  EXPECT(fabs(dv[0] - (10 + p0)) < 1e-4 && fabs(dv[1] - p1) < 1e-5);
  dq[1] = 0;
  if (info.workspace_bytes <= sizeof workspace) {
    EXPECT_OK(attend_attention_bwd_run(plan, &args, workspace, sizeof workspace));
    EXPECT(fabs(dq[1] - (ds0 * 0.5 - ds1 * 0.25)) < 1e-5);
  }
  EXPECT_REFUSED(attend_attention_bwd_run(plan, &args, workspace, 16), ATTEND_INVALID_ARGUMENT,
                 "attention_bwd: workspace is 16 bytes, expected at least");
  EXPECT_REFUSED(attend_attention_bwd_run(plan, &args, NULL, 0), ATTEND_INVALID_ARGUMENT,
                 "attention_bwd_run: workspace is NULL");
  args.lse = NULL;
  EXPECT_REFUSED(attend_attention_bwd_run_alloc(plan, &args), ATTEND_INVALID_ARGUMENT,
                 "attention_bwd: args.lse is null");
  EXPECT_REFUSED(attend_attention_bwd_run_alloc(plan, NULL), ATTEND_INVALID_ARGUMENT, "attention_bwd_run_alloc: args");
  EXPECT_REFUSED(attend_attention_bwd_run_alloc(NULL, &args), ATTEND_INVALID_ARGUMENT, "plan is NULL, expected a plan");
  attend_attention_bwd_plan_destroy(plan);
  attend_attention_fwd_destroy(problem);
}

static void reads_its_descriptor(void) {
  attend_attention_fwd* problem = two_by_two();
  attend_attention_bwd_desc desc = attend_attention_bwd_desc_init();
  attend_attention_bwd_plan* plan = NULL;
  EXPECT_OK(attend_attention_bwd_desc_of(problem, &desc));
  EXPECT(desc.dq_type == ATTEND_F32 && desc.dk_strides.row == 1 && desc.dbias == 0);
  desc.dq_type = ATTEND_BF16;
  EXPECT_OK(attend_attention_bwd_plan_create(problem, &desc, NULL, &plan));
  attend_attention_bwd_plan_destroy(plan);
  desc.dq_type = 9;
  EXPECT_REFUSED(attend_attention_bwd_plan_create(problem, &desc, NULL, &plan), ATTEND_INVALID_ARGUMENT,
                 "attention_bwd_plan_create: desc.dq_type is 9");
  EXPECT(plan == NULL);
  desc.dq_type = ATTEND_F32;
  desc.dsink = 1;
  EXPECT_REFUSED(attend_attention_bwd_plan_create(problem, &desc, NULL, &plan), ATTEND_INVALID_ARGUMENT,
                 "attention_bwd: dsink is true, expected false");
  desc.dsink = 2;
  EXPECT_REFUSED(attend_attention_bwd_plan_create(problem, &desc, NULL, &plan), ATTEND_INVALID_ARGUMENT,
                 "desc.dsink is 2, expected 0 or 1");
  EXPECT_REFUSED(attend_attention_bwd_plan_create(NULL, NULL, NULL, &plan), ATTEND_INVALID_ARGUMENT,
                 "forward is NULL, expected a Problem");
  EXPECT_REFUSED(attend_attention_bwd_desc_of(problem, NULL), ATTEND_INVALID_ARGUMENT, "desc is NULL");
  attend_attention_bwd_plan_destroy(NULL);
  attend_attention_fwd_destroy(problem);
}

void test_gradients(void) {
  computes_by_hand();
  reads_its_descriptor();
}
