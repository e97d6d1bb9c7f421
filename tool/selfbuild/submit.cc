#include "tool/selfbuild/submit.h"

#include <iostream>

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

// At most one block more than a patch may have: what comes is not to fill the memory first.
Result<std::string> read_standard_input() {
  std::string text;
  char block[64 * 1024];
  while (std::cin.read(block, sizeof block) || std::cin.gcount() > 0) {
    text.append(block, static_cast<std::size_t>(std::cin.gcount()));
    if (text.size() > kMaxPatchBytes) {
      return fail(ErrorKind::refused, fmt::format("standard input is larger than {} bytes", kMaxPatchBytes));
    }
  }
  if (std::cin.bad()) return fail(errno_error("cannot read standard input"));
  return text;
}

// An empty patch is a mistake (a pipe whose first program failed), and no update without a patch.
Result<PatchFile> not_empty(PatchFile patch) {
  if (patch.text.empty())
    return fail(ErrorKind::usage, fmt::format("the patch from {} is empty", patch.name));
  return patch;
}

}  // namespace

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

CLI::Option* add_patch_option(CLI::App& command, std::string& patch) {
  // --patch "$PATCH" of a script whose variable is not set must not become an update without a patch.
  return command.add_option("--patch", patch, "Apply this patch on top; - reads standard input")
      ->type_name("FILE")
      ->check(
          CLI::Validator([](const std::string& file) { return file.empty() ? "FILE is empty" : ""; }, ""));
}

Result<PatchFile> read_patch(const Program& program, const std::string& path) {
  if (path == "-") {
    SB_TRY(std::string text, read_standard_input());
    return not_empty({.name = "standard input", .text = std::move(text)});
  }
  SB_TRY(std::string text, os::read_file(program.directory() / path, kMaxPatchBytes));
  return not_empty({.name = std::filesystem::path(path).filename().string(), .text = std::move(text)});
}

std::string caller() {
  const passwd* user =
      ::getpwuid(::getuid());  // NOLINT(concurrency-mt-unsafe): the command line has one thread
  return fmt::format("cli:{}", user != nullptr ? user->pw_name : std::to_string(::getuid()));
}

Result<std::int64_t> submit_update(Program& program, const Subject& subject,
                                   const std::optional<PatchFile>& patch, int jobs, const Json& rollout,
                                   const std::string& triggered_by) {
  SB_TRY(const os::Home* home, program.home());
  update::Request request{.project = subject.project.name,
                          .repository = subject.repository.root().string(),
                          .commit = subject.source.commit,
                          .patch = {},
                          .patch_name = patch ? patch->name : "",
                          .title = patch ? patch->name : subject.source.summary,
                          .jobs = jobs,
                          .rollout = dump_json(rollout)};
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
