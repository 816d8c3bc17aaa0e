// SPDX-License-Identifier: Apache-2.0
// With a single key the softmax is 1 whatever the score: o is v, up to a few roundings of f32.
#include <attend/attend.h>
#include <math.h>
#include <stdio.h>

enum { kRows = 5, kHeads = 2, kColumns = 24 };

int main(void) {
  static float q[kRows * kHeads * kColumns], k[kHeads * kColumns], v[kHeads * kColumns], o[kRows * kHeads * kColumns];
  for (int i = 0; i < kRows * kHeads * kColumns; i++) q[i] = 0.5f;
  for (int i = 0; i < kHeads * kColumns; i++) {
    k[i] = 0.25f;
    v[i] = (float)i / 8;
  }
  if (attend_version() != ATTEND_VERSION) {
    printf("the library is version %s, the header %d.%d\n", attend_version_string(), ATTEND_VERSION_MAJOR,
           ATTEND_VERSION_MINOR);
    return 1;
  }
  if (attend_attention(q, k, v, o, NULL, ATTEND_F32, ATTEND_BSHD, 1, kHeads, kHeads, kRows, 1, kColumns, 0, 0, -1, -1,
                       0)) {
    printf("%s\n", attend_last_error_message());
    return 1;
  }
  for (int i = 0; i < kRows * kHeads * kColumns; i++) {
    if (!(fabsf(o[i] - v[i % (kHeads * kColumns)]) <= 1e-6f * v[i % (kHeads * kColumns)])) {
      printf("o[%d] is %.9g, expected %.9g\n", i, (double)o[i], (double)v[i % (kHeads * kColumns)]);
      return 1;
    }
  }
  // A wrong shape must come back as a status and a sentence.
  if (attend_attention(q, k, v, o, NULL, ATTEND_F32, ATTEND_BSHD, 1, 3, kHeads, kRows, 1, kColumns, 0, 0, -1, -1, 0) !=
          ATTEND_INVALID_ARGUMENT ||
      attend_last_error_message()[0] == 0) {
    printf("3 query heads over 2 key heads were not refused\n");
    return 1;
  }
  return 0;
}
