// SPDX-License-Identifier: Apache-2.0
#include "ops/argument.hpp"
#include "ops/mask/terms.hpp"

namespace attend {

Status check_term(const CausalBottomRight&, const AttentionFwd&) { return {}; }
std::string print_term(const CausalBottomRight&) { return {}; }
void read_term(TermReader&, const AttentionFwd&, CausalBottomRight&) {}
std::string draw_term(const CausalBottomRight&, Rng&, const AttentionFwd&) { return {}; }

Status check_term(const CausalTopLeft&, const AttentionFwd&) { return {}; }
std::string print_term(const CausalTopLeft&) { return {}; }
void read_term(TermReader&, const AttentionFwd&, CausalTopLeft&) {}
std::string draw_term(const CausalTopLeft&, Rng&, const AttentionFwd&) { return {}; }

}  // namespace attend
