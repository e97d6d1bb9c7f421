// Configuration: what the last configure of a build folder was made from. Kept in the build folder as
// selfbuild-configure.json, and compared with the request and the files of today to decide whether CMake has
// to run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "build/builder.h"
#include "build/file_api.h"

namespace sb::build {

inline constexpr std::string_view kConfigurationFile = "selfbuild-configure.json";

// A file that decides the configuration, as it was.
struct Input {
  std::string path;        // absolute
  std::int64_t size = -1;  // -1: there was none
  std::int64_t mtime_ns = 0;
  friend bool operator==(const Input&, const Input&) = default;
};
[[nodiscard]] Input look_at(const std::filesystem::path& path);

struct Configuration {
  std::string source;
  std::string preset;
  std::vector<std::string> options;
  std::string
      paths;  // digest of the names of all source files: file(GLOB) without CONFIGURE_DEPENDS reads them
  std::vector<Input> inputs;
  std::string compiler;                    // for BuildReport
  std::string options_json;                // for BuildReport
  std::map<std::string, int> edge_counts;  // by the requested targets, joined with blanks
};

// XXH3-128 over the sorted paths of all files below the folder, .git left out. About 1 µs each.
[[nodiscard]] std::string digest_of_paths(const std::filesystem::path& source);

// The build's options as JSON, for BuildReport.
[[nodiscard]] std::string options_json(const BuildRequest& request, const FileApiReply& reply);

// From the request and CMake's answer, right after CMake ran. Looks at every input: about 2 µs each.
[[nodiscard]] Configuration make_configuration(const BuildRequest& request, const FileApiReply& reply);

// Durable, and replaces whatever stands there under that name (also a symlink).
[[nodiscard]] Status save(const Configuration& configuration, const std::filesystem::path& build);
// not_found when there is none; corrupt when it is not one that save() wrote.
[[nodiscard]] Result<Configuration> load_configuration(const std::filesystem::path& build);

struct Decision {
  std::string reason;  // empty: CMake need not run
  bool fresh = false;  // the cache of the last configure must not be used
};
[[nodiscard]] Decision decide(const BuildRequest& request, const Result<Configuration>& last);

// CMakePresets.json, CMakeUserPresets.json and what they include, whether or not they exist: CMake does not
// list them among its inputs.
[[nodiscard]] std::vector<std::filesystem::path> preset_files(const std::filesystem::path& source);

}  // namespace sb::build
