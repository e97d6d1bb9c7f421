// From words on the command line to a request in the conductor's queue.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "tool/selfbuild/command.h"
#include "update/request.h"

namespace sb::tool {

// A revision of the repository around -C, and what its selfbuild.yaml says.
struct Subject {
  staging::Repository repository;
  staging::Source source;
  project::ProjectFile project;
};
[[nodiscard]] Result<Subject> resolve_subject(Program& program, const std::string& revision);

// Adds --patch FILE; an empty name is a usage error.
CLI::Option* add_patch_option(CLI::App& command, std::string& patch);

struct PatchFile {
  std::string name;
  std::string text;
};
// A file as seen from -C, or "-": standard input. usage: empty.
[[nodiscard]] Result<PatchFile> read_patch(const Program& program, const std::string& path);

// Starts conductor and worker if need be, and queues the update. `rollout`: see rollout_options.h. Returns
// the cycle.
[[nodiscard]] Result<std::int64_t> submit_update(Program& program, const Subject& subject,
                                                 const std::optional<PatchFile>& patch, int jobs,
                                                 const Json& rollout, const std::string& triggered_by);

// "cli:alice"
[[nodiscard]] std::string caller();

}  // namespace sb::tool
