// SPDX-License-Identifier: Apache-2.0
// Continuous batching from C: eight sequences with a common prefix share a cache of int8 pages. New ones join while
// others are generating; one plan serves all layers of a step. The model is a stand-in: q, k and v are functions of the
// token and the layer, and the next token is read off the output.
#include <attend/attend.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  kSequences = 8,
  kAtOnce = 4,
  kLayers = 3,
  kQueryHeads = 8,
  kKeyHeads = 2,
  kColumns = 64,
  kPage = 16,
  kPages = 96,
  kPrefix = 40,
  kLongest = 160,
  kStepTokens = 4 * kLongest
};

static void check(attend_status status) {
  if (status == ATTEND_OK) return;
  fprintf(stderr, "%s\n", attend_last_error_message());
  exit(1);
}

static void* zeros(size_t bytes) {
  void* memory = calloc(1, bytes);
  if (memory == NULL) exit(1);
  return memory;
}

/// A number in [-1, 1) that depends on all its arguments.
static float draw(uint32_t token, uint32_t layer, uint32_t what, uint32_t column) {
  uint32_t x = token * 2654435761u ^ layer * 40503u ^ what * 2246822519u ^ column * 3266489917u;
  x ^= x >> 15;
  x *= 2246822519u;
  x ^= x >> 13;
  return (float)(x & 0xffffff) / 8388608.0f - 1.0f;
}

typedef struct {
  int64_t id; /* of the pages; -1: not running */
  int32_t tokens[kLongest];
  int64_t length, wanted; /* tokens so far, and at the end */
  int64_t computed;       /* tokens whose keys are in the cache */
} Sequence;

/* K and V of all layers, with their scales: [page][row][head][column]. */
typedef struct {
  int8_t *k, *v;
  float *k_scales, *v_scales;
} LayerCache;

typedef struct {
  attend_kv_pages* pages;
  LayerCache layers[kLayers];
  attend_rope rope;
  float *q, *k, *v, *o;
} Server;

static const size_t kPageElements = (size_t)kPage * kKeyHeads * kColumns;
static const size_t kPageScales = (size_t)kPage * kKeyHeads;

/// Room for the tokens from `from` on; copies what a shared page holds, where the allocator says so.
static void reserve(Server* server, Sequence* sequence, int64_t from) {
  attend_kv_copy copy = attend_kv_copy_init();
  check(attend_kv_pages_append(server->pages, sequence->id, sequence->tokens + from, sequence->length - from, &copy));
  for (int layer = 0; copy.tokens > 0 && layer < kLayers; ++layer) {
    LayerCache* c = &server->layers[layer];
    const size_t elements = (size_t)copy.tokens * kKeyHeads * kColumns, scales = (size_t)copy.tokens * kKeyHeads;
    memcpy(c->k + copy.to * kPageElements, c->k + copy.from * kPageElements, elements);
    memcpy(c->v + copy.to * kPageElements, c->v + copy.from * kPageElements, elements);
    memcpy(c->k_scales + copy.to * kPageScales, c->k_scales + copy.from * kPageScales, scales * sizeof(float));
    memcpy(c->v_scales + copy.to * kPageScales, c->v_scales + copy.from * kPageScales, scales * sizeof(float));
  }
}

/// One step of all running sequences: whole prompts of those that have just come, one token of the others.
static int64_t step(Server* server, Sequence** running, int count) {
  int32_t cu_q[kAtOnce + 1] = {0}, cu_pages[kAtOnce + 1] = {0}, lengths[kAtOnce], pages[kAtOnce * kLongest];
  int32_t positions[kStepTokens];
  for (int n = 0; n < count; ++n) {
    const int32_t* list = NULL;
    int64_t used = 0;
    check(attend_kv_pages_lookup(server->pages, running[n]->id, &list, &used, NULL));
    memcpy(pages + cu_pages[n], list, (size_t)used * sizeof *pages);
    cu_pages[n + 1] = cu_pages[n] + (int32_t)used;
    lengths[n] = (int32_t)running[n]->length;
    cu_q[n + 1] = cu_q[n] + (int32_t)(running[n]->length - running[n]->computed);
    for (int32_t t = cu_q[n]; t < cu_q[n + 1]; ++t) positions[t] = (int32_t)running[n]->computed + t - cu_q[n];
  }
  const int64_t tokens = cu_q[count];

  attend_kv_cache_desc cache = attend_kv_cache_desc_init();
  cache.placement = ATTEND_KV_PAGED;
  cache.k_format = cache.v_format = ATTEND_KV_INT8;
  cache.entries = kPages;
  cache.rows = kPage;
  cache.lengths = lengths;
  cache.lengths_count = count;
  cache.pages = pages;
  cache.pages_count = cu_pages[count];
  cache.cu_pages = cu_pages;
  cache.cu_pages_count = count + 1;
  cache.cu_pages_type = ATTEND_INT32;
  attend_mask_term causal = attend_mask_term_init(ATTEND_MASK_CAUSAL);
  attend_attention_fwd_desc desc = attend_attention_fwd_desc_init();
  desc.b = count;
  desc.hq = kQueryHeads;
  desc.hk = kKeyHeads;
  desc.d = kColumns;
  desc.layout = ATTEND_STRIDED; /* queries one after the other, pages token by token */
  desc.q_strides.row = desc.o_strides.row = kQueryHeads * kColumns;
  desc.q_strides.head = desc.o_strides.head = kColumns;
  desc.k_strides.batch = desc.v_strides.batch = (int64_t)kPageElements;
  desc.k_strides.row = desc.v_strides.row = kKeyHeads * kColumns;
  desc.k_strides.head = desc.v_strides.head = kColumns;
  cache.k_scale_strides.batch = cache.v_scale_strides.batch = (int64_t)kPageScales;
  cache.k_scale_strides.row = cache.v_scale_strides.row = kKeyHeads;
  cache.k_scale_strides.head = cache.v_scale_strides.head = 1;
  desc.cu_q = cu_q;
  desc.cu_q_count = count + 1;
  desc.cu_q_type = ATTEND_INT32;
  desc.mask_terms = &causal;
  desc.mask_count = 1;
  desc.cache = &cache;

  attend_attention_fwd* problem = NULL;
  attend_attention_fwd_plan* plan = NULL;
  attend_plan_options options = attend_plan_options_init();
  options.guarantee = ATTEND_BATCH_INVARIANT; /* what a sequence says does not depend on its neighbours */
  check(attend_attention_fwd_create(&desc, &problem));
  check(attend_attention_fwd_plan_create(problem, &options, &plan));
  for (int layer = 0; layer < kLayers; ++layer) {
    for (int n = 0; n < count; ++n) {
      for (int64_t t = cu_q[n]; t < cu_q[n + 1]; ++t) {
        const uint32_t token = (uint32_t)running[n]->tokens[running[n]->computed + t - cu_q[n]];
        for (uint32_t c = 0; c < kQueryHeads * kColumns; ++c)
          server->q[t * kQueryHeads * kColumns + c] = 2 * draw(token, (uint32_t)layer, 0, c);
        for (uint32_t c = 0; c < kKeyHeads * kColumns; ++c) {
          server->k[t * kKeyHeads * kColumns + c] = 2 * draw(token, (uint32_t)layer, 1, c);
          server->v[t * kKeyHeads * kColumns + c] = draw(token, (uint32_t)layer, 2, c);
        }
      }
    }
    attend_kv_append_args append = attend_kv_append_args_init();
    append.new_k = server->k;
    append.new_v = server->v;
    append.new_k_strides.row = append.new_v_strides.row = kKeyHeads * kColumns;
    append.new_k_strides.head = append.new_v_strides.head = kColumns;
    append.rope = &server->rope;
    append.k = server->layers[layer].k;
    append.v = server->layers[layer].v;
    append.k_scales = server->layers[layer].k_scales;
    append.v_scales = server->layers[layer].v_scales;
    check(attend_kv_append(problem, &append));
    check(attend_rotate(&server->rope, ATTEND_F32, 1, tokens, kQueryHeads, kColumns, server->q, positions, server->q));
    attend_attention_fwd_args args = attend_attention_fwd_args_init();
    args.q = server->q;
    args.k = append.k;
    args.v = append.v;
    args.k_scales = append.k_scales;
    args.v_scales = append.v_scales;
    args.o = server->o;
    check(attend_attention_fwd_run_alloc(plan, &args));
  }
  attend_attention_fwd_plan_destroy(plan);
  attend_attention_fwd_destroy(problem);

  for (int n = 0; n < count; ++n) {
    const float* last = server->o + (int64_t)(cu_q[n + 1] - 1) * kQueryHeads * kColumns;
    int best = 0;
    for (int c = 1; c < kQueryHeads * kColumns; ++c)
      if (fabsf(last[c]) > fabsf(last[best])) best = c;
    running[n]->computed = running[n]->length;
    running[n]->tokens[running[n]->length++] = 1000 + best;
  }
  return tokens;
}

/// Serves all sequences, at most `at_once` at a time; their tokens are in `sequences` afterwards.
static void serve(Sequence* sequences, int at_once, int talk) {
  Server server;
  memset(&server, 0, sizeof server);
  check(attend_kv_pages_create(kPages, kPage, 1, &server.pages));
  for (int layer = 0; layer < kLayers; ++layer) {
    server.layers[layer].k = zeros(kPages * kPageElements);
    server.layers[layer].v = zeros(kPages * kPageElements);
    server.layers[layer].k_scales = zeros(kPages * kPageScales * sizeof(float));
    server.layers[layer].v_scales = zeros(kPages * kPageScales * sizeof(float));
  }
  float frequencies[kColumns / 2];
  attend_rope_options rope = attend_rope_options_init();
  rope.dims = kColumns;
  check(attend_rope_frequencies(&rope, frequencies, NULL));
  server.rope = attend_rope_init();
  server.rope.frequencies = frequencies;
  server.rope.pairs = kColumns / 2;
  server.q = zeros(sizeof(float) * kStepTokens * kQueryHeads * kColumns);
  server.o = zeros(sizeof(float) * kStepTokens * kQueryHeads * kColumns);
  server.k = zeros(sizeof(float) * kStepTokens * kKeyHeads * kColumns);
  server.v = zeros(sizeof(float) * kStepTokens * kKeyHeads * kColumns);

  Sequence* running[kAtOnce];
  int count = 0, next = 0;
  for (int steps = 1; count > 0 || next < kSequences; ++steps) {
    while (count < at_once && next < kSequences) {
      Sequence* sequence = &sequences[next];
      /* Without the last token: its output is what is asked for. */
      check(attend_kv_pages_begin(server.pages, sequence->tokens, sequence->length - 1, &sequence->id,
                                  &sequence->computed));
      reserve(&server, sequence, sequence->computed);
      if (talk)
        printf("sequence %d joins: %d tokens, %d of them in the cache already\n", next, (int)sequence->length,
               (int)sequence->computed);
      running[count++] = sequence;
      ++next;
    }
    const int64_t tokens = step(&server, running, count);
    if (talk && steps % 8 == 1) printf("step %d: %d sequences, %d tokens\n", steps, count, (int)tokens);
    int left = 0;
    for (int n = 0; n < count; ++n) {
      if (running[n]->length < running[n]->wanted) {
        reserve(&server, running[n], running[n]->length - 1);
        running[left++] = running[n];
      } else {
        check(attend_kv_pages_end(server.pages, running[n]->id));
      }
    }
    count = left;
  }
  if (talk) {
    attend_kv_pages_info info = attend_kv_pages_info_init();
    check(attend_kv_pages_query(server.pages, &info));
    printf("pages: %d free, %d cached, %d used; %d of %d prompt tokens were found in the cache\n", (int)info.free,
           (int)info.cached, (int)info.used, (int)info.found_tokens, (int)info.asked_tokens);
  }
  for (int layer = 0; layer < kLayers; ++layer) {
    free(server.layers[layer].k);
    free(server.layers[layer].v);
    free(server.layers[layer].k_scales);
    free(server.layers[layer].v_scales);
  }
  free(server.q);
  free(server.k);
  free(server.v);
  free(server.o);
  attend_kv_pages_destroy(server.pages);
}

static void prompts(Sequence* sequences) {
  memset(sequences, 0, sizeof(Sequence) * kSequences);
  for (int n = 0; n < kSequences; ++n) {
    Sequence* sequence = &sequences[n];
    sequence->length = kPrefix + 3 + 2 * n;
    sequence->wanted = sequence->length + 12 + 5 * n;
    for (int t = 0; t < sequence->length; ++t) sequence->tokens[t] = t < kPrefix ? t : 100 * n + t;
  }
}

int main(void) {
  Sequence* together = zeros(sizeof(Sequence) * kSequences);
  Sequence* alone = zeros(sizeof(Sequence) * kSequences);
  prompts(together);
  prompts(alone);
  serve(together, kAtOnce, 1);
  serve(alone, 1, 0);
  int same = 1;
  for (int n = 0; n < kSequences; ++n)
    same &= memcmp(together[n].tokens, alone[n].tokens, sizeof together[n].tokens) == 0;
  printf("%s\n", same ? "every sequence says the same as when it is served alone" : "WRONG: neighbours change a sequence");
  free(together);
  free(alone);
  return same ? 0 : 1;
}
