// CMake as a subprocess: its command line, and what becomes of its answer.
#include "build/configure.h"

#include <fmt/format.h>

#include "base/text.h"
#include "build/diagnostics.h"
#include "build/file_api.h"
#include "os/file_system.h"

namespace sb::build {
namespace {

namespace fs = std::filesystem;

// Forgets the cache and the compiler tests, but keeps the objects, unlike cmake --fresh: Ninja compares the
// commands.
void forget_cache(const fs::path& build) {
  std::error_code code;
  fs::remove(build / "CMakeCache.txt", code);
  for (fs::directory_iterator it(build / "CMakeFiles", code), end; !code && it != end; it.increment(code)) {
    const char first = it->path().filename().string().front();
    if (first >= '0' && first <= '9') (void)os::remove_tree(it->path());  // CMakeFiles/3.25.1
  }
}

}  // namespace

std::vector<std::string> cmake_command(const BuildRequest& request, const ToolRunner& tools) {
  std::vector<std::string> argv = {"cmake"};
  if (request.preset.empty()) {
    argv.insert(argv.end(), {"-G", "Ninja"});
  } else {
    argv.insert(argv.end(), {"--preset", request.preset});
  }
  // Said after the preset, so that its binaryDir gives way to the stage's build folder.
  argv.insert(argv.end(),
              {"-S", tools.seen(request.source).string(), "-B", tools.seen(request.build).string()});
  argv.insert(argv.end(), request.options.begin(), request.options.end());
  return argv;
}

Status check_generator(const BuildRequest& request, const FileApiReply& reply) {
  if (reply.generator == "Ninja") return {};
  Error error = make_error(
      ErrorKind::usage, fmt::format("the preset \"{}\" uses a generator that is not Ninja", request.preset));
  error.expected = R"("generator": "Ninja" in CMakePresets.json)";
  error.found = fmt::format(R"("generator": "{}")", reply.generator);
  return fail(std::move(error));
}

std::vector<std::string> cmake_environment() {
  return {"CMAKE_GENERATOR=Ninja"};  // what a preset without a generator falls back to
}

Result<CMakeRun> run_cmake(const BuildRequest& request, ToolRunner& tools, const ProgressSink& progress,
                           const std::string& reason, const std::vector<std::string>& options) {
  const auto start = std::chrono::steady_clock::now();
  SB_CHECK(write_query(request.build));
  DiagnosticReader reader(tools.seen(request.source).string());
  const auto on_line = [&](std::string_view line) {
    reader.line(line);
    const std::string_view status = line.starts_with("-- ") ? line.substr(3) : line;
    if (progress && !trim(status).empty())
      progress({Progress::Phase::configuring, 0, 0, std::string(trim(status))});
  };
  if (progress) progress({Progress::Phase::configuring, 0, 0, reason});
  std::vector<std::string> command = cmake_command(request, tools);
  command.insert(command.end(), options.begin(), options.end());
  SB_TRY(sandbox::Report report, tools.run(command, cmake_environment(), on_line));
  reader.finish();
  if (!report.ok()) return fail(build_error(reader, "configure", report, request.log));
  CMakeRun run;
  run.took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
  run.grant = std::move(report.grant);
  run.warnings = reader.warnings();
  return run;
}

Result<Configuration> record_configuration(const BuildRequest& request) {
  SB_TRY(const FileApiReply reply, read_reply(request.build, request.source));
  SB_CHECK(check_generator(request, reply));
  Configuration configuration = make_configuration(request, reply);
  SB_CHECK(save(configuration, request.build));
  return configuration;
}

Result<Configured> configure(const BuildRequest& request, ToolRunner& tools, const ProgressSink& progress) {
  Configured result;
  Result<Configuration> last = load_configuration(request.build);
  const Decision decision = decide(request, last);
  if (decision.reason.empty()) {
    result.configuration = *std::move(last);
    return result;
  }
  result.ran = true;
  result.reason = decision.reason;
  // Without a record, a crash or a failure from here on leads to another configure.
  SB_CHECK(os::remove_tree(request.build / kConfigurationFile));
  if (decision.fresh) forget_cache(request.build);
  SB_TRY(CMakeRun run, run_cmake(request, tools, progress, result.reason));
  SB_TRY(result.configuration, record_configuration(request));
  result.took = run.took;
  result.grant = std::move(run.grant);
  result.warnings = std::move(run.warnings);
  return result;
}

}  // namespace sb::build
