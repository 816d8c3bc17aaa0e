// SPDX-License-Identifier: Apache-2.0
#include "ops/argument.hpp"
#include "ops/mask/terms.hpp"

namespace attend {

Status check_term(const CausalBottomRight&, const AttentionFwd&) { return {}; }
std::string print_term(const CausalBottomRight&) { return {}; }
void read_term(TermReader&, const AttentionFwd&, CausalBottomRight&) {}

Status check_term(const CausalTopLeft&, const AttentionFwd&) { return {}; }
std::string print_term(const CausalTopLeft&) { return {}; }
void read_term(TermReader&, const AttentionFwd&, CausalTopLeft&) {}

}  // namespace attend
