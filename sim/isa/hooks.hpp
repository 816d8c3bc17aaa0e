// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace ptxsim {

class Machine;
struct Cta;
struct Warp;

// What chapters with state of their own tell the machine when a CTA ends (all its threads have exited) or when nothing
// can run.

/// H06 where work of the CTA has not been waited for: wgmma groups, bulk stores whose source may be unread, copies into
/// shared memory whose completion nobody observed. Policy has no say: what counts is whether the program waited.
void wgmma_exit(Machine& machine, Cta& cta);
void bulk_exit(Machine& machine, Cta& cta);
void cp_async_exit(Machine& machine, Cta& cta);
void mbarrier_exit(Machine& machine, Cta& cta);
/// H19 where nothing orders an access by another CTA before the end.
void cluster_exit(Machine& machine, Cta& cta);
/// H23 where only a part of a warpgroup ran a setmaxnreg.
void setmaxnreg_exit(Machine& machine, Cta& cta);

/// Appends one line per mbarrier of the CTA that has not completed its phase: address, phase, pending, bytes expected
/// and landed, where it was initialised; notes H18 when the bytes do not match.
void mbarrier_deadlock(Machine& machine, Cta& cta, std::string& text);
/// The same for the CTA's part of a cluster barrier that has begun, and for setmaxnreg.inc (notes H23).
void cluster_barrier_deadlock(Cta& cta, std::string& text);
void setmaxnreg_deadlock(Machine& machine, Cta& cta, std::string& text);

}  // namespace ptxsim
