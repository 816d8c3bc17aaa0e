// SPDX-License-Identifier: Apache-2.0
// Causal attention of 4 query heads over 2 key heads, from C. Prints what it checked.
#include <attend/attend.h>
#include <math.h>
#include <stdio.h>

enum { b = 1, n = 300, hq = 4, hk = 2, d = 64 };
static float q[b * n * hq * d], k[b * n * hk * d], v[b * n * hk * d], o[b * n * hq * d], lse[b * hq * n];

int main(void) {
  for (int i = 0; i < b * n * hq * d; i++) q[i] = sinf((float)i);
  for (int i = 0; i < b * n * hk * d; i++) {
    k[i] = cosf(3.0f * (float)i);
    v[i] = sinf(2.0f * (float)i);
  }
  const double scale = 0;  // 1 / sqrt(d)
  attend_status status =
      attend_attention(q, k, v, o, lse, ATTEND_F32, ATTEND_BSHD, b, hq, hk, n, n, d, scale, /*causal*/ 1,
                       /*window_left*/ -1, /*window_right*/ -1, /*softcap*/ 0);
  if (status != ATTEND_OK) {
    fprintf(stderr, "%s: %s\n", attend_status_string(status), attend_last_error_message());
    return 1;
  }
  // Query 1 of head 3 sees two keys of key head 1: the softmax has two terms, written out here.
  double s[2] = {0, 0};
  for (int key = 0; key < 2; key++) {
    for (int c = 0; c < d; c++) s[key] += (double)q[(1 * hq + 3) * d + c] * k[(key * hk + 1) * d + c] / sqrt(d);
  }
  const double p0 = 1 / (1 + exp(s[1] - s[0]));
  const double expected = p0 * v[(0 * hk + 1) * d] + (1 - p0) * v[(1 * hk + 1) * d];
  const double found = o[(1 * hq + 3) * d];
  printf("o[query 1, head 3, column 0] is %.6f, by hand %.6f\n", found, expected);
  return fabs(found - expected) < 1e-5 ? 0 : 1;
}
