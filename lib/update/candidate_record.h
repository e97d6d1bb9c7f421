// What the candidate run of a version showed, read back from the journal of the cycle that made it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "history/history.h"
#include "testrun/cooperation.h"

namespace sb::update {

// Of each service of the version; of none for one that an older selfbuild made.
[[nodiscard]] Result<std::vector<testrun::Cooperation>> cooperation_of(history::History& history,
                                                                       const history::Version& version);

}  // namespace sb::update
