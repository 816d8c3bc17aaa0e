/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of a KV cache. */
#include "expect.h"

static void sequences_share_and_copy(void) {
  const int32_t tokens[] = {1, 2, 3, 4, 5, 6};
  attend_kv_pages* pages = NULL;
  int64_t first = 0, second = 0, cached = -1, count = 0, length = 0;
  const int32_t* list = NULL;
  attend_kv_copy copy = attend_kv_copy_init();
  attend_kv_pages_info info = attend_kv_pages_info_init();
  EXPECT_OK(attend_kv_pages_create(4, 4, 1, &pages));
  EXPECT_OK(attend_kv_pages_begin(pages, tokens, 6, &first, &cached));
  EXPECT(cached == 0);
  EXPECT_OK(attend_kv_pages_append(pages, first, tokens, 6, &copy));
  EXPECT(copy.tokens == 0);
  EXPECT_OK(attend_kv_pages_fork(pages, first, &second));
  EXPECT_OK(attend_kv_pages_append(pages, second, tokens, 1, &copy));
  EXPECT(copy.from == 1 && copy.to == 2 && copy.tokens == 2);
  EXPECT_OK(attend_kv_pages_lookup(pages, second, &list, &count, &length));
  EXPECT(count == 2 && length == 7 && list[0] == 0 && list[1] == 2);
  EXPECT_OK(attend_kv_pages_truncate(pages, second, 4));
  EXPECT_OK(attend_kv_pages_end(pages, first));
  EXPECT_OK(attend_kv_pages_end(pages, second));
  EXPECT_OK(attend_kv_pages_query(pages, &info));
  EXPECT(info.pages == 4 && info.page_size == 4 && info.free == 3 && info.used == 0 && info.cached == 1);
  EXPECT(info.sequences == 0 && info.copied == 1 && info.asked_tokens == 6);
  EXPECT_OK(attend_kv_pages_begin(pages, tokens, 6, &first, &cached));
  EXPECT(cached == 4);
  EXPECT_OK(attend_kv_pages_lookup(pages, 99, &list, &count, &length));
  EXPECT(count == 0 && length == 0);
  attend_kv_pages_destroy(pages);
}

static void says_what_is_wrong(void) {
  const int32_t tokens[] = {1, 2};
  attend_kv_pages* pages = NULL;
  int64_t sequence = 0, cached = 0;
  attend_kv_copy copy = attend_kv_copy_init();
  EXPECT_REFUSED(attend_kv_pages_create(0, 4, 1, &pages), ATTEND_INVALID_ARGUMENT, "options.pages is 0");
  EXPECT_REFUSED(attend_kv_pages_create(4, 4, 2, &pages), ATTEND_INVALID_ARGUMENT, "share_prefixes is 2");
  EXPECT_REFUSED(attend_kv_pages_create(4, 4, 1, NULL), ATTEND_INVALID_ARGUMENT, "made is NULL");
  EXPECT_OK(attend_kv_pages_create(1, 1, 0, &pages));
  EXPECT_REFUSED(attend_kv_pages_begin(NULL, tokens, 2, &sequence, &cached), ATTEND_INVALID_ARGUMENT, "pages is NULL");
  EXPECT_REFUSED(attend_kv_pages_begin(pages, NULL, 2, &sequence, &cached), ATTEND_INVALID_ARGUMENT, "tokens is NULL");
  EXPECT_REFUSED(attend_kv_pages_begin(pages, tokens, -1, &sequence, &cached), ATTEND_INVALID_ARGUMENT, "count is -1");
  EXPECT_OK(attend_kv_pages_begin(pages, NULL, 0, &sequence, &cached));
  EXPECT_REFUSED(attend_kv_pages_append(pages, sequence, tokens, 1, NULL), ATTEND_INVALID_ARGUMENT, "copy is NULL");
  EXPECT_REFUSED(attend_kv_pages_append(pages, sequence, tokens, 2, &copy), ATTEND_OUT_OF_MEMORY,
                 "2 pages needed, 1 free and 0 evictable of 1");
  EXPECT_REFUSED(attend_kv_pages_append(pages, 77, tokens, 1, &copy), ATTEND_INVALID_ARGUMENT, "sequence is 77");
  EXPECT_REFUSED(attend_kv_pages_fork(pages, sequence, NULL), ATTEND_INVALID_ARGUMENT, "forked is NULL");
  EXPECT_REFUSED(attend_kv_pages_truncate(pages, sequence, 1), ATTEND_INVALID_ARGUMENT, "length is 1");
  EXPECT_REFUSED(attend_kv_pages_query(pages, NULL), ATTEND_INVALID_ARGUMENT, "info is NULL");
  attend_kv_pages_destroy(pages);
  attend_kv_pages_destroy(NULL);
}

void test_kv_pages(void) {
  sequences_share_and_copy();
  says_what_is_wrong();
}
