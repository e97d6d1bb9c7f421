// Cycles and versions as the reading commands show them: which one the caller means, and its form in JSON.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "history/types.h"
#include "tool/selfbuild/command.h"

namespace sb::tool {

// The cycle that an argument names ("c-12" or "12"); without one, the newest of the project around here, or
// given by name, or of all. only_failed: the newest that failed or was rolled back. not_found says which
// there are.
[[nodiscard]] Result<history::Cycle> chosen_cycle(Program& program, const std::string& argument,
                                                  const std::string& project, bool only_failed = false);

// What the caller called the change, from the request; empty when it has no title.
[[nodiscard]] std::string title_of(const history::Cycle& cycle);
// Why the cycle ended as it did: the reason of a roll-back or failure, else the title.
[[nodiscard]] std::string reason_of(const history::Cycle& cycle);
// From its start to its end, or to now.
[[nodiscard]] std::int64_t duration_ms(const history::Cycle& cycle, std::int64_t now_ms);
// "rolled back" for rolled_back.
[[nodiscard]] std::string words(std::string_view identifier);

// Every key is always there; null where there is nothing.
[[nodiscard]] Json cycle_json(const history::Cycle& cycle, std::int64_t now_ms);
[[nodiscard]] Json version_json(const history::Version& version);
[[nodiscard]] Json version_or_null(const std::optional<int>& version);

}  // namespace sb::tool
