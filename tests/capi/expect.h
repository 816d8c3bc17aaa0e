/* SPDX-License-Identifier: Apache-2.0 */
/* A few checks for tests that a C compiler compiles. */
#ifndef ATTEND_TESTS_CAPI_EXPECT_H_
#define ATTEND_TESTS_CAPI_EXPECT_H_

#include <attend/attend.h>
#include <stdio.h>
#include <string.h>

/* How many checks failed and how many were made, in all files of the program. */
extern int failures, checks;

#define EXPECT(condition)                                                     \
  do {                                                                        \
    ++checks;                                                                 \
    if (!(condition)) {                                                       \
      ++failures;                                                             \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      fprintf(stderr, "  last error: %s\n", attend_last_error_message());     \
    }                                                                         \
  } while (0)

/* The call must fail with this status and a message that contains the text. */
#define EXPECT_REFUSED(call, expected, text)                                                                       \
  do {                                                                                                             \
    const attend_status status_ = (call);                                                                          \
    ++checks;                                                                                                      \
    if (status_ != (expected) || strstr(attend_last_error_message(), (text)) == NULL) {                            \
      ++failures;                                                                                                  \
      fprintf(stderr, "%s:%d: %s gives %s: \"%s\", expected %s with \"%s\"\n", __FILE__, __LINE__, #call,          \
              attend_status_string(status_), attend_last_error_message(), attend_status_string(expected), (text)); \
    }                                                                                                              \
  } while (0)

#define EXPECT_OK(call) EXPECT((call) == ATTEND_OK)

/* A sound descriptor: 2 sequences, 4 query heads over 2 key heads, 9 queries, 13 keys, 16 columns. */
attend_attention_fwd_desc small_desc(void);

void test_problems(void);  /* problems.c */
void test_runs(void);      /* runs.c */
void test_devices(void);   /* devices.c */
void test_merges(void);    /* merges.c */
void test_gradients(void); /* gradients.c */
void test_kv_pages(void);  /* kv_pages.c */
void test_errors(void);    /* errors.c */
void test_versions(void);  /* versions.c */

#endif
