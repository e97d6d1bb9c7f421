// What a worker does with a cycle that it has just claimed, new or interrupted: one pure function of the
// journal.
#pragma once

#include <optional>
#include <string_view>

#include "history/types.h"

namespace sb::update {

enum class Action {
  run,               // from the start: nothing was handed over, so redoing is safe, and Ninja makes it cheap
  await_activation,  // the conductor has it: wait for its verdict
  finish,            // a verdict is recorded: close the cycle
  nothing,           // closed already
};
[[nodiscard]] std::string_view to_string(Action action);

// `last` is the newest journal record's step; nothing when the journal is empty.
[[nodiscard]] Action next_action(std::optional<history::Step> last);

}  // namespace sb::update
