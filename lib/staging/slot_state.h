// SlotState: what a slot holds, in a small file beside its tree. Written durably before a move and after it,
// so that a crash in between is seen by whoever takes the slot next.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace sb::staging {

struct SlotState {
  enum class Kind {
    empty,   // never used, or cleared
    holds,   // every file is as in `tree`, unless somebody changed it
    moving,  // a move did not finish, or the file cannot be read: nothing is known
  };
  Kind kind = Kind::empty;
  std::string tree{};        // 40 hex digits; for moving, where it was going
  std::string repository{};  // the .git folder
};

[[nodiscard]] SlotState read_slot_state(const std::filesystem::path& slot);
[[nodiscard]] Status write_slot_state(const std::filesystem::path& slot, const SlotState& state);

}  // namespace sb::staging
