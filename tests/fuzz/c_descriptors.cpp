// SPDX-License-Identifier: Apache-2.0
// Descriptors of the C ABI with any bytes in every field that is no pointer; arrays are as long as their counts say, or
// longer.
#include <attend/attend.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "fuzz/target.hpp"
#include "verify/verify.hpp"

namespace attend::fuzz {
namespace {

/// Takes bytes off the front of the input; zeros when it has ended.
class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  void take(void* to, size_t count) {
    std::memset(to, 0, count);
    const size_t there = std::min(count, size_);
    if (there > 0) std::memcpy(to, data_, there);
    data_ += there;
    size_ -= there;
  }
  uint8_t byte() {
    uint8_t value = 0;
    take(&value, 1);
    return value;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

constexpr int64_t kArrayBytes = 2048;
constexpr int kTerms = 3;

/// What pointers of the descriptors may point to, and how much a caller may say is there.
struct Memory {
  alignas(64) std::array<std::array<uint8_t, kArrayBytes>, 2 + 2 * kTerms> arrays{};
  // Structs lie in the largest that the library looks at, so that any struct_size is honest.
  alignas(64) std::array<uint8_t, 4096> desc{}, options{}, executor{}, cache{};
  alignas(64) std::array<std::array<uint8_t, kArrayBytes>, 5> cache_arrays{};
  alignas(64) std::array<uint8_t, 4096 * kTerms> terms{};
};

/// A pointer that is null now and then, with a count that its elements of `bytes` bytes have.
const void* pointer(Bytes& in, std::array<uint8_t, kArrayBytes>& array, size_t used, int64_t* count,
                    int64_t element_bytes) {
  if (in.byte() % 8 == 0) return nullptr;
  in.take(array.data(), std::min<size_t>(used, array.size()));
  *count = std::min(*count, kArrayBytes / element_bytes);
  return array.data();
}

void fill_terms(Bytes& in, Memory& memory, attend_attention_fwd_desc& desc) {
  desc.mask_count = std::min<int64_t>(desc.mask_count, kTerms);
  desc.mask_terms = nullptr;
  if (desc.mask_count <= 0 || in.byte() % 16 == 0) return;
  size_t stride = sizeof(attend_mask_term);
  for (int i = 0; i < kTerms; ++i) {
    attend_mask_term term;
    in.take(&term, sizeof term);
    term.data = pointer(in, memory.arrays[2 + 2 * i], 64, &term.count, 8);
    term.data2 = pointer(in, memory.arrays[3 + 2 * i], 64, &term.count2, 8);
    if (i == 0 && term.struct_size >= 8 && term.struct_size <= 4096 && term.struct_size % 8 == 0)
      stride = term.struct_size;
    std::memcpy(memory.terms.data() + i * stride, &term, std::min(stride, sizeof term));
  }
  desc.mask_terms = reinterpret_cast<const attend_mask_term*>(memory.terms.data());
}

void fill_cache(Bytes& in, Memory& memory, attend_attention_fwd_desc& desc) {
  desc.cache = nullptr;
  if (in.byte() % 4 != 3) return;
  attend_kv_cache_desc cache;
  in.take(&cache, sizeof cache);
  const auto list = [&](int i, int64_t* count, int64_t bytes) {
    return pointer(in, memory.cache_arrays[static_cast<size_t>(i)], 64, count, bytes);
  };
  cache.lengths = static_cast<const int32_t*>(list(0, &cache.lengths_count, 4));
  cache.first = static_cast<const int32_t*>(list(1, &cache.first_count, 4));
  cache.entry = static_cast<const int32_t*>(list(2, &cache.entry_count, 4));
  cache.pages = static_cast<const int32_t*>(list(3, &cache.pages_count, 4));
  cache.cu_pages = list(4, &cache.cu_pages_count, 8);
  std::memcpy(memory.cache.data(), &cache, sizeof cache);
  desc.cache = reinterpret_cast<const attend_kv_cache_desc*>(memory.cache.data());
}

void run_in_order(void*, int workers, void (*task)(void*, int), void* arg) {
  for (int worker = workers - 1; worker >= 0; --worker) task(arg, worker);
}

attend_attention_fwd_plan* make_plan(Bytes& in, Memory& memory, const attend_attention_fwd* problem,
                                     attend_status* status) {
  attend_plan_options options;
  in.take(&options, sizeof options);
  if (in.byte() % 2 == 0) options = attend_plan_options_init();
  // A count of threads is honest work for the machine, not a bug: keep it small.
  options.threads = std::min(options.threads, 64);
  const char* const kernels[] = {nullptr, "", "attention_fwd.emu.f32", "attention_fwd.avx2.f32", "nonsense"};
  options.kernel = kernels[in.byte() % std::size(kernels)];
  options.device = nullptr;  // handles come from the library alone
  attend_executor executor;
  in.take(&executor, sizeof executor);
  if (in.byte() % 2 == 0) executor = attend_executor_init();
  executor.workers = std::min(executor.workers, 64);
  executor.parallel = in.byte() % 4 == 0 ? nullptr : run_in_order;
  std::memcpy(memory.executor.data(), &executor, sizeof executor);
  options.executor = in.byte() % 2 == 0 ? nullptr : reinterpret_cast<const attend_executor*>(memory.executor.data());
  std::memcpy(memory.options.data(), &options, sizeof options);
  attend_attention_fwd_plan* plan = nullptr;
  *status = attend_attention_fwd_plan_create(
      problem, reinterpret_cast<const attend_plan_options*>(memory.options.data()), &plan);
  require((*status == ATTEND_OK) == (plan != nullptr), "a plan comes with success alone", attend_last_error_message());
  return plan;
}

std::string text_of(const attend_attention_fwd* problem) {
  size_t length = 0;
  require(attend_attention_fwd_text(problem, nullptr, 0, &length) == ATTEND_OK, "a Problem prints");
  std::string text(length + 1, '?');
  require(attend_attention_fwd_text(problem, text.data(), text.size(), nullptr) == ATTEND_OK, "a Problem prints");
  require(text.back() == '\0', "a text ends with 0");
  text.pop_back();
  return text;
}

bool is_small(const AttentionFwd& problem) {
  const auto extent = [](const Strides& s, int64_t b, int64_t rows, int64_t heads) {
    return static_cast<double>(b) * static_cast<double>(s.batch) +
           static_cast<double>(b * rows) * static_cast<double>(s.row) +
           static_cast<double>(heads) * static_cast<double>(s.head);
  };
  // Rows of a cache are not behind one another.
  const int64_t entries = problem.cache ? problem.cache->entries : problem.b;
  const int64_t keys = problem.cache ? problem.cache->rows : problem.sk;
  return static_cast<double>(std::max<int64_t>(problem.b, 1) * problem.hq) *
                 static_cast<double>((problem.sq + 1) * (problem.sk + 1)) <
             2e4 &&
         extent(problem.q_strides, problem.b, problem.sq, problem.hq) < 1e5 &&
         extent(problem.k_strides, entries, keys, problem.hk) < 1e5 &&
         extent(problem.v_strides, entries, keys, problem.hk) < 1e5 &&
         (!problem.cache || (extent(problem.cache->k_scale_strides, entries, keys, problem.hk) < 1e5 &&
                             extent(problem.cache->v_scale_strides, entries, keys, problem.hk) < 1e5)) &&
         extent(problem.o_strides, problem.b, problem.sq, problem.hq) < 1e5;
}

/// Plans and runs on memory that is exactly as large as the Problem says.
void run(Bytes& in, Memory& memory, const attend_attention_fwd* problem, const AttentionFwd& parsed) {
  attend_status status = ATTEND_OK;
  attend_attention_fwd_plan* plan = make_plan(in, memory, problem, &status);
  if (plan == nullptr) {
    require(*attend_last_error_message() != '\0', "a failure says why");
    return;
  }
  attend_plan_info info = attend_plan_info_init();
  require(attend_attention_fwd_plan_query(plan, &info) == ATTEND_OK, "a plan can be asked");
  const verify::Inputs inputs = verify::Inputs::make(parsed);
  const AttentionFwdArgs memory_of_run = inputs.args();
  attend_attention_fwd_args args = attend_attention_fwd_args_init();
  args.q = memory_of_run.q;
  args.k = memory_of_run.k;
  args.v = memory_of_run.v;
  args.o = memory_of_run.o;
  args.lse = memory_of_run.lse;
  args.alibi_slopes = memory_of_run.alibi_slopes;
  args.bias = memory_of_run.bias;
  args.sink = memory_of_run.sink;
  args.k_scales = memory_of_run.k_scales;
  args.v_scales = memory_of_run.v_scales;
  args.k_mean = memory_of_run.k_mean;
  std::vector<char> workspace(info.workspace_bytes);
  status = attend_attention_fwd_run(plan, &args, workspace.data(), workspace.size());
  require(status == ATTEND_OK, "a plan runs on the memory it asked for", attend_last_error_message());
  require(inputs.output_fault().empty(), "a run writes its rows and nothing else",
          parsed.text() + "\n" + inputs.output_fault());
  attend_attention_fwd_plan_destroy(plan);
}

void put(std::string& to, const void* from, size_t size) { to.append(static_cast<const char*>(from), size); }

}  // namespace

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  constexpr attend_mask_kind kKinds[] = {-1,
                                         ATTEND_MASK_CAUSAL,
                                         ATTEND_MASK_WINDOW,
                                         ATTEND_MASK_CHUNK,
                                         ATTEND_MASK_PREFIX_LM,
                                         ATTEND_MASK_DOCUMENTS,
                                         ATTEND_MASK_PADDING,
                                         ATTEND_MASK_TREE,
                                         ATTEND_MASK_DENSE,
                                         ATTEND_MASK_STREAMING};
  for (const attend_mask_kind kind : kKinds) {
    attend_attention_fwd_desc desc = attend_attention_fwd_desc_init();
    desc.b = 1;
    desc.hq = 2;
    desc.hk = 1;
    desc.sq = desc.sk = 4;
    desc.d = 8;
    desc.lse = 1;
    desc.mask_count = kind >= 0 ? 1 : 0;
    attend_mask_term term = attend_mask_term_init(kind >= 0 ? kind : 0);
    term.a = kind == ATTEND_MASK_WINDOW || kind == ATTEND_MASK_CHUNK || kind == ATTEND_MASK_TREE ||
                     kind == ATTEND_MASK_STREAMING
                 ? 2
                 : 0;
    term.count = kind == ATTEND_MASK_DENSE ? 16 : kind == ATTEND_MASK_TREE ? 4 : kind == ATTEND_MASK_DOCUMENTS ? 2 : 1;
    if (kind <= ATTEND_MASK_CHUNK || kind == ATTEND_MASK_STREAMING) term.count = 0;
    const int64_t data[8] = {0, kind == ATTEND_MASK_TREE ? 3 : 4};
    // The order in which the target takes them: descriptor, its two arrays (absent), terms with theirs, options.
    std::string bytes;
    put(bytes, &desc, sizeof desc);
    bytes += std::string(2, '\0');
    if (kind >= 0) {
      bytes += '\1';
      put(bytes, &term, sizeof term);
      bytes += term.count > 0 ? '\1' : '\0';
      if (term.count > 0) put(bytes, data, sizeof data);
      bytes += '\0';
      bytes += std::string(2 * (sizeof(attend_mask_term) + 2), '\0');
    }
    bytes += std::string(64, '\2');
    all.push_back(bytes);
  }
  return all;
}

}  // namespace attend::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attend;
  using namespace attend::fuzz;
  Bytes in(data, size);
  Memory memory;
  attend_attention_fwd_desc desc;
  in.take(&desc, sizeof desc);
  desc.cu_q = pointer(in, memory.arrays[0], 64, &desc.cu_q_count, 8);
  desc.cu_k = pointer(in, memory.arrays[1], 64, &desc.cu_k_count, 8);
  fill_terms(in, memory, desc);
  fill_cache(in, memory, desc);
  std::memcpy(memory.desc.data(), &desc, sizeof desc);

  attend_attention_fwd* problem = nullptr;
  const attend_status status =
      attend_attention_fwd_create(reinterpret_cast<const attend_attention_fwd_desc*>(memory.desc.data()), &problem);
  require((status == ATTEND_OK) == (problem != nullptr), "a Problem comes with success alone",
          attend_last_error_message());
  if (status != ATTEND_OK) {
    require(status == ATTEND_INVALID_ARGUMENT || status == ATTEND_OUT_OF_MEMORY, "bad bytes are an invalid argument",
            attend_last_error_message());
    require(*attend_last_error_message() != '\0', "a failure says why");
    return 0;
  }
  const std::string text = text_of(problem);
  const auto parsed = AttentionFwd::parse(text);
  require(parsed.ok() && parsed->text() == text, "a Problem's text is that Problem",
          text + ": " + parsed.status().message());
  attend_attention_fwd_desc described = attend_attention_fwd_desc_init();
  attend_attention_fwd* copy = nullptr;
  require(attend_attention_fwd_describe(problem, &described) == ATTEND_OK, "a Problem describes itself",
          attend_last_error_message());
  require(attend_attention_fwd_create(&described, &copy) == ATTEND_OK, "its description makes it again",
          text + ": " + attend_last_error_message());
  require(text_of(copy) == text, "the copy is the same", text);
  attend_attention_fwd_destroy(copy);
  if (is_small(*parsed)) {
    attend_attention_fwd_cost cost = attend_attention_fwd_cost_init();
    require(attend_attention_fwd_query_cost(problem, &cost) == ATTEND_OK, "a Problem knows its cost",
            attend_last_error_message());
    require(cost.visible_pairs == parsed->cost().visible_pairs, "the cost is that of the text", text);
    run(in, memory, problem, *parsed);
  }
  attend_attention_fwd_destroy(problem);
  return 0;
}
