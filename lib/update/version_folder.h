// The files of a version: collected from a build folder into the object store, and laid out again to be run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "artifacts/object_store.h"
#include "base/result.h"
#include "history/types.h"
#include "os/home.h"

namespace sb::update {

// Stores the declared outputs (files, or folders with all they hold). What the build left there is not
// trusted: a symlink, a device or a path that leaves the build folder is refused. build_failed when an output
// is missing.
[[nodiscard]] Result<std::vector<history::OutputFile>> collect_outputs(
    artifacts::ObjectStore& store, const std::filesystem::path& build,
    const std::vector<std::string>& outputs);
// SHA-256 over path, mode and SHA-256 of every output, in order of path.
[[nodiscard]] std::string outputs_digest(std::vector<history::OutputFile> outputs);

// Makes home.version(project, number) hold exactly the version's files, verified; durable. A folder that is
// already right is left alone, one that is damaged is replaced (the damaged one is moved aside, not removed:
// it may be running). corrupt when the store itself is damaged; not_found when gc has dropped the version's
// files.
[[nodiscard]] Result<std::filesystem::path> lay_out(const os::Home& home, const artifacts::ObjectStore& store,
                                                    const history::Version& version);

}  // namespace sb::update
