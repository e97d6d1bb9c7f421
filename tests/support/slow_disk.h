// What a program that links sb_slow_disk asked of the disk so far; see held_syncs.h.
#pragma once

namespace sb::tests {

[[nodiscard]] int syncs();  // that were begun
[[nodiscard]] int syncs_of_this_thread();

}  // namespace sb::tests
