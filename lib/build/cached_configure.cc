#include "build/cached_configure.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "build/cmake_trace.h"
#include "build/configuration.h"
#include "build/configure.h"
#include "build/file_api.h"
#include "build/known_checks.h"
#include "os/file_system.h"

namespace sb::build {
namespace {

namespace fs = std::filesystem;

// A name that may stand in a path or in a script.
bool is_word(const std::string& text) {
  return !text.empty() && text.front() != '.' && std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
  });
}

class CachedConfigure {
 public:
  CachedConfigure(const BuildRequest& request, ToolRunner& tools, const ProgressSink& progress,
                  const cache::Places& places, cache::ConfiguredFolder& folder)
      : request_(request), tools_(tools), progress_(progress), places_(places), folder_(folder) {}

  Result<CachedConfigured> run() {
    SB_TRY(const std::optional<std::string> note, folder_.take());
    if (note) return from_note(*note);
    SB_TRY(Traced traced, run_cmake_once_or_twice());
    CachedConfigured result{.ran = true,
                            .reason = folder_.why(),
                            .compiler = {},
                            .options = {},
                            .note = {},
                            .warnings = std::move(traced.run.warnings)};
    SB_TRY(const FileApiReply reply, read_reply(request_.build, places_.source));
    SB_CHECK(check_generator(request_, reply));
    SB_CHECK(os::remove_tree(request_.build / ".cmake"));  // it is ours, and is called after the time of day
    result.compiler = reply.compiler;
    result.options = options_json(request_, reply);
    if (!traced.reads) {
      result.note = "the configured folder is not kept: " + one_line(traced.reads.error());
    } else if (!traced.reads->tells_time) {  // else the next stage has another one
      std::vector<std::string> inputs = inputs_of(reply, std::move(traced.reads->inputs));
      SB_CHECK(
          folder_.keep(inputs, dump_json(Json{{"compiler", result.compiler}, {"options", result.options}})));
      if (!traced.checks) return result;
      const std::string words = words_of(*traced.checks, reply);
      std::erase_if(inputs,
                    [&](const std::string& input) { return traced.checks->scripts().contains(input); });
      if (!words.empty()) SB_CHECK(folder_.keep_checks(inputs, words));
    }
    return result;
  }

 private:
  static Result<CachedConfigured> from_note(const std::string& note) {
    CachedConfigured result;
    SB_TRY(const Json json, parse_json(note));
    SB_TRY(result.compiler, json_string(json, "compiler"));
    SB_TRY(result.options, json_string(json, "options"));
    return result;
  }

  struct Traced {
    CMakeRun run;
    Result<TracedReads> reads;
    Result<KnownChecks> checks;
  };

  // Once more, from nothing, when it was told what does not hold for these scripts.
  Result<Traced> run_cmake_once_or_twice() {
    Result<Told> told = tell();
    if (!told) {
      tools_.note(fmt::format("-- What CMake found out before is of no use: {}\n", one_line(told.error())));
      told = Told();
    }
    if (told->checks.empty()) SB_CHECK(folder_.empty());
    Result<Traced> traced = run_traced(told->checks);
    if (told->checks.empty() || (!traced && traced.error().kind != ErrorKind::build_failed)) return traced;
    Status held = traced ? Status() : fail(traced.error());
    if (held && !traced->checks) held = fail(traced->checks.error());
    if (held) held = take_back(*told);
    if (held) return traced;
    tools_.note(fmt::format("-- All checks are made again: {}\n", one_line(held.error())));
    SB_CHECK(folder_.empty());
    return run_traced({});
  }

  Result<Traced> run_traced(const KnownChecks& told) {
    const fs::path trace = request_.build / "selfbuild-cmake-trace.json";
    SB_TRY(CMakeRun run,
           run_cmake(request_, tools_, progress_, folder_.why(), trace_options(tools_.seen(trace))));
    Traced traced{.run = std::move(run),
                  .reads = read_trace(trace, places_),
                  .checks = KnownChecks::from_trace(trace, places_, told)};
    SB_CHECK(os::remove_tree(trace));
    return traced;
  }

  // What CMake is told before it runs, of an earlier run.
  struct Told {
    KnownChecks checks;
    std::string version;  // of CMake: "3.25.1"
    std::string system;   // what CMakeSystem.cmake says, as it has to be afterwards
    std::string prelude;  // and what is added to it
    bool tried = false;   // there has to be a folder CMakeScratch
  };
  // Of the folder's files, the one that project() reads first.
  [[nodiscard]] fs::path system_file(const std::string& version) const {
    return request_.build / "CMakeFiles" / version / "CMakeSystem.cmake";
  }

  [[nodiscard]] Result<Told> tell() const {
    SB_TRY(const std::optional<std::string> words, folder_.take_checks());
    if (!words) return Told();
    SB_TRY(const Json json, parse_json(*words));
    SB_TRY(const std::string checks, json_string(json, "checks"));
    SB_TRY(const KnownChecks known, KnownChecks::from_text(checks));
    Told told{.checks = known.still_true(places_), .version = {}, .system = {}, .prelude = {}};
    if (told.checks.empty()) return told;
    SB_TRY(const std::string entries, json_string(json, "entries"));
    // Without the first one, CMake forgets the compilers that it found.
    SB_CHECK(os::replace_file(
        request_.build / "CMakeCache.txt",
        "CMAKE_PLATFORM_INFO_INITIALIZED:INTERNAL=1\n" + told.checks.entries(entries, places_)));
    SB_TRY(told.version, json_string(json, "version"));
    SB_TRY(told.prelude, json_string(json, "prelude"));
    SB_TRY(told.tried, json_bool_or(json, "tried", false));
    SB_TRY(told.system, os::read_file(system_file(told.version)));
    SB_CHECK(os::replace_file(system_file(told.version), told.system + told.prelude));
    return told;
  }

  [[nodiscard]] Status take_back(const Told& told) const {
    // The project's scripts ran, and may have put anything there: a link that leads out, a FIFO.
    const fs::path file = system_file(told.version);
    std::error_code code;
    const bool is_ours =
        places_.stays_in_stage(fmt::format("{}/CMakeFiles/{}", places_.build, told.version)) &&
        fs::symlink_status(file, code).type() == fs::file_type::regular &&
        os::read_file(file, kMaxJsonBytes).value_or("") == told.system + told.prelude;
    if (!is_ours) return fail(ErrorKind::refused, "the project changes CMake's own files");
    if (told.tried) SB_CHECK(os::make_folders(request_.build / "CMakeFiles" / "CMakeScratch"));
    return os::replace_file(file, told.system);
  }

  // For tell(); empty when there is nothing worth it.
  [[nodiscard]] std::string words_of(const KnownChecks& checks, const FileApiReply& reply) const {
    if (checks.empty() || !is_word(reply.cmake) || !std::ranges::all_of(reply.languages, is_word)) return {};
    const fs::path file = request_.build / "CMakeCache.txt";
    std::error_code code;
    // Opening a FIFO that the project left there would wait for ever.
    if (fs::symlink_status(file, code).type() != fs::file_type::regular) return {};
    const Result<std::string> cache = os::read_file(file, kMaxJsonBytes);
    if (!cache) return {};
    const std::string entries = checks.entries(*cache, places_);
    if (entries.empty()) return {};
    // What only a run that looks for compilers leaves: build.ninja shows both.
    std::string prelude;
    for (const std::string& language : reply.languages)
      prelude += fmt::format("set(MSVC_{}_ARCHITECTURE_ID \"\")\n", language);
    prelude += "set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS";
    for (const std::string& path : checks.files(reply.inputs)) prelude += fmt::format(" [==[{}]==]", path);
    prelude += ")\n";
    return dump_json(Json{{"checks", checks.to_text()},
                          {"entries", entries},
                          {"version", reply.cmake},
                          {"prelude", prelude},
                          {"tried", fs::is_directory(request_.build / "CMakeFiles/CMakeScratch", code)}});
  }

  [[nodiscard]] std::vector<std::string> inputs_of(const FileApiReply& reply,
                                                   std::vector<std::string> inputs) const {
    inputs.reserve(inputs.size() + reply.inputs.size() + reply.compilers.size());
    for (const auto& path : reply.inputs) inputs.push_back(path.string());
    for (const auto& path : reply.compilers) inputs.push_back(path.string());
    if (!request_.preset.empty()) {
      for (const auto& path : preset_files(request_.source)) inputs.push_back(tools_.seen(path).string());
    }
    std::ranges::sort(inputs);
    inputs.erase(std::ranges::unique(inputs).begin(), inputs.end());
    return inputs;
  }

  const BuildRequest& request_;
  ToolRunner& tools_;
  const ProgressSink& progress_;
  const cache::Places& places_;
  cache::ConfiguredFolder& folder_;
};

}  // namespace

Result<CachedConfigured> cached_configure(const BuildRequest& request, ToolRunner& tools,
                                          const ProgressSink& progress, const cache::Places& places,
                                          cache::ConfiguredFolder& folder) {
  return CachedConfigure(request, tools, progress, places, folder).run();
}

}  // namespace sb::build
