// Manifests that several tests of this folder read, and a project of CMake's that they build.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "support/program.h"

namespace sb::ninja::samples {

// Every piece of syntax that Ninja 1.11 knows, and its traps.
void write_tricky_manifest(const std::filesystem::path& folder);
[[nodiscard]] std::string_view tricky_text();

// A C project with a library, a program, a custom command and response files, configured for Ninja in
// folder/b. False, with a failure of the running test, when CMake said no.
[[nodiscard]] bool configure_project(const std::filesystem::path& folder);

// Ninja in a folder. With the PATH of the test.
[[nodiscard]] tests::Finished ninja(const std::filesystem::path& folder, std::vector<std::string> arguments);

}  // namespace sb::ninja::samples
