// The first selfbuild.yaml of a CMake project that has none: what can be read from its files, and comments
// for the rest.
#pragma once

#include <string>
#include <string_view>

namespace sb::tool {

// A project's name made from any text, e.g. a folder's: lower case, digits and hyphens; "project" when
// nothing is left.
[[nodiscard]] std::string name_from(std::string_view text);

// lists: the text of the top CMakeLists.txt; presets: of CMakePresets.json, or empty. Always a valid
// manifest.
[[nodiscard]] std::string starter_manifest(const std::string& name, std::string_view lists,
                                           std::string_view presets);

}  // namespace sb::tool
