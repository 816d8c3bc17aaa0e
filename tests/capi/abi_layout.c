/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, offsets and numbers of version 0.1, as a C compiler sees them. They are promises: a field may be appended
   (then a size here grows, together with a line in docs/c-abi.md), nothing else may change. */
#include <attend/attend.h>

#define EXPECT(name, condition) typedef char name[(condition) ? 1 : -1]
#define AT(type, field, offset) EXPECT(type##_at_##field, offsetof(type, field) == (offset))
#define SIZE(type, bytes) EXPECT(type##_size, sizeof(type) == (bytes))

EXPECT(pointers_have_64_bits, sizeof(void*) == 8);

SIZE(attend_strides, 24);
AT(attend_strides, batch, 0);
AT(attend_strides, row, 8);
AT(attend_strides, head, 16);

SIZE(attend_mask_term, 72);
AT(attend_mask_term, struct_size, 0);
AT(attend_mask_term, kind, 8);
AT(attend_mask_term, per_batch, 12);
AT(attend_mask_term, per_head, 16);
AT(attend_mask_term, reserved, 20);
AT(attend_mask_term, a, 24);
AT(attend_mask_term, b, 32);
AT(attend_mask_term, data, 40);
AT(attend_mask_term, count, 48);
AT(attend_mask_term, data2, 56);
AT(attend_mask_term, count2, 64);

SIZE(attend_merge_desc, 112);
AT(attend_merge_desc, struct_size, 0);
AT(attend_merge_desc, b, 8);
AT(attend_merge_desc, rows, 16);
AT(attend_merge_desc, heads, 24);
AT(attend_merge_desc, cols, 32);
AT(attend_merge_desc, part_type, 40);
AT(attend_merge_desc, o_type, 44);
AT(attend_merge_desc, layout, 48);
AT(attend_merge_desc, threads, 52);
AT(attend_merge_desc, part_strides, 56);
AT(attend_merge_desc, o_strides, 80);
AT(attend_merge_desc, executor, 104);

SIZE(attend_kv_copy, 24);
AT(attend_kv_copy, struct_size, 0);
AT(attend_kv_copy, from, 8);
AT(attend_kv_copy, to, 12);
AT(attend_kv_copy, tokens, 16);

SIZE(attend_kv_pages_info, 88);
AT(attend_kv_pages_info, struct_size, 0);
AT(attend_kv_pages_info, pages, 8);
AT(attend_kv_pages_info, page_size, 16);
AT(attend_kv_pages_info, free, 24);
AT(attend_kv_pages_info, used, 32);
AT(attend_kv_pages_info, cached, 40);
AT(attend_kv_pages_info, sequences, 48);
AT(attend_kv_pages_info, asked_tokens, 56);
AT(attend_kv_pages_info, found_tokens, 64);
AT(attend_kv_pages_info, evicted, 72);
AT(attend_kv_pages_info, copied, 80);

SIZE(attend_attention_fwd_desc, 296);
AT(attend_attention_fwd_desc, cache, 288);
AT(attend_attention_fwd_desc, struct_size, 0);
AT(attend_attention_fwd_desc, b, 8);
AT(attend_attention_fwd_desc, hq, 16);
AT(attend_attention_fwd_desc, hk, 24);
AT(attend_attention_fwd_desc, sq, 32);
AT(attend_attention_fwd_desc, sk, 40);
AT(attend_attention_fwd_desc, d, 48);
AT(attend_attention_fwd_desc, dv, 56);
AT(attend_attention_fwd_desc, q_type, 64);
AT(attend_attention_fwd_desc, k_type, 68);
AT(attend_attention_fwd_desc, v_type, 72);
AT(attend_attention_fwd_desc, o_type, 76);
AT(attend_attention_fwd_desc, layout, 80);
AT(attend_attention_fwd_desc, has_scale, 84);
AT(attend_attention_fwd_desc, q_strides, 88);
AT(attend_attention_fwd_desc, k_strides, 112);
AT(attend_attention_fwd_desc, v_strides, 136);
AT(attend_attention_fwd_desc, o_strides, 160);
AT(attend_attention_fwd_desc, scale, 184);
AT(attend_attention_fwd_desc, softcap, 192);
AT(attend_attention_fwd_desc, alibi, 200);
AT(attend_attention_fwd_desc, alibi_per_batch, 204);
AT(attend_attention_fwd_desc, sink, 208);
AT(attend_attention_fwd_desc, lse, 212);
AT(attend_attention_fwd_desc, bias, 216);
AT(attend_attention_fwd_desc, bias_batch, 220);
AT(attend_attention_fwd_desc, bias_head, 224);
AT(attend_attention_fwd_desc, bias_row, 228);
AT(attend_attention_fwd_desc, cu_q, 232);
AT(attend_attention_fwd_desc, cu_k, 240);
AT(attend_attention_fwd_desc, cu_q_count, 248);
AT(attend_attention_fwd_desc, cu_k_count, 256);
AT(attend_attention_fwd_desc, cu_q_type, 264);
AT(attend_attention_fwd_desc, cu_k_type, 268);
AT(attend_attention_fwd_desc, mask_terms, 272);
AT(attend_attention_fwd_desc, mask_count, 280);

SIZE(attend_attention_fwd_cost, 48);
AT(attend_attention_fwd_cost, visible_pairs, 8);
AT(attend_attention_fwd_cost, flops, 16);
AT(attend_attention_fwd_cost, bytes, 24);
AT(attend_attention_fwd_cost, lse_elements, 32);
AT(attend_attention_fwd_cost, bias_elements, 40);

SIZE(attend_memory_traffic, 24);
AT(attend_memory_traffic, struct_size, 0);
AT(attend_memory_traffic, read, 8);
AT(attend_memory_traffic, written, 16);

SIZE(attend_executor, 32);
AT(attend_executor, parallel, 8);
AT(attend_executor, self, 16);
AT(attend_executor, workers, 24);
AT(attend_executor, reserved, 28);

SIZE(attend_plan_options, 48);
AT(attend_plan_options, flat, 40);
AT(attend_plan_options, reserved, 44);
AT(attend_plan_options, threads, 8);
AT(attend_plan_options, guarantee, 12);
AT(attend_plan_options, executor, 16);
AT(attend_plan_options, kernel, 24);
AT(attend_plan_options, device, 32);

SIZE(attend_plan_info, 64);
AT(attend_plan_info, kernel, 8);
AT(attend_plan_info, isa, 16);
AT(attend_plan_info, arithmetic, 24);
AT(attend_plan_info, threads, 28);
AT(attend_plan_info, tile_rows, 32);
AT(attend_plan_info, tile_keys, 40);
AT(attend_plan_info, workspace_bytes, 48);
AT(attend_plan_info, candidate_count, 56);

SIZE(attend_candidate, 32);
AT(attend_candidate, kernel, 8);
AT(attend_candidate, reason, 16);
AT(attend_candidate, accepted, 24);

SIZE(attend_attention_bwd_desc, 128);
AT(attend_attention_bwd_desc, struct_size, 0);
AT(attend_attention_bwd_desc, do_type, 8);
AT(attend_attention_bwd_desc, dq_type, 12);
AT(attend_attention_bwd_desc, dk_type, 16);
AT(attend_attention_bwd_desc, dv_type, 20);
AT(attend_attention_bwd_desc, do_strides, 24);
AT(attend_attention_bwd_desc, dq_strides, 48);
AT(attend_attention_bwd_desc, dk_strides, 72);
AT(attend_attention_bwd_desc, dv_strides, 96);
AT(attend_attention_bwd_desc, dbias, 120);
AT(attend_attention_bwd_desc, dsink, 124);

SIZE(attend_attention_bwd_args, 120);
AT(attend_attention_bwd_args, struct_size, 0);
AT(attend_attention_bwd_args, q, 8);
AT(attend_attention_bwd_args, k, 16);
AT(attend_attention_bwd_args, v, 24);
AT(attend_attention_bwd_args, o, 32);
AT(attend_attention_bwd_args, lse, 40);
AT(attend_attention_bwd_args, dout, 48);
AT(attend_attention_bwd_args, alibi_slopes, 56);
AT(attend_attention_bwd_args, bias, 64);
AT(attend_attention_bwd_args, sink, 72);
AT(attend_attention_bwd_args, dq, 80);
AT(attend_attention_bwd_args, dk, 88);
AT(attend_attention_bwd_args, dv, 96);
AT(attend_attention_bwd_args, dbias, 104);
AT(attend_attention_bwd_args, dsink, 112);

SIZE(attend_kv_cache_desc, 184);
AT(attend_kv_cache_desc, struct_size, 0);
AT(attend_kv_cache_desc, placement, 8);
AT(attend_kv_cache_desc, k_format, 12);
AT(attend_kv_cache_desc, v_format, 16);
AT(attend_kv_cache_desc, k_mean, 20);
AT(attend_kv_cache_desc, entries, 24);
AT(attend_kv_cache_desc, rows, 32);
AT(attend_kv_cache_desc, lengths, 40);
AT(attend_kv_cache_desc, lengths_count, 48);
AT(attend_kv_cache_desc, first, 56);
AT(attend_kv_cache_desc, first_count, 64);
AT(attend_kv_cache_desc, entry, 72);
AT(attend_kv_cache_desc, entry_count, 80);
AT(attend_kv_cache_desc, pages, 88);
AT(attend_kv_cache_desc, pages_count, 96);
AT(attend_kv_cache_desc, table_width, 104);
AT(attend_kv_cache_desc, cu_pages, 112);
AT(attend_kv_cache_desc, cu_pages_count, 120);
AT(attend_kv_cache_desc, cu_pages_type, 128);
AT(attend_kv_cache_desc, reserved, 132);
AT(attend_kv_cache_desc, k_scale_strides, 136);
AT(attend_kv_cache_desc, v_scale_strides, 160);

SIZE(attend_kv_append_args, 144);
AT(attend_kv_append_args, new_k, 8);
AT(attend_kv_append_args, new_v, 16);
AT(attend_kv_append_args, type, 24);
AT(attend_kv_append_args, threads, 28);
AT(attend_kv_append_args, new_k_strides, 32);
AT(attend_kv_append_args, new_v_strides, 56);
AT(attend_kv_append_args, rope, 80);
AT(attend_kv_append_args, positions, 88);
AT(attend_kv_append_args, positions_count, 96);
AT(attend_kv_append_args, k, 104);
AT(attend_kv_append_args, v, 112);
AT(attend_kv_append_args, k_scales, 120);
AT(attend_kv_append_args, v_scales, 128);
AT(attend_kv_append_args, k_mean, 136);

SIZE(attend_rope, 32);
AT(attend_rope, interleaved, 8);
AT(attend_rope, magnitude, 12);
AT(attend_rope, frequencies, 16);
AT(attend_rope, pairs, 24);

SIZE(attend_rope_options, 80);
AT(attend_rope_options, dims, 8);
AT(attend_rope_options, base, 16);
AT(attend_rope_options, scaling, 24);
AT(attend_rope_options, reserved, 28);
AT(attend_rope_options, factor, 32);
AT(attend_rope_options, trained_length, 40);
AT(attend_rope_options, low_turns, 48);
AT(attend_rope_options, high_turns, 56);
AT(attend_rope_options, slow_turns, 64);
AT(attend_rope_options, fast_turns, 72);

SIZE(attend_attention_fwd_args, 104);
AT(attend_attention_fwd_args, k_scales, 80);
AT(attend_attention_fwd_args, v_scales, 88);
AT(attend_attention_fwd_args, k_mean, 96);
AT(attend_attention_fwd_args, q, 8);
AT(attend_attention_fwd_args, k, 16);
AT(attend_attention_fwd_args, v, 24);
AT(attend_attention_fwd_args, o, 32);
AT(attend_attention_fwd_args, lse, 40);
AT(attend_attention_fwd_args, alibi_slopes, 48);
AT(attend_attention_fwd_args, bias, 56);
AT(attend_attention_fwd_args, sink, 64);
AT(attend_attention_fwd_args, stream, 72);

SIZE(attend_machine_info, 56);
AT(attend_machine_info, cpu, 8);
AT(attend_machine_info, vendor, 16);
AT(attend_machine_info, l1d_bytes, 24);
AT(attend_machine_info, l2_bytes, 32);
AT(attend_machine_info, l3_bytes, 40);
AT(attend_machine_info, cores, 48);
AT(attend_machine_info, isa_count, 52);

SIZE(attend_isa_info, 32);
AT(attend_isa_info, name, 8);
AT(attend_isa_info, reason, 16);
AT(attend_isa_info, available, 24);

EXPECT(statuses, ATTEND_OK == 0 && ATTEND_INVALID_ARGUMENT == 1 && ATTEND_UNSUPPORTED == 2 &&
                     ATTEND_OUT_OF_MEMORY == 3 && ATTEND_DEVICE == 4 && ATTEND_INTERNAL == 5);
EXPECT(dtypes, ATTEND_F32 == 0 && ATTEND_F16 == 1 && ATTEND_BF16 == 2);
EXPECT(index_types, ATTEND_INT32 == 0 && ATTEND_INT64 == 1);
EXPECT(layouts, ATTEND_STRIDED == -1 && ATTEND_BSHD == 0 && ATTEND_BHSD == 1 && ATTEND_THD == 2);
EXPECT(masks, ATTEND_MASK_CAUSAL == 0 && ATTEND_MASK_CAUSAL_TOP_LEFT == 1 && ATTEND_MASK_WINDOW == 2 &&
                  ATTEND_MASK_CHUNK == 3 && ATTEND_MASK_PREFIX_LM == 4 && ATTEND_MASK_DOCUMENTS == 5 &&
                  ATTEND_MASK_BLOCK_SPARSE == 6 && ATTEND_MASK_PADDING == 7 && ATTEND_MASK_TREE == 8 &&
                  ATTEND_MASK_DENSE == 9 && ATTEND_MASK_STREAMING == 10);
EXPECT(schedules, ATTEND_SCHEDULE_NAIVE == 0 && ATTEND_SCHEDULE_FLASH_ATTENTION_1 == 1);
EXPECT(arithmetics, ATTEND_ARITHMETIC_F32 == 0 && ATTEND_ARITHMETIC_BF16_DOT == 1 &&
                        ATTEND_ARITHMETIC_F32_SCALED == 2 && ATTEND_ARITHMETIC_MMA16 == 3);
