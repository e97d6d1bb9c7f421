// Whether what a command made has the path of its stage in it, as far as anybody can see.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/places.h"

namespace sb::cache {

// The texts by which a stage's folders, and what those really are, may stand in a file; `environment` names
// its throw-away folders ("HOME=…").
[[nodiscard]] std::vector<std::string> path_traces(const Places& places,
                                                   const std::vector<std::string>& environment);

[[nodiscard]] bool has_trace(std::string_view text, const std::vector<std::string>& traces);
// The same of a file of any size.
[[nodiscard]] Result<bool> file_has_trace(const std::string& path, const std::vector<std::string>& traces);

// An ELF file of this machine's byte order, no section of which is compressed or holds what a compiler packs:
// its bytes show every path in it. False also for what cannot be read.
[[nodiscard]] bool is_open_elf(const std::string& path);

}  // namespace sb::cache
