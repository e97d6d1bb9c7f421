#include "tool/selfbuild/workbench.h"

#include <unistd.h>

#include "build/progress_line.h"
#include "update/update_cycle.h"

namespace sb::tool {

Result<Workpiece> stage_and_build(Program& program, const std::string& revision, const std::string& patch,
                                  int jobs) {
  constexpr std::int64_t kNoCycle = 0;
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(Subject subject, resolve_subject(program, revision));
  if (!patch.empty()) {
    SB_TRY(const PatchFile file, read_patch(patch));
    SB_TRY(subject.source, doing("applying " + file.name,
                                 subject.repository.apply_patch(subject.source, file.text, kNoCycle)));
    SB_TRY(const std::string manifest,
           subject.repository.read_blob(subject.source.tree, std::string(project::kFileName)));
    SB_TRY(subject.project, project::parse_project_file(manifest, std::string(project::kFileName)));
  }
  staging::StagePool pool(home->stages(subject.project.name), update::kSlots);
  SB_TRY(staging::Stage stage, pool.acquire(subject.repository, subject.source));
  for (const std::string& note : stage.moved().notes) Console::say(note);
  // Beside the stage, and made anew by each run: a build by hand is no attempt that history keeps.
  std::filesystem::path log = stage.build().parent_path() / "build.log";
  ::unlink(log.c_str());
  const build::BuildRequest request{.source = stage.tree(),
                                    .build = stage.build(),
                                    .preset = subject.project.build.preset,
                                    .options = subject.project.build.options,
                                    .targets = subject.project.build.targets,
                                    .jobs = jobs,
                                    .envelope = subject.project.build.envelope,
                                    .log = log,
                                    .view = build::stage_view(stage.folder()),
                                    .cache = home->build_cache(),
                                    .remote = subject.project.build.cache};
  build::ProgressLine line(stderr, program.console().err_is_terminal, program.console().columns);
  Result<build::BuildReport> report =
      build::build(request, [&](const build::Progress& progress) { line.update(progress); });
  line.finish();
  if (!report) {
    if (report.error().next.empty()) report.error().next = "less " + log.string();
    return fail(std::move(report.error()));
  }
  return Workpiece{.subject = std::move(subject),
                   .stage = std::move(stage),
                   .report = std::move(*report),
                   .log = std::move(log)};
}

}  // namespace sb::tool
