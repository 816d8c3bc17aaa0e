// SPDX-License-Identifier: Apache-2.0
// attend: exact attention, called from C. Conventions, lifetimes and versioning rules: docs/c-abi.md.
//
//   - Every function that can fail returns an attend_status; attend_last_error_message() has the sentence behind it.
//   - Every struct that crosses the boundary begins with its size. Zero is the default of every other field: take a
//     fresh one from its `..._init()` and set what you need.
//   - What a descriptor points to is copied before the call returns. Tensors are never copied.
//   - No function keeps state between calls, apart from the error text of each thread. All may be called from any
//     thread.
#ifndef ATTEND_ATTEND_H_
#define ATTEND_ATTEND_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ATTEND_VERSION_MAJOR 0
#define ATTEND_VERSION_MINOR 1
#define ATTEND_VERSION_PATCH 0
#define ATTEND_VERSION (ATTEND_VERSION_MAJOR * 10000 + ATTEND_VERSION_MINOR * 100 + ATTEND_VERSION_PATCH)

// ---- Enumerations. Plain int32_t, so that their size does not depend on the compiler. Numbers are never reused. ----

/// Outcome of a call.
typedef int32_t attend_status;
enum {
  ATTEND_OK = 0,
  ATTEND_INVALID_ARGUMENT = 1,  ///< the request contradicts itself; the text names argument, found and expected
  ATTEND_UNSUPPORTED = 2,       ///< a sound request that no kernel of this build takes; the text says why
  ATTEND_OUT_OF_MEMORY = 3,
  ATTEND_DEVICE = 4,
  ATTEND_INTERNAL = 5  ///< a defect of the library
};

/// Element type of a tensor.
typedef int32_t attend_dtype;
enum { ATTEND_F32 = 0, ATTEND_F16 = 1, ATTEND_BF16 = 2 };

/// Element type of cumulative lengths.
typedef int32_t attend_index_type;
enum { ATTEND_INT32 = 0, ATTEND_INT64 = 1 };

/// Order of a tensor's elements in memory; the last letter varies fastest.
typedef int32_t attend_layout;
enum {
  ATTEND_STRIDED = -1,  ///< the strides of the descriptor
  ATTEND_BSHD = 0,      ///< [batch][row][head][column], dense
  ATTEND_BHSD = 1,      ///< [batch][head][row][column], dense
  ATTEND_THD = 2        ///< [token][head][column], dense: sequences one after the other, for cumulative lengths
};

/// What a mask term keeps; see attend_mask_term.
typedef int32_t attend_mask_kind;
enum {
  ATTEND_MASK_CAUSAL = 0,           ///< key <= query + sk - sq: the last query sees the last key
  ATTEND_MASK_CAUSAL_TOP_LEFT = 1,  ///< key <= query: the first query sees the first key
  ATTEND_MASK_WINDOW = 2,
  ATTEND_MASK_CHUNK = 3,
  ATTEND_MASK_PREFIX_LM = 4,
  ATTEND_MASK_DOCUMENTS = 5,
  ATTEND_MASK_BLOCK_SPARSE = 6,
  ATTEND_MASK_PADDING = 7,
  ATTEND_MASK_TREE = 8,
  ATTEND_MASK_DENSE = 9,
  ATTEND_MASK_STREAMING = 10
};

/// How the tokens of sequences are placed in a cache; see attend_kv_cache_desc.
typedef int32_t attend_kv_placement;
enum { ATTEND_KV_CONTIGUOUS = 0, ATTEND_KV_RING = 1, ATTEND_KV_PAGED = 2 };

/// How elements of cached keys and values are stored.
typedef int32_t attend_kv_format;
enum {
  ATTEND_KV_PLAIN = 0,         ///< as k_type and v_type say
  ATTEND_KV_INT8 = 1,          ///< signed bytes, one f32 scale for each token and head
  ATTEND_KV_INT8_CHANNEL = 2,  ///< signed bytes, one f32 scale for each head and column
  ATTEND_KV_INT4_32 = 3,       ///< two codes in a byte, one bf16 scale for 32 columns of a token and head
  ATTEND_KV_INT4_64 = 4,       ///< the same for 64 columns
  ATTEND_KV_E4M3 = 5           ///< 8-bit floats, one f32 scale for each token and head
};

/// What the bits of a row may depend on (docs/determinism.md); never on threads.
typedef int32_t attend_guarantee;
enum {
  ATTEND_DETERMINISTIC = 0,  ///< on the Problem
  ATTEND_FAST = 1,           ///< on the Problem; leave to round more than the types ask for; no kernel of today uses it
  ATTEND_BATCH_INVARIANT = 2  ///< on its own sequence alone, however its queries are cut into calls
};

/// Where a kernel rounds (docs/numerics.md).
typedef int32_t attend_arithmetic;
enum {
  ATTEND_ARITHMETIC_F32 = 0,         ///< inputs widened exactly; everything in f32
  ATTEND_ARITHMETIC_BF16_DOT = 1,    ///< q, k, v and probabilities in bf16, products summed in f32
  ATTEND_ARITHMETIC_F32_SCALED = 2,  ///< as f32, the scale applied to finished products
  ATTEND_ARITHMETIC_MMA16 = 3        ///< 16-bit q, k, v and probabilities, products summed in f32
};

/// A schedule of the literature whose memory traffic is counted; the numbers of attend::Schedule.
typedef int32_t attend_schedule;
enum {
  ATTEND_SCHEDULE_NAIVE = 0,  ///< QK^T and its softmax are written and read back
  ATTEND_SCHEDULE_FLASH_ATTENTION_1 =
      1  ///< FlashAttention (arXiv:2205.14135), algorithm 1; skipped tiles are not moved
};

// ---- Status and version ----

/// `ok`, `invalid_argument`, ...; "?" for a number that is no status. Never NULL; static.
const char* attend_status_string(attend_status status);

/// Text of this thread's last call that failed: `<operation>: <argument> is <found>, expected <what>`. Empty before the
/// first failure; successful calls leave it alone. Never NULL; valid until the next failure on this thread.
const char* attend_last_error_message(void);

/// ATTEND_VERSION of the library that runs, which may be newer than the header's.
int32_t attend_version(void);
/// `0.1.0`; static.
const char* attend_version_string(void);
/// Version, compiler, build type and target of the library, one line; static.
const char* attend_build_info(void);

/// `f32`, `f16`, `bf16`; "?" for another number. Never NULL; static.
const char* attend_dtype_name(attend_dtype dtype);
/// Bytes of one element; 0 for a number that is no type.
int32_t attend_dtype_bytes(attend_dtype dtype);
/// `causal`, `window`, ...: the name in the text form; "?" for another number. Never NULL; static.
const char* attend_mask_name(attend_mask_kind kind);

// ---- The Problem: what is asked ----

/// Distance in elements between neighbours; columns are contiguous. Row r of sequence n, head h begins at
/// n * batch + r * row + h * head; with cumulative lengths at (cu[n] + r) * row + h * head. Inputs may have zeros
/// (broadcast).
typedef struct attend_strides {
  int64_t batch, row, head;
} attend_strides;

/// One term of a mask; a pair of query and key counts when every term of the Problem keeps it. Fields that a kind does
/// not name stay 0. Positions are counted in each sequence; query i's own position is i + sk - sq (bottom-right).
///
///   CAUSAL           keeps keys up to the query's own position.
///   CAUSAL_TOP_LEFT  keeps keys up to the query's index.
///   WINDOW           keeps a keys before the own position, b after it, and itself; -1 means no limit on that side.
///   CHUNK            keeps keys of the chunk that the own position lies in; a: keys of a chunk.
///   PREFIX_LM        keeps the first keys of each sequence, and causal after them.
///                    data: int64_t [1 or b], how many.
///   DOCUMENTS        keeps keys of the document that the own position lies in.
///                    data: int64_t, rising, from 0: where each document begins, and where the last one ends.
///   BLOCK_SPARSE     keeps pairs in listed tiles; a, b: queries and keys of a tile, tile (0, 0) holds pair (0, 0);
///                    per_head: 1 for a pattern for each query head.
///                    data: int64_t [heads * ceil(sq / a) + 1], row pointers; data2: int32_t, columns, rising per row.
///   PADDING          keeps keys begin[n] to end[n] - 1 of sequence n.
///                    data: int64_t end [b]; data2: int64_t begin [b], or NULL for 0.
///   TREE             keeps all keys before the last a, and of those the ones in a bit set.
///                    data: uint64_t [sq or b * sq][ceil(a / 64)]; bit i of row r: query r sees key sk - a + i.
///   DENSE            keeps pairs whose byte is not 0; per_batch, per_head: 1 where the array has that dimension.
///                    data: uint8_t [b or 1][hq or 1][sq][sk].
///   STREAMING        keeps the first a keys of a sequence, and those from b before the own position on.
typedef struct attend_mask_term {
  size_t struct_size;  ///< sizeof(attend_mask_term), the same for all terms of one array
  attend_mask_kind kind;
  int32_t per_batch;
  int32_t per_head;
  int32_t reserved;  ///< 0
  int64_t a, b;
  const void* data;
  int64_t count;  ///< elements behind data
  const void* data2;
  int64_t count2;
} attend_mask_term;

/// Where keys and values lie that are kept in a cache, and what their elements are (docs/caches.md). Row r of entry e,
/// head h begins at e * batch + r * row + h * head of k_strides and v_strides, in elements. Token t of sequence n is
///
///   CONTIGUOUS  row first[n] + t of entry[n]
///   RING        row t mod rows of entry[n]; what is overwritten must be hidden by the mask, as a window does
///   PAGED       row (first[n] + t) mod rows of the sequence's page (first[n] + t) / rows
typedef struct attend_kv_cache_desc {
  size_t struct_size;
  attend_kv_placement placement;
  attend_kv_format k_format, v_format;
  int32_t k_mean;          ///< 1: f32 [hk][d] are given at run and added to each decoded key
  int64_t entries;         ///< entries, or pages, in memory
  int64_t rows;            ///< tokens that an entry or page holds
  const int32_t* lengths;  ///< tokens of each sequence, b of them
  int64_t lengths_count;
  const int32_t* first;  ///< rows before the first token, b; NULL: 0
  int64_t first_count;
  const int32_t* entry;  ///< not with PAGED: entry of each sequence, b; NULL: its own number
  int64_t entry_count;
  const int32_t* pages;  ///< PAGED: page numbers
  int64_t pages_count;
  int64_t table_width;   ///< PAGED: pages of sequence n begin at n * table_width, or, when 0,
  const void* cu_pages;  ///< at cu_pages[n]; b + 1 numbers
  int64_t cu_pages_count;
  attend_index_type cu_pages_type;
  int32_t reserved;  ///< 0
  /// Where scales of a token begin, in scales, with ATTEND_STRIDED; scales of columns are [hk][columns], dense.
  attend_strides k_scale_strides, v_scale_strides;
} attend_kv_cache_desc;

/// What one exact forward pass is asked to compute:
///
///   s = scale * q.k;  s = softcap * tanh(s / softcap);  s += -slope * |own position - k|;  s += bias
///   o = softmax(s over the kept keys, and the sink) . v        lse = log(sum of exp(s), sink included), natural
///
/// A row without a key gives o = 0 and lse = -infinity (lse = sink when there is one).
typedef struct attend_attention_fwd_desc {
  size_t struct_size;  ///< sizeof(attend_attention_fwd_desc)
  int64_t b;           ///< sequences
  int64_t hq, hk;      ///< query and key/value heads; hq is a multiple of hk, head h reads key head h / (hq / hk)
  int64_t sq, sk;      ///< lengths; with cumulative lengths the longest, or 0 to have it found
  int64_t d, dv;       ///< columns of q and k, and of v and o: 1 to 512. dv 0: as d
  attend_dtype q_type, k_type, v_type, o_type;
  attend_layout layout;  ///< of all four tensors; ATTEND_STRIDED: the strides below, which are 0 otherwise
  int32_t has_scale;     ///< 0: scale is 1 / sqrt(d), and the field below 0
  attend_strides q_strides, k_strides, v_strides, o_strides;
  double scale;
  double softcap;  ///< 0: none
  int32_t alibi;   ///< 1: slopes are given at run, [hq] or with alibi_per_batch [b][hq]
  int32_t alibi_per_batch;
  int32_t sink;                             ///< 1: one logit per query head is given at run, [hq]
  int32_t lse;                              ///< 1: lse is written, f32: [b][hq][sq], with cu_q [hq][cu_q[b]]
  int32_t bias;                             ///< 1: f32 values are given at run, [b or 1][hq or 1][sq or 1][sk], dense
  int32_t bias_batch, bias_head, bias_row;  ///< 1 where the bias has that dimension
  const void* cu_q;                ///< cumulative query lengths, b + 1 numbers from 0; NULL: every sequence has sq
  const void* cu_k;                ///< the same for keys; each side for itself
  int64_t cu_q_count, cu_k_count;  ///< b + 1 where given, else 0
  attend_index_type cu_q_type, cu_k_type;
  const attend_mask_term* mask_terms;  ///< may be NULL when mask_count is 0: every pair counts
  int64_t mask_count;
  /// NULL: k and v are tensors. Else they lie in a cache, which has their lengths: sk is 0 or the longest, cu_k NULL.
  /// For formats with scales k_type and v_type say to what a kernel may round a decoded element. The layout of k and v
  /// is that of an entry: ATTEND_BSHD token-major, ATTEND_BHSD head-major.
  const attend_kv_cache_desc* cache;
} attend_attention_fwd_desc;

/// A checked Problem. Immutable; owns copies of all arrays that the descriptor pointed to.
typedef struct attend_attention_fwd attend_attention_fwd;

/// Makes a Problem. On failure *problem is NULL.
/// Errors: invalid_argument naming the field; out_of_memory.
attend_status attend_attention_fwd_create(const attend_attention_fwd_desc* desc, attend_attention_fwd** problem);
/// The same from one line of text (docs/problem-text.md), as
/// `attention_fwd b=1 hq=8 hk=2 sq=512 sk=512 d=64 dtype=f32 mask=causal`.
attend_status attend_attention_fwd_create_from_text(const char* text, attend_attention_fwd** problem);
/// NULL is accepted.
void attend_attention_fwd_destroy(attend_attention_fwd* problem);

/// Writes the line that stands for the Problem, as snprintf does: at most `size` bytes with the final 0, cut off when
/// longer. *length, if not NULL, becomes the length of the whole text without the 0. `buffer` may be NULL if size is 0.
attend_status attend_attention_fwd_text(const attend_attention_fwd* problem, char* buffer, size_t size, size_t* length);

/// Fills *desc (struct_size set by the caller, see attend_attention_fwd_desc_init) with every field of the Problem; the
/// layout is ATTEND_STRIDED. Pointers refer to memory of the Problem and live as long as it.
attend_status attend_attention_fwd_describe(const attend_attention_fwd* problem, attend_attention_fwd_desc* desc);

/// What a Problem costs and how large its side arrays are.
typedef struct attend_attention_fwd_cost {
  size_t struct_size;
  int64_t visible_pairs;  ///< (query, key) pairs kept, summed over sequences and query heads
  double flops;           ///< 2 * visible_pairs * (d + dv)
  double bytes;           ///< q, k, v read once and o (and lse) written once
  int64_t lse_elements;   ///< 0 when no lse is asked for
  int64_t bias_elements;  ///< 0 without a bias
} attend_attention_fwd_cost;
/// Fills *cost, struct_size set by the caller.
attend_status attend_attention_fwd_query_cost(const attend_attention_fwd* problem, attend_attention_fwd_cost* cost);

/// Bytes that cross between main memory and a memory level of limited size (docs/memory-traffic.md).
typedef struct attend_memory_traffic {
  size_t struct_size;
  int64_t read;     ///< from main memory
  int64_t written;  ///< to main memory
} attend_memory_traffic;
/// What the schedule moves with the largest tiles that level_bytes hold. Fills *traffic, struct_size set by the caller.
/// Error: invalid_argument for a level that does not hold a row and a key.
attend_status attend_attention_fwd_query_traffic(const attend_attention_fwd* problem, attend_schedule schedule,
                                                 int64_t level_bytes, attend_memory_traffic* traffic);

// ---- Devices ----

/// Where plans run, and whose memory their pointers name. Immutable; any number of threads may use one.
typedef struct attend_device attend_device;

/// The first CUDA device, through the driver that is found when this is called. On failure *device is NULL.
/// Error: device, saying what is missing: the driver's library, a device, a function of a newer driver.
attend_status attend_device_create_cuda(attend_device** device);
/// NULL is accepted. Plans and memory of the device live on.
void attend_device_destroy(attend_device* device);
/// What the driver calls it, as snprintf writes; buffer as in attend_attention_fwd_text.
attend_status attend_device_name(const attend_device* device, char* buffer, size_t size, size_t* length);

// Memory of the device, for programs that have no other library for it. A stream is a cudaStream_t; NULL is the default
// stream.
/// 64-byte aligned at least, contents undefined. On failure *memory is NULL. Error: out_of_memory.
attend_status attend_device_allocate(const attend_device* device, size_t bytes, void** memory);
/// NULL is accepted.
attend_status attend_device_free(const attend_device* device, void* memory);
/// Both wait until the bytes have been copied.
attend_status attend_device_copy_to_device(const attend_device* device, void* to, const void* from, size_t bytes,
                                           void* stream);
attend_status attend_device_copy_to_host(const attend_device* device, void* to, const void* from, size_t bytes,
                                         void* stream);
/// Waits for all work of the stream. Error: device, for what went wrong in it.
attend_status attend_device_synchronize(const attend_device* device, void* stream);

// ---- The Plan: how it will be computed ----

/// Threads that the caller brings. Copied; `self` must stay valid until the plans made with it are destroyed.
typedef struct attend_executor {
  size_t struct_size;
  /// Calls task(arg, worker) once for each worker in [0, workers), in any order, concurrently or one after the other,
  /// and returns when all have returned. Must not throw or jump out.
  void (*parallel)(void* self, int workers, void (*task)(void* arg, int worker), void* arg);
  void* self;
  int32_t workers;   ///< how many may run at the same time, at least 1
  int32_t reserved;  ///< 0
} attend_executor;

typedef struct attend_plan_options {
  size_t struct_size;
  int32_t threads;                  ///< 0: executor->workers, or ATTEND_NUM_THREADS, or what OpenMP says
  attend_guarantee guarantee;       ///< what the bits of a row may depend on
  const attend_executor* executor;  ///< NULL: the OpenMP runtime of the process
  const char* kernel;               ///< ask for this kernel by name; NULL: the fastest that takes the Problem
  const attend_device* device;      ///< where it runs; NULL: the CPU. May be destroyed when the plan has been made
  int32_t flat;  ///< 1: pages that sequences share are computed for each of them; 0: once, and merged (docs/decode.md)
  int32_t reserved;  ///< 0
} attend_plan_options;

/// A chosen kernel with its tiles and workspace. Immutable: may be run from several threads at once, each with its own
/// workspace. Lives on when the Problem is destroyed.
typedef struct attend_attention_fwd_plan attend_attention_fwd_plan;

/// Chooses a kernel. `options` may be NULL. On failure *plan is NULL.
/// Errors: invalid_argument; unsupported, listing every kernel and its reason; out_of_memory.
attend_status attend_attention_fwd_plan_create(const attend_attention_fwd* problem, const attend_plan_options* options,
                                               attend_attention_fwd_plan** plan);
/// NULL is accepted.
void attend_attention_fwd_plan_destroy(attend_attention_fwd_plan* plan);

typedef struct attend_plan_info {
  size_t struct_size;
  const char* kernel;  ///< as `attention_fwd.avx512.f32`; lives as long as the plan, as does the next
  const char* isa;     ///< as `avx512`
  attend_arithmetic arithmetic;
  int32_t threads;
  int64_t tile_rows;  ///< with tile_keys: the tiles of which the kernel asks whether the mask skips them
  int64_t tile_keys;
  size_t workspace_bytes;  ///< what run needs, at any alignment
  int64_t candidate_count;
} attend_plan_info;
/// Fills *info, struct_size set by the caller.
attend_status attend_attention_fwd_plan_query(const attend_attention_fwd_plan* plan, attend_plan_info* info);

/// One kernel's answer to the Problem.
typedef struct attend_candidate {
  size_t struct_size;
  const char* kernel;  ///< lives as long as the plan, as does `reason`
  const char* reason;  ///< why not; for the chosen kernel: why it
  int32_t accepted;
  int32_t reserved;
} attend_candidate;
/// Fills *candidate (struct_size set by the caller) for index 0 to candidate_count - 1.
attend_status attend_attention_fwd_plan_candidate(const attend_attention_fwd_plan* plan, int64_t index,
                                                  attend_candidate* candidate);

/// Several lines for a person: kernel, tiles, workspace, why nothing faster. Buffer as in attend_attention_fwd_text.
attend_status attend_attention_fwd_plan_explain(const attend_attention_fwd_plan* plan, char* buffer, size_t size,
                                                size_t* length);

/// What the plan's work list moves when one worker does all of it, in order, through a level of level_bytes. Fills
/// *traffic, struct_size set by the caller. Error: invalid_argument for a level that does not hold a tile of keys and
/// what a worker computes in.
attend_status attend_attention_fwd_plan_query_traffic(const attend_attention_fwd_plan* plan, int64_t level_bytes,
                                                      attend_memory_traffic* traffic);

/// Memory of one run. Arrays that the Problem does not ask for are ignored.
typedef struct attend_attention_fwd_args {
  size_t struct_size;
  const void* q;
  const void* k;
  const void* v;
  void* o;
  float* lse;
  const float* alibi_slopes;
  const float* bias;
  const float* sink;
  void* stream;          ///< a cudaStream_t; NULL: the default stream. Plans for the CPU do not look at it
  const void* k_scales;  ///< of formats that have scales
  const void* v_scales;
  const float* k_mean;  ///< [hk][d]
} attend_attention_fwd_args;

/// Computes; on a device: puts the work into the stream and returns. Allocates nothing. `workspace` has the plan's
/// workspace_bytes or more, in the memory of the device; NULL is fine when that is 0.
/// Errors: invalid_argument for a missing pointer or a small workspace.
attend_status attend_attention_fwd_run(const attend_attention_fwd_plan* plan, const attend_attention_fwd_args* args,
                                       void* workspace, size_t workspace_bytes);
/// The same with a workspace that it allocates and frees; on a device, if the plan needs one, it waits until the work
/// is done. Error: out_of_memory as well.
attend_status attend_attention_fwd_run_alloc(const attend_attention_fwd_plan* plan,
                                             const attend_attention_fwd_args* args);

// ---- The backward pass ----

/// What the backward pass of a Problem writes, and what dO is; filled by attend_attention_bwd_desc_of.
typedef struct attend_attention_bwd_desc {
  size_t struct_size;
  attend_dtype do_type, dq_type, dk_type, dv_type;
  attend_strides do_strides, dq_strides, dk_strides, dv_strides;  ///< dO and dQ as q and o, dK and dV as k and v
  int32_t dbias;  ///< 1: the bias, which the Problem must have, gets a gradient
  int32_t dsink;  ///< 1: the sink does
} attend_attention_bwd_desc;
/// Fills *desc (struct_size set by the caller): dO as o is, dQ, dK and dV as q, k and v are, or dense [b][row][head]
/// where an input repeats numbers; no dbias, no dsink.
attend_status attend_attention_bwd_desc_of(const attend_attention_fwd* forward, attend_attention_bwd_desc* desc);

/// The gradients of a scalar L with respect to what a forward pass read, from dO = dL/dO and the o and lse it wrote:
///
///   P = exp(s - lse)      D = rowsum(dO * O)      dS = P * (dO . V^T - D), times the softcap's derivative
///   dV = P^T . dO         dQ = scale * dS . K     dK = scale * dS^T . Q
///
/// dK and dV are summed over the query heads of a group, dbias over the indices that the bias does not have, dsink over
/// sequences and rows. Rows with lse = -infinity and masked keys contribute exactly nothing (docs/backward.md).
typedef struct attend_attention_bwd_plan attend_attention_bwd_plan;

/// `forward` may or may not write lse itself. `desc` and `options` may be NULL. On failure *plan is NULL.
/// Errors: invalid_argument; unsupported, listing every kernel and its reason; out_of_memory.
attend_status attend_attention_bwd_plan_create(const attend_attention_fwd* forward,
                                               const attend_attention_bwd_desc* desc,
                                               const attend_plan_options* options, attend_attention_bwd_plan** plan);
/// NULL is accepted.
void attend_attention_bwd_plan_destroy(attend_attention_bwd_plan* plan);
/// Fills *info, struct_size set by the caller.
attend_status attend_attention_bwd_plan_query(const attend_attention_bwd_plan* plan, attend_plan_info* info);
/// Several lines for a person. Buffer as in attend_attention_fwd_text.
attend_status attend_attention_bwd_plan_explain(const attend_attention_bwd_plan* plan, char* buffer, size_t size,
                                                size_t* length);

/// Memory of one run. Arrays that the Problem does not ask for are ignored.
typedef struct attend_attention_bwd_args {
  size_t struct_size;
  const void* q;
  const void* k;
  const void* v;
  const void* o;     ///< as the forward pass wrote it
  const float* lse;  ///< likewise
  const void* dout;  ///< dO
  const float* alibi_slopes;
  const float* bias;
  const float* sink;
  void* dq;
  void* dk;
  void* dv;
  float* dbias;  ///< shaped as the bias
  float* dsink;  ///< [hq]
} attend_attention_bwd_args;

/// Computes; the same input gives the same bits, whatever the threads. Allocates nothing. `workspace` has the plan's
/// workspace_bytes or more. Errors: invalid_argument for a missing pointer or a small workspace.
attend_status attend_attention_bwd_run(const attend_attention_bwd_plan* plan, const attend_attention_bwd_args* args,
                                       void* workspace, size_t workspace_bytes);
/// The same with a workspace that it allocates and frees. Error: out_of_memory as well.
attend_status attend_attention_bwd_run_alloc(const attend_attention_bwd_plan* plan,
                                             const attend_attention_bwd_args* args);

// ---- One call ----

/// Plan and run at once, for dense tensors of one type: q, o [b][sq][hq][d] and k, v [b][sk][hk][d] (ATTEND_BSHD), or
/// with the two middle dimensions exchanged (ATTEND_BHSD). Arguments mean what FlashAttention's of the same name mean.
/// lse            f32 [b][hq][sq], or NULL
/// softmax_scale  0: 1 / sqrt(d)            softcap  0: none
/// causal         0 or 1, bottom-right aligned
/// window_left, window_right                keys before and after the query's own position; -1: no limit
/// Errors: invalid_argument naming the argument; unsupported; out_of_memory.
attend_status attend_attention(const void* q, const void* k, const void* v, void* o, float* lse, attend_dtype dtype,
                               attend_layout layout, int64_t b, int64_t hq, int64_t hk, int64_t sq, int64_t sk,
                               int64_t d, double softmax_scale, int32_t causal, int64_t window_left,
                               int64_t window_right, double softcap);

// ---- Partial results ----

/// Attention over disjoint parts of the keys, joined to that over all of them:
///
///   lse = log(sum of exp(lse_i))        o = sum of exp(lse_i - lse) * o_i
///
/// A part without keys has lse = -infinity; its o is not read. The order of the parts and how keys are cut do not
/// matter but for rounding (docs/merge.md); the same call gives the same bits, whatever the threads.
typedef struct attend_merge_desc {
  size_t struct_size;
  int64_t b, rows, heads, cols;  ///< of o, and of each part
  attend_dtype part_type, o_type;
  attend_layout layout;  ///< ATTEND_BSHD, ATTEND_BHSD, or ATTEND_STRIDED: the strides below
  int32_t threads;       ///< 0: executor->workers, or ATTEND_NUM_THREADS, or what OpenMP says
  attend_strides part_strides, o_strides;
  const attend_executor* executor;  ///< NULL: the OpenMP runtime of the process
} attend_merge_desc;

/// parts, parts_lse   `count` pointers each, the latter to [b][heads][rows]
/// lse                [b][heads][rows], or NULL
/// o and lse may be those of a part. Errors: invalid_argument naming the argument; out_of_memory.
attend_status attend_merge(const attend_merge_desc* desc, const void* const* parts, const float* const* parts_lse,
                           int64_t count, void* o, float* lse);
/// Rows with different numbers of parts, b = 1: row r's parts are cu_parts[r] to cu_parts[r + 1] - 1.
///
/// parts      [cu_parts[rows]][heads][cols], or as the row and head strides of part_strides say
/// parts_lse  [cu_parts[rows]][heads]
/// cu_parts   rows + 1 numbers of that type; cu_parts_count says how many
/// lse        [rows][heads], or NULL
/// Outputs do not overlap inputs. Errors: as above.
attend_status attend_merge_ragged(const attend_merge_desc* desc, const void* parts, const float* parts_lse,
                                  const void* cu_parts, int64_t cu_parts_count, attend_index_type cu_parts_type,
                                  void* o, float* lse);

/// Natural logarithms to base 2 (FlashInfer's unit) and back, `count` values. `in` and `out` may be the same array.
attend_status attend_lse_natural_to_base2(const float* in, float* out, size_t count);
attend_status attend_lse_base2_to_natural(const float* in, float* out, size_t count);

// ---- Writing into a cache ----

/// Rotary position embedding: pair i of a row at position p is turned by p * frequencies[i] radians; pairs are halves
/// apart (i, i + pairs), or interleaved (2i, 2i + 1). Columns from 2 * pairs on stay.
typedef struct attend_rope {
  size_t struct_size;
  int32_t interleaved;  ///< 0 or 1
  float magnitude;      ///< multiplies what is rotated; 0 means 1
  const float* frequencies;
  int64_t pairs;
} attend_rope;

/// How rotary frequencies are stretched for sequences longer than those of the training (attend/rope.hpp).
typedef int32_t attend_rope_scaling;
enum {
  ATTEND_ROPE_NONE = 0,
  ATTEND_ROPE_LINEAR = 1,
  ATTEND_ROPE_NTK = 2,
  ATTEND_ROPE_LLAMA3 = 3,
  ATTEND_ROPE_YARN = 4
};
typedef struct attend_rope_options {
  size_t struct_size;
  int64_t dims;  ///< rotated columns, even; dims / 2 frequencies are written
  double base;   ///< 0 means 10000
  attend_rope_scaling scaling;
  int32_t reserved;               ///< 0
  double factor;                  ///< 0 means 1
  int64_t trained_length;         ///< llama3, yarn: tokens; 0 means 8192
  double low_turns, high_turns;   ///< llama3: 0 means 1 and 4
  double slow_turns, fast_turns;  ///< yarn: 0 means 1 and 32
} attend_rope_options;
/// Fills frequencies [dims / 2], and *magnitude, which may be NULL.
attend_status attend_rope_frequencies(const attend_rope_options* options, float* frequencies, float* magnitude);

/// Turns rows of [b][rows][heads][cols] with dense layout ATTEND_BSHD, from and to the same memory or not. positions
/// has one number for each (sequence, row).
attend_status attend_rotate(const attend_rope* rope, attend_dtype dtype, int64_t b, int64_t rows, int64_t heads,
                            int64_t cols, const void* from, const int32_t* positions, void* to);

/// New keys and values, and the cache that they go into.
typedef struct attend_kv_append_args {
  size_t struct_size;
  const void* new_k;  ///< rows as those of q, with hk heads
  const void* new_v;
  attend_dtype type;  ///< of both
  int32_t threads;    ///< 0: ATTEND_NUM_THREADS, or what OpenMP says
  attend_strides new_k_strides, new_v_strides;
  const attend_rope* rope;   ///< turns keys before they are stored; NULL: none
  const int32_t* positions;  ///< of each new token; NULL: its own place in its sequence
  int64_t positions_count;
  void* k;
  void* v;
  void* k_scales;  ///< of formats that have scales: written for tokens, read for channels
  void* v_scales;
  const float* k_mean;  ///< subtracted from keys when the cache has k_mean
} attend_kv_append_args;
/// Writes the tokens at which the Problem's queries stand, the last ones of each sequence, into its cache, encoded.
/// Errors: invalid_argument naming the argument.
attend_status attend_kv_append(const attend_attention_fwd* problem, const attend_kv_append_args* args);

/// Encodes or decodes one row of a cache (docs/caches.md). `type` is that of plain elements.
attend_status attend_kv_encode(attend_kv_format format, attend_dtype type, const float* from, int64_t columns,
                               void* row, void* scales);
attend_status attend_kv_decode(attend_kv_format format, attend_dtype type, const void* row, const void* scales,
                               int64_t columns, float* to);

// ---- Pages of a KV cache ----

/// Which page of a cache holds which tokens of which sequence: reference counts, copy-on-write, prefixes found again by
/// their tokens, eviction of what was used least recently (docs/caches.md). Pages are numbers; their K and V are the
/// caller's memory. Not for several threads at once.
typedef struct attend_kv_pages attend_kv_pages;

/// Errors of all calls below: invalid_argument naming the argument; out_of_memory.
/// pages           1 to 2^31 - 1
/// page_size       tokens of a page, at least 1
/// share_prefixes  1: full pages are found again by their tokens and those before them; 0: never
attend_status attend_kv_pages_create(int64_t pages, int64_t page_size, int32_t share_prefixes, attend_kv_pages** made);
/// NULL is accepted.
void attend_kv_pages_destroy(attend_kv_pages* pages);

/// A new sequence. It begins with the longest prefix of the tokens that is cached in whole pages; *cached says how many
/// tokens these are. Their K and V are there.
attend_status attend_kv_pages_begin(attend_kv_pages* pages, const int32_t* tokens, int64_t count, int64_t* sequence,
                                    int64_t* cached);

/// Before anything is written behind them, K and V of the first `tokens` tokens of page `from` go to page `to`.
typedef struct attend_kv_copy {
  size_t struct_size;
  int32_t from, to;
  int64_t tokens;  ///< 0: nothing is to be copied
} attend_kv_copy;
/// Room for more tokens at the end; all or nothing. Fills *copy, struct_size set by the caller.
attend_status attend_kv_pages_append(attend_kv_pages* pages, int64_t sequence, const int32_t* tokens, int64_t count,
                                     attend_kv_copy* copy);
/// Another sequence of the same tokens in the same pages.
attend_status attend_kv_pages_fork(attend_kv_pages* pages, int64_t sequence, int64_t* forked);
/// Forgets the tokens from `length` on.
attend_status attend_kv_pages_truncate(attend_kv_pages* pages, int64_t sequence, int64_t length);
/// The sequence is no more; its full pages stay cached until their room is needed.
attend_status attend_kv_pages_end(attend_kv_pages* pages, int64_t sequence);
/// The sequence's pages in order, valid until the next call that changes it; each of the three may be NULL.
attend_status attend_kv_pages_lookup(const attend_kv_pages* pages, int64_t sequence, const int32_t** list,
                                     int64_t* count, int64_t* length);

typedef struct attend_kv_pages_info {
  size_t struct_size;
  int64_t pages, page_size;
  int64_t free, used, cached;  ///< hold nothing; of sequences; of none, kept until their room is needed
  int64_t sequences;
  int64_t asked_tokens, found_tokens;  ///< of all begins: given, and found in the cache
  int64_t evicted, copied;             ///< pages, since the creation
} attend_kv_pages_info;
/// Fills *info, struct_size set by the caller.
attend_status attend_kv_pages_query(const attend_kv_pages* pages, attend_kv_pages_info* info);

// ---- The machine ----

/// What this process can use of the machine, found at creation. Immutable.
typedef struct attend_machine attend_machine;
attend_status attend_machine_create(attend_machine** machine);
/// NULL is accepted.
void attend_machine_destroy(attend_machine* machine);

typedef struct attend_machine_info {
  size_t struct_size;
  const char* cpu;  ///< model name; lives as long as the machine, as does the next
  const char* vendor;
  int64_t l1d_bytes, l2_bytes, l3_bytes;  ///< 0 when unknown
  int32_t cores;                          ///< that this process may use
  int32_t isa_count;                      ///< instruction sets that kernels are compiled for
} attend_machine_info;
/// Fills *info, struct_size set by the caller.
attend_status attend_machine_query(const attend_machine* machine, attend_machine_info* info);

/// One instruction set that kernels are compiled for, slowest first.
typedef struct attend_isa_info {
  size_t struct_size;
  const char* name;    ///< as `avx2`; lives as long as the machine, as does `reason`
  const char* reason;  ///< why it is not available; empty when it is
  int32_t available;
  int32_t reserved;
} attend_isa_info;
/// Fills *isa (struct_size set by the caller) for index 0 to isa_count - 1.
attend_status attend_machine_query_isa(const attend_machine* machine, int32_t index, attend_isa_info* isa);

#ifdef __cplusplus
}  // extern "C"
#endif

// ---- Fresh structs: zero, with their size as this header knows it ----

#define ATTEND_DEFINE_INIT(type)         \
  static inline type type##_init(void) { \
    type value;                          \
    memset(&value, 0, sizeof value);     \
    value.struct_size = sizeof value;    \
    return value;                        \
  }
ATTEND_DEFINE_INIT(attend_attention_fwd_desc)
ATTEND_DEFINE_INIT(attend_attention_fwd_cost)
ATTEND_DEFINE_INIT(attend_attention_fwd_args)
ATTEND_DEFINE_INIT(attend_memory_traffic)
ATTEND_DEFINE_INIT(attend_attention_bwd_desc)
ATTEND_DEFINE_INIT(attend_attention_bwd_args)
ATTEND_DEFINE_INIT(attend_executor)
ATTEND_DEFINE_INIT(attend_merge_desc)
ATTEND_DEFINE_INIT(attend_kv_append_args)
ATTEND_DEFINE_INIT(attend_kv_cache_desc)
ATTEND_DEFINE_INIT(attend_kv_copy)
ATTEND_DEFINE_INIT(attend_kv_pages_info)
ATTEND_DEFINE_INIT(attend_plan_options)
ATTEND_DEFINE_INIT(attend_plan_info)
ATTEND_DEFINE_INIT(attend_candidate)
ATTEND_DEFINE_INIT(attend_machine_info)
ATTEND_DEFINE_INIT(attend_rope)
ATTEND_DEFINE_INIT(attend_rope_options)
ATTEND_DEFINE_INIT(attend_isa_info)
#undef ATTEND_DEFINE_INIT

/// A mask term of this kind with all else 0: complete for the causal ones.
static inline attend_mask_term attend_mask_term_init(attend_mask_kind kind) {
  attend_mask_term term;
  memset(&term, 0, sizeof term);
  term.struct_size = sizeof term;
  term.kind = kind;
  return term;
}

/// ATTEND_MASK_WINDOW; -1 means no limit on that side.
static inline attend_mask_term attend_mask_window(int64_t left, int64_t right) {
  attend_mask_term term = attend_mask_term_init(ATTEND_MASK_WINDOW);
  term.a = left;
  term.b = right;
  return term;
}

/// A term whose kind takes one number and one array: `data` has `count` elements of the type that the kind names.
static inline attend_mask_term attend_mask_with_data(attend_mask_kind kind, int64_t a, const void* data,
                                                     int64_t count) {
  attend_mask_term term = attend_mask_term_init(kind);
  term.a = a;
  term.data = data;
  term.count = count;
  return term;
}

#endif  // ATTEND_ATTEND_H_
