#include "tool/selfbuild/submit.h"

#include <iostream>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <pwd.h>
#include <unistd.h>

#include "artifacts/object_store.h"
#include "os/file_system.h"
#include "os/process.h"
#include "tool/selfbuild/worker_service.h"
#include "update/conductor_link.h"
#include "update/live.h"

namespace sb::tool {

namespace {
constexpr std::size_t kMaxPatchBytes = 64 * 1024 * 1024;
}

Result<Subject> resolve_subject(Program& program, const std::string& revision) {
  SB_TRY(const std::filesystem::path root, project::find_project(program.directory()));
  SB_TRY(staging::Repository repository, staging::Repository::open(root));
  if (std::filesystem::weakly_canonical(repository.root()) != std::filesystem::weakly_canonical(root)) {
    return fail(ErrorKind::usage, fmt::format("{} must be in the repository's top folder, {}",
                                              project::kFileName, repository.root().string()));
  }
  SB_TRY(staging::Source source, repository.resolve(revision));
  Result<std::string> text = repository.read_blob(source.tree, std::string(project::kFileName));
  if (!text && text.error().kind == ErrorKind::not_found) {
    return fail(ErrorKind::not_found,
                fmt::format("{} has no {}: it is not committed yet", revision, project::kFileName),
                fmt::format("git add {} && git commit", project::kFileName));
  }
  if (!text) return fail(std::move(text.error()));
  SB_TRY(project::ProjectFile file, project::parse_project_file(*text, std::string(project::kFileName)));
  return Subject{
      .repository = std::move(repository), .source = std::move(source), .project = std::move(file)};
}

Result<PatchFile> read_patch(const std::string& path) {
  if (path == "-") {
    std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    return PatchFile{.name = "standard input", .text = std::move(text)};
  }
  SB_TRY(std::string text, os::read_file(path, kMaxPatchBytes));
  if (text.empty()) return fail(ErrorKind::usage, fmt::format("patch {} is empty", path));
  return PatchFile{.name = std::filesystem::path(path).filename().string(), .text = std::move(text)};
}

std::string caller() {
  const passwd* user =
      ::getpwuid(::getuid());  // NOLINT(concurrency-mt-unsafe): the command line has one thread
  return fmt::format("cli:{}", user != nullptr ? user->pw_name : std::to_string(::getuid()));
}

Result<std::int64_t> submit_update(Program& program, const Subject& subject,
                                   const std::optional<PatchFile>& patch, int jobs,
                                   const std::string& triggered_by) {
  SB_TRY(const os::Home* home, program.home());
  update::Request request{.project = subject.project.name,
                          .repository = subject.repository.root().string(),
                          .commit = subject.source.commit,
                          .patch = {},
                          .patch_name = patch ? patch->name : "",
                          .title = patch ? patch->name : subject.source.summary,
                          .jobs = jobs};
  if (patch) {
    os::RealFileSystem files;
    SB_TRY(const artifacts::StoredFile stored,
           artifacts::ObjectStore(home->objects(), files).put_bytes(patch->text));
    request.patch = stored.id;
  }
  SB_TRY(const std::optional<int> live, update::live_version(*home, request.project));
  update::ConductorLink conductor(*home);
  SB_CHECK(ensure_worker(conductor));
  SB_TRY(const Json answer, doing("queueing the update",
                                  conductor.call_once("task.submit", {{"project", request.project},
                                                                      {"kind", "update"},
                                                                      {"commit", patch ? "" : request.commit},
                                                                      {"from", live.value_or(0)},
                                                                      {"plan", update::to_json_text(request)},
                                                                      {"title", request.title},
                                                                      {"triggered_by", triggered_by}})));
  return json_integer(answer, "cycle");
}

}  // namespace sb::tool
