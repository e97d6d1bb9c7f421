// An envelope turned into what will be set on this host, and the honest account of it. Computed before
// anything of the user's runs, and the same for a survey as for a run.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include <sys/resource.h>

#include "sandbox/control_group.h"
#include "sandbox/envelope.h"

namespace sb::sandbox {

struct ProcessLimit {
  int resource;  // RLIMIT_…
  rlim_t soft;
  rlim_t hard;
};

struct Limits {
  ControlGroup group;                        // fresh, empty, removed with this object
  std::vector<ProcessLimit> process_limits;  // for every process of the run
  std::uint64_t counted_processes = 0;       // the init counts its descendants against it; 0: a cgroup does
  std::chrono::nanoseconds counted_cpu{0};   // the init compares the group's CPU time with it; 0: nobody does
  Grant grant;
};

// Never fails: what the host does not allow is said in the grant.
[[nodiscard]] Limits make_limits(const Envelope& envelope);

}  // namespace sb::sandbox
