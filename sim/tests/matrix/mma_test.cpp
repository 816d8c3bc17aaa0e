// SPDX-License-Identifier: Apache-2.0
#include <functional>

#include "sim/tests/matrix/elements.hpp"
#include "sim/tests/support/run.hpp"

namespace ptxsim::test {
namespace {

struct At {
  uint32_t row, column;
};

/// Where element `e` (in the order of a lane's registers) of a fragment lies, after the figures of the PTX ISA, "Matrix
/// Fragments for mma.<shape>".
using Layout = std::function<At(uint32_t lane, uint32_t e)>;

struct Form {
  std::string shape, d, a, b;
  uint32_t m, k;
  uint32_t a_count, b_count, d_count;  ///< elements per lane
  Layout a_at, b_at, d_at;
  std::string layouts = "row.col";
  std::string satfinite = {};
  std::string c = {};  ///< type of C; as D's when empty
  uint32_t products = 1;
  std::string c_type() const { return c.empty() ? d : c; }
};

uint32_t g(uint32_t lane) { return lane >> 2; }
uint32_t t(uint32_t lane) { return lane & 3; }

At c_m16n8(uint32_t lane, uint32_t i) { return {i < 2 ? g(lane) : g(lane) + 8, t(lane) * 2 + (i & 1)}; }
At c_m8n8(uint32_t lane, uint32_t i) { return {g(lane), t(lane) * 2 + i}; }

std::vector<Form> forms() {
  std::vector<Form> out;
  const auto add = [&](const Form& form) { out.push_back(form); };
  for (const std::string d : {"f32", "f16"}) {
    add({"m16n8k16", d, "f16", "f16", 16, 16, 8, 4, 4,
         [](uint32_t l, uint32_t i) -> At {
           return {i < 2 || (i >= 4 && i < 6) ? g(l) : g(l) + 8, t(l) * 2 + (i & 1) + (i < 4 ? 0 : 8)};
         },
         [](uint32_t l, uint32_t i) -> At {
           return {t(l) * 2 + (i & 1) + (i < 2 ? 0 : 8), g(l)};
         },
         c_m16n8});
    add({"m16n8k8", d, "f16", "f16", 16, 8, 4, 2, 4,
         [](uint32_t l, uint32_t i) -> At {
           return {i < 2 ? g(l) : g(l) + 8, t(l) * 2 + (i & 1)};
         },
         [](uint32_t l, uint32_t i) -> At {
           return {t(l) * 2 + i, g(l)};
         },
         c_m16n8});
  }
  for (const size_t f32_form : {0u, 1u}) {
    Form form = out[f32_form];
    form.a = form.b = "bf16";
    add(form);
  }
  add({"m16n8k4", "f32", "tf32", "tf32", 16, 4, 2, 1, 4,
       [](uint32_t l, uint32_t i) -> At {
         return {i == 0 ? g(l) : g(l) + 8, t(l)};
       },
       [](uint32_t l, uint32_t) -> At {
         return {t(l), g(l)};
       },
       c_m16n8});
  add({"m16n8k8", "f32", "tf32", "tf32", 16, 8, 4, 2, 4,
       [](uint32_t l, uint32_t i) -> At {
         return {i % 2 == 0 ? g(l) : g(l) + 8, i < 2 ? t(l) : t(l) + 4};
       },
       [](uint32_t l, uint32_t i) -> At {
         return {i == 0 ? t(l) : t(l) + 4, g(l)};
       },
       c_m16n8});
  const Layout a_k16 = [](uint32_t l, uint32_t i) -> At { return {i < 4 ? g(l) : g(l) + 8, t(l) * 4 + (i & 3)}; };
  const Layout b_k16 = [](uint32_t l, uint32_t i) -> At { return {t(l) * 4 + i, g(l)}; };
  const Layout a_k32 = [](uint32_t l, uint32_t i) -> At {
    return {i < 4 || (i >= 8 && i < 12) ? g(l) : g(l) + 8, t(l) * 4 + (i & 3) + (i < 8 ? 0 : 16)};
  };
  const Layout b_k32 = [](uint32_t l, uint32_t i) -> At { return {t(l) * 4 + (i & 3) + (i < 4 ? 0 : 16), g(l)}; };
  for (const std::string a : {"e4m3", "e5m2"})
    for (const std::string b : {"e4m3", "e5m2"})
      for (const std::string d : {"f32", "f16"}) {
        add({"m16n8k16", d, a, b, 16, 16, 8, 4, 4, a_k16, b_k16, c_m16n8});
        add({"m16n8k32", d, a, b, 16, 32, 16, 8, 4, a_k32, b_k32, c_m16n8});
      }
  for (const std::string a : {"s8", "u8"})
    for (const std::string b : {"s8", "u8"})
      for (const std::string sat : {"", ".satfinite"}) {
        add({"m16n8k16", "s32", a, b, 16, 16, 8, 4, 4, a_k16, b_k16, c_m16n8, "row.col", sat});
        add({"m16n8k32", "s32", a, b, 16, 32, 16, 8, 4, a_k32, b_k32, c_m16n8, "row.col", sat});
        add({"m8n8k16", "s32", a, b, 8, 16, 4, 4, 2,
             [](uint32_t l, uint32_t i) -> At {
               return {g(l), t(l) * 4 + i};
             },
             b_k16, c_m8n8, "row.col", sat});
      }
  const Layout b_f64 = [](uint32_t l, uint32_t i) -> At { return {t(l) + 4 * i, g(l)}; };
  add({"m8n8k4", "f64", "f64", "f64", 8, 4, 1, 1, 2,
       [](uint32_t l, uint32_t) -> At {
         return {g(l), t(l)};
       },
       b_f64, c_m8n8});
  const Layout a_f64 = [](uint32_t l, uint32_t i) -> At { return {i % 2 == 0 ? g(l) : g(l) + 8, t(l) + i / 2 * 4}; };
  add({"m16n8k4", "f64", "f64", "f64", 16, 4, 2, 1, 4, a_f64, b_f64, c_m16n8});
  add({"m16n8k8", "f64", "f64", "f64", 16, 8, 4, 2, 4, a_f64, b_f64, c_m16n8});
  add({"m16n8k16", "f64", "f64", "f64", 16, 16, 8, 4, 4, a_f64, b_f64, c_m16n8});
  return out;
}

/// m8n8k4 of f16: rows of the four products one above the other, so row 8 q + r is row r of quad pair q.
Form quad_pair_form(const std::string& d, const std::string& c, bool a_column, bool b_column) {
  const auto base = [](uint32_t l) { return l < 16 ? 0u : 4u; };
  Form form{"m8n8k4", d, "f16", "f16", 8, 4, 4, 4, 8, {}, {}, {}};
  form.a_at = [=](uint32_t l, uint32_t i) -> At { return a_column ? At{i + base(l), l % 4} : At{l % 4 + base(l), i}; };
  form.b_at = [=](uint32_t l, uint32_t i) -> At { return b_column ? At{i, l % 4 + base(l)} : At{l % 4, i + base(l)}; };
  form.layouts = std::string(a_column ? "col." : "row.") + (b_column ? "col" : "row");
  form.c = c;
  form.products = 4;
  return form;
}

At quad_pair_c(const std::string& type, uint32_t lane, uint32_t i) {
  const uint32_t base = lane < 16 ? 0 : 4;
  if (type == "f16") return {lane % 4 + base, i};
  return {(lane & 1) + (i & 2) + base, (i & 4) + (lane & 2) + (i & 1)};
}

/// Registers of a fragment, as 32-bit words: [word of the lane][lane].
struct Fragment {
  std::vector<uint32_t> words;
  void put(uint32_t lane, uint32_t e, uint32_t bytes, uint64_t bits) {
    const uint32_t first = e * bytes / 4;
    if (words.size() < (first + (bytes + 3) / 4) * 32) words.resize((first + (bytes + 3) / 4) * 32);
    if (bytes == 8) {
      words[first * 32 + lane] = static_cast<uint32_t>(bits);
      words[(first + 1) * 32 + lane] = static_cast<uint32_t>(bits >> 32);
    } else {
      words[first * 32 + lane] |= static_cast<uint32_t>(bits << (e * bytes % 4 * 8));
    }
  }
  uint64_t get(uint32_t lane, uint32_t e, uint32_t bytes) const {
    const uint32_t first = e * bytes / 4;
    const uint64_t low = words[first * 32 + lane];
    if (bytes == 8) return low | uint64_t{words[(first + 1) * 32 + lane]} << 32;
    return low >> (e * bytes % 4 * 8) & (bytes == 4 ? 0xffffffffu : (1u << (8 * bytes)) - 1);
  }
};

/// Loads all registers from `in`, runs the mma, stores D.
std::string mma_kernel(const Form& form) {
  struct Part {
    char name;
    std::string type;
    uint32_t count;
  };
  const std::array<Part, 4> parts = {Part{'d', form.d, form.d_count}, Part{'a', form.a, form.a_count},
                                     Part{'b', form.b, form.b_count}, Part{'c', form.c_type(), form.d_count}};
  std::string text =
      ".reg .b64 %addr;\n.reg .b32 %four;\n mul.wide.u32 %addr, %tid1, 4;\n add.u64 %addr, %addr, "
      "%rd_in;\n";
  std::string operands;
  size_t at = 0;
  for (const Part& part : parts) {
    const uint32_t bytes = element_bytes(part.type);
    const uint32_t registers = bytes == 8 ? part.count : part.count * bytes / 4;
    text +=
        ".reg " + std::string(bytes == 8 ? ".b64 %" : ".b32 %") + part.name + "<" + std::to_string(registers) + ">;\n";
    operands += operands.empty() ? " {" : "}, {";
    for (uint32_t i = 0; i < registers; ++i) {
      const std::string name = "%" + std::string(1, part.name) + std::to_string(i);
      operands += (i == 0 ? "" : ", ") + name;
      if (part.name == 'd') continue;
      if (bytes == 8) {
        text += "{ .reg .b32 %l, %h;\n ld.global.b32 %l, [%addr+" + std::to_string(at * 128) +
                "];\n ld.global.b32 %h, [%addr+" + std::to_string((at + 1) * 128) + "];\n mov.b64 " + name +
                ", {%l, %h}; }\n";
      } else {
        text += " ld.global.b32 " + name + ", [%addr+" + std::to_string(at * 128) + "];\n";
      }
      at += bytes == 8 ? 2 : 1;
    }
  }
  text += " mma.sync.aligned." + form.shape + "." + form.layouts + form.satfinite + "." + form.d + "." + form.a + "." +
          form.b + "." + form.c_type() + operands +
          "};\n mul.wide.u32 %addr, %tid1, 4;\n add.u64 %addr, %addr, %rd_out;\n";
  const bool wide = form.d == "f64";
  const uint32_t registers = wide ? form.d_count : form.d_count * element_bytes(form.d) / 4;
  for (uint32_t i = 0; i < registers; ++i) {
    const std::string name = "%d" + std::to_string(i);
    if (wide)
      text += "{ .reg .b32 %l, %h;\n mov.b64 {%l, %h}, " + name + ";\n st.global.b32 [%addr+" +
              std::to_string(i * 256) + "], %l;\n st.global.b32 [%addr+" + std::to_string(i * 256 + 128) + "], %h; }\n";
    else
      text += " st.global.b32 [%addr+" + std::to_string(i * 128) + "], " + name + ";\n";
  }
  return text + " ret;";
}

void run_form(const Form& form, uint32_t seed, double c_offset = 0) {
  SCOPED_TRACE(form.shape + "." + form.layouts + form.satfinite + "." + form.d + "." + form.a + "." + form.b + "." +
               form.c_type());
  std::mt19937 random(seed);
  std::vector<Matrix> a, b, c;
  for (uint32_t q = 0; q < form.products; ++q) {
    a.push_back(random_matrix(form.m, form.k, form.a, random));
    b.push_back(random_matrix(form.k, 8, form.b, random));
    c.push_back(random_matrix(form.m, 8, form.c_type(), random));
    for (double& x : c.back().values) x += c_offset;
  }
  const bool pairs = form.products == 4;
  const auto which = [&](uint32_t lane) { return pairs ? lane / 4 % 4 : 0; };
  const auto c_at = [&](const std::string& type, uint32_t lane, uint32_t i) {
    return pairs ? quad_pair_c(type, lane, i) : form.d_at(lane, i);
  };
  Fragment fragment_a, fragment_b, fragment_c;
  for (uint32_t lane = 0; lane < 32; ++lane) {
    for (uint32_t e = 0; e < form.a_count; ++e) {
      const At at = form.a_at(lane, e);
      fragment_a.put(lane, e, element_bytes(form.a), encode(form.a, a[which(lane)].at(at.row, at.column)));
    }
    for (uint32_t e = 0; e < form.b_count; ++e) {
      const At at = form.b_at(lane, e);
      fragment_b.put(lane, e, element_bytes(form.b), encode(form.b, b[which(lane)].at(at.row, at.column)));
    }
    for (uint32_t e = 0; e < form.d_count; ++e) {
      const At at = c_at(form.c_type(), lane, e);
      fragment_c.put(lane, e, element_bytes(form.c_type()),
                     encode(form.c_type(), c[which(lane)].at(at.row, at.column)));
    }
  }
  std::vector<uint32_t> in = fragment_a.words;
  in.insert(in.end(), fragment_b.words.begin(), fragment_b.words.end());
  in.insert(in.end(), fragment_c.words.begin(), fragment_c.words.end());
  const size_t words = form.d_count * 32 * element_bytes(form.d) / 4;
  const Ran ran = run(kernel_of(mma_kernel(form)), {}, block_of(32), words, in);
  ASSERT_TRUE(ran.report.clean()) << ran.report.text();
  EXPECT_EQ(ran.report.counts.matrix_instructions, 1u);
  EXPECT_EQ(ran.report.counts.multiply_adds, uint64_t{form.m} * 8 * form.k * form.products);
  const Fragment fragment_d{ran.out};
  for (uint32_t lane = 0; lane < 32; ++lane)
    for (uint32_t e = 0; e < form.d_count; ++e) {
      const At at = c_at(form.d, lane, e);
      const Matrix d = product(a[which(lane)], b[which(lane)], c[which(lane)]);
      double expected = d.at(at.row, at.column);
      if (!form.satfinite.empty()) expected = std::min(std::max(expected, -0x1p31), 0x1p31 - 1);
      if (form.d == "s32") expected = static_cast<int32_t>(static_cast<uint32_t>(static_cast<int64_t>(expected)));
      ASSERT_EQ(decode(form.d, fragment_d.get(lane, e, element_bytes(form.d))), expected)
          << "lane " << lane << " element " << e;
    }
}

TEST(mma, every_form_multiplies) {
  uint32_t seed = 1;
  for (const Form& form : forms()) run_form(form, seed++);
}

TEST(mma, quad_pairs_multiply_apart) {
  uint32_t seed = 1;
  for (const bool a_column : {false, true})
    for (const bool b_column : {false, true})
      for (const auto& [d, c] : {std::pair<const char*, const char*>{"f32", "f32"}, {"f16", "f16"}, {"f32", "f16"}})
        run_form(quad_pair_form(d, c, a_column, b_column), seed++);
}

TEST(mma, sums_wrap_or_saturate) {
  for (const Form& form : forms())
    if (form.d == "s32") run_form(form, 7, form.a == "u8" ? 0x7ffff000 : -0x7ffff000);
}

TEST(mma, what_is_not_in_the_instruction_set_is_refused) {
  for (const char* modifiers :
       {"m16n8k16.row.row.f32.f16.f16.f32", "m16n8k16.row.col.f32.f16.bf16.f32", "m16n8k8.row.col.f32.e4m3.e4m3.f32",
        "m16n8k16.row.col.f32.f16.f16.f16", "m16n8k16.row.col.satfinite.f32.f16.f16.f32",
        "m16n8k16.row.col.s32.f16.f16.s32", "m16n8k256.row.col.s32.b1.b1.s32.xor.popc",
        "m16n8k16.row.col.kind::f8f6f4.f32.e4m3.e4m3.f32"}) {
    const auto module = Module::parse(std::string(".version 8.7\n.target sm_90a\n.address_size 64\n.entry k()\n{\n"
                                                  ".reg .b32 %r<16>;\nmma.sync.aligned.") +
                                      modifiers +
                                      " {%r0, %r1, %r2, %r3}, {%r4, %r5, %r6, %r7}, {%r8, %r9}, {%r0, %r1, %r2, %r3};\n"
                                      "ret;\n}\n");
    EXPECT_FALSE(module.ok()) << modifiers;
  }
}

}  // namespace
}  // namespace ptxsim::test
