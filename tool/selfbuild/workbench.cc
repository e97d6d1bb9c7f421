#include "tool/selfbuild/workbench.h"

#include <thread>

#include <unistd.h>

#include "build/progress_line.h"
#include "update/update_cycle.h"

namespace sb::tool {

Result<Staged> stage_revision(Program& program, const std::string& revision, const std::string& patch,
                              int jobs) {
  constexpr std::int64_t kNoCycle = 0;
  SB_TRY(const os::Home* home, program.home());
  // What the host can takes some milliseconds to find out; they pass while libgit2 starts.
  const std::jthread host([] { (void)sandbox::view_mechanism(); });
  const auto start = std::chrono::steady_clock::now();
  SB_TRY(Subject subject, resolve_subject(program, revision));
  if (!patch.empty()) {
    SB_TRY(const PatchFile file, read_patch(program, patch));
    SB_TRY(subject.source, doing("applying " + file.name,
                                 subject.repository.apply_patch(subject.source, file.text, kNoCycle)));
    SB_TRY(const std::string manifest,
           subject.repository.read_blob(subject.source.tree, std::string(project::kFileName)));
    SB_TRY(subject.project, project::parse_project_file(manifest, std::string(project::kFileName)));
  }
  staging::StagePool pool(home->stages(subject.project.name), update::kSlots);
  SB_TRY(staging::Stage stage, pool.acquire(subject.repository, subject.source));
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
  for (const std::string& note : stage.moved().notes) Console::say(note);
  // Beside the stage, and made anew by each run: a build by hand is no attempt that history keeps.
  std::filesystem::path log = stage.build().parent_path() / "build.log";
  ::unlink(log.c_str());
  build::BuildRequest request{.source = stage.tree(),
                              .build = stage.build(),
                              .preset = subject.project.build.preset,
                              .options = subject.project.build.options,
                              .targets = subject.project.build.targets,
                              .jobs = jobs,
                              .envelope = subject.project.build.envelope,
                              .log = log,
                              .view = build::stage_view(stage.folder()),
                              .cache = home->build_cache(),
                              // A patch that nobody has accepted: its results are for this build alone.
                              .cache_owner = patch.empty() ? 0 : -program.clock().unix_ms(),
                              .remote = subject.project.build.cache};
  return Staged{.subject = std::move(subject),
                .stage = std::move(stage),
                .stage_time = took,
                .request = std::move(request)};
}

Result<Workpiece> build_staged(Program& program, Staged staged) {
  const std::filesystem::path log = staged.request.log;
  build::ProgressLine line(stderr, program.console().err_is_terminal, program.console().columns);
  Result<build::BuildReport> report =
      build::build(staged.request, [&](const build::Progress& progress) { line.update(progress); });
  line.finish();
  if (!report) {
    if (report.error().next.empty()) report.error().next = "less " + log.string();
    return fail(std::move(report.error()));
  }
  report->timeline.begin_with("stage", staged.stage_time);
  return Workpiece{.subject = std::move(staged.subject),
                   .stage = std::move(staged.stage),
                   .request = std::move(staged.request),
                   .report = std::move(*report),
                   .stage_time = staged.stage_time,
                   .log = log};
}

Result<Workpiece> stage_and_build(Program& program, const std::string& revision, const std::string& patch,
                                  int jobs) {
  SB_TRY(Staged staged, stage_revision(program, revision, patch, jobs));
  return build_staged(program, std::move(staged));
}

}  // namespace sb::tool
