// Which commands make the same of the same wherever the stage lies, as far as the command itself goes: single
// compiles of C and C++, links and archives, with CMake's own steps around them, all of whose words are known
// not to bring a path into what is made, or to leave it there as it is, for anybody to find (portability.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/normal_form.h"
#include "cache/places.h"

namespace sb::cache {

// The command's words with the names of this stage's files in normal form, the response file's content among
// them; nothing when the command may make something else at another path. `command` is one that
// read_command() has no refusal for.
[[nodiscard]] std::optional<std::vector<std::string>> portable_words(std::string_view command,
                                                                     const Places& places,
                                                                     const NormalForm& normal);

// The words of -D flags, one a line.
[[nodiscard]] std::string definitions_in(std::string_view command);

}  // namespace sb::cache
