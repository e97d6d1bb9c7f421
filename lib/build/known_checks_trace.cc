// The half of KnownChecks that reads a trace: which checks were made, in which state, and whether those that
// CMake was told of may have been.
#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <unordered_set>

#include <fmt/format.h>

#include "base/text.h"
#include "build/cmake_trace_line.h"
#include "build/known_checks.h"
#include "build/script_lines.h"

namespace sb::build {

namespace {

namespace fs = std::filesystem;

// cmake-modules(7): their result is an entry of the cache, and they do nothing when it is there. (Not
// check_type_size(), which leaves a file, too.)
constexpr std::string_view kChecks[] = {
    "check_c_compiler_flag", "check_c_source_compiles", "check_c_source_runs",
    "check_compiler_flag",   "check_cxx_compiler_flag", "check_cxx_source_compiles",
    "check_cxx_source_runs", "check_cxx_symbol_exists", "check_function_exists",
    "check_include_file",    "check_include_file_cxx",  "check_include_files",
    "check_library_exists",  "check_linker_flag",       "check_prototype_definition",
    "check_source_compiles", "check_source_runs",       "check_struct_has_member",
    "check_symbol_exists",   "check_variable_exists"};
// They look for compilers once a build folder.
constexpr std::string_view kLanguages[] = {"project", "enable_language"};
constexpr std::string_view kSearches[] = {"find_program", "find_library", "find_file", "find_path"};
constexpr std::string_view kTries[] = {"try_compile", "try_run"};
// Who gets a path of the stage by one of these may give it to a check, which then reads the stage's headers.
constexpr std::string_view kGivePaths[] = {"set",
                                           "list",
                                           "string",
                                           "foreach",
                                           "file",
                                           "cmake_path",
                                           "get_filename_component",
                                           "execute_process",
                                           "set_property",
                                           "set_target_properties",
                                           "set_directory_properties",
                                           "cmake_language"};
constexpr std::string_view kHarmlessPaths[] = {"CMAKE_MODULE_PATH", "CMAKE_RUNTIME_OUTPUT_DIRECTORY",
                                               "CMAKE_LIBRARY_OUTPUT_DIRECTORY",
                                               "CMAKE_ARCHIVE_OUTPUT_DIRECTORY"};
// They can see that there are entries without saying their names.
constexpr std::string_view kSeeAll[] = {"get_cmake_property", "load_cache", "variable_watch"};

bool is_word_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.' || c == '+';
}

template <typename Visit>
void each_word(std::string_view text, Visit visit) {
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && is_word_character(text[end])) ++end;
    if (end > at) visit(text.substr(at, end - at));
    at = end + 1;
  }
}

bool is_plain(const std::string& text) {
  return !text.empty() && std::ranges::none_of(text, [](unsigned char c) { return c <= ' ' || c == '"'; });
}

}  // namespace

class TraceOfChecks {
 public:
  TraceOfChecks(const cache::Places& places, const KnownChecks& told)
      : places_(places), scripts_(places), told_(told) {
    for (const KnownChecks::Check& check : told.checks_)
      untold_.insert(check.names.begin(), check.names.end());
  }

  Status line(const TraceLine& line) {
    note_function(line);
    note_variables(line, assigned_);
    if (inside_ && line.frame > inside_frame_) return inner(line);
    end_check();
    const bool own = cache::is_below(line.file, places_.source);
    find_cmake(line);
    if (own) SB_CHECK(own_line(line));
    if (cache::is_below(line.file, places_.build)) closed_ = false;  // it is not there when checks are told
    state_ = KeyBuilder()
                 .add(state_)
                 .add(line.file)
                 .add(std::uint64_t{line.first})
                 .add(std::uint64_t{line.frame})
                 .add(line.command)
                 .add(line.arguments)
                 .finish();
    if (is_one_of(line.command, kChecks) || is_one_of(line.command, kLanguages)) {
      begin_check(line);
      return {};
    }
    SB_CHECK(note_paths(line));
    if (line.command == "configure_file") SB_CHECK(template_is_blind(line));
    if (!own) elsewhere_.insert(line.file);
    return note_files(line);
  }

  Result<KnownChecks> finish() {
    end_check();
    if (next_told_ < told_.checks_.size()) return conflict(told_.checks_[next_told_], "is asked for no more");
    for (const std::string& variable : told_.variables_) {
      if (!assigned_.contains(variable) && read_.contains(variable))
        return fail(ErrorKind::conflict, fmt::format("{} may be what a check leaves", variable));
    }
    KnownChecks known;
    for (std::size_t i = 0; i < found_.size(); ++i) {
      KnownChecks::Check& check = found_[i];
      const auto is_touched = [&](const std::string& name) { return touched_.contains(name); };
      if (std::ranges::any_of(check.names, is_touched)) {
        if (i < told_.checks_.size()) return conflict(check, "or its like is given another value");
        break;  // the entry may not be the check's; and later checks have this one before them
      }
      if (!std::ranges::all_of(check.names, is_plain)) break;
      known.checks_.push_back(std::move(check));
    }
    known.variables_ = std::move(variables_);
    known.variables_.insert(told_.variables_.begin(), told_.variables_.end());
    known.cmake_ = cmake_;
    known.elsewhere_ = std::move(elsewhere_);
    for (const auto& [path, lines] : lines_run_) known.scripts_.insert(path);
    return known;
  }

 private:
  static std::unexpected<Error> conflict(const KnownChecks::Check& check, std::string_view why) {
    return fail(ErrorKind::conflict, fmt::format("{} {}", join(check.names, ", "), why));
  }

  // project() begins with the one in an empty folder, with the other where it knows the compilers.
  void find_cmake(const TraceLine& line) {
    for (const std::string_view name :
         {"/CMakeDetermineSystem.cmake", "/CMakeSystemSpecificInitialize.cmake"}) {
      if (cmake_.empty() && line.file.ends_with(name) && !places_.in_stage(line.file))
        cmake_ = line.file.substr(0, line.file.size() - name.size());
    }
  }

  Status own_line(const TraceLine& line) {
    std::size_t& run = lines_run_[line.file];
    if (line.last > run) {
      run = line.last;
      longer_.insert(line.file);
    }
    const bool sees_all = is_one_of(line.command, kSeeAll) || line.says(R"(VARIABLES")") ||
                          line.says("CMakeCache.txt") || line.says(places_.build + "/CMakeFiles") ||
                          (line.command == "file" && line.says(R"("GLOB)") && line.says(places_.build));
    if (sees_all)
      return fail(ErrorKind::refused,
                  fmt::format("{}:{} may see what is told", places_.shown(line.file), line.first));
    note_touched(line);
    const std::vector<std::string>* text = scripts_.of(line.file);
    if (text == nullptr || line.last > text->size())
      return fail(ErrorKind::refused, fmt::format("{} is no longer as it ran", places_.shown(line.file)));
    if (!seen_.insert(fmt::format("{}:{}", line.first, line.file)).second) return {};
    if (!told_.empty()) note_read(line, *text);
    return {};
  }

  // The variables that it may read: "${name}", and whole arguments of commands that take names.
  void note_read(const TraceLine& line, const std::vector<std::string>& text) {
    for (std::size_t i = line.first; i <= line.last; ++i) {
      std::string_view rest = text[i - 1];
      for (std::size_t at = rest.find("${"); at != std::string_view::npos; at = rest.find("${")) {
        rest.remove_prefix(at + 2);
        read_.emplace(rest.substr(0, rest.find_first_of("}$")));
      }
    }
    if (!is_one_of(line.command, {"if", "elseif", "while", "list", "foreach"})) return;
    std::string_view rest = line.arguments;
    while (rest.size() > 1) {
      const std::size_t end = rest.find("\",\"", 1);
      read_.emplace(rest.substr(1, std::min(end, rest.size() - 1) - 1));
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + 2);
    }
  }

  void begin_check(const TraceLine& line) {
    inside_.emplace();
    inside_frame_ = line.frame;
    inside_language_ = is_one_of(line.command, kLanguages);
    function_frame_ = functions_.contains(line.command) ? line.frame : 0;
    inside_->state = state_;
    // What it is told names the stage; a check may read headers there.
    if (!inside_language_ && (line.says(places_.source) || line.says(places_.build))) closed_ = false;
    keeps_ = keeps_ && closed_;
    if (next_told_ < told_.checks_.size() && told_.checks_[next_told_].state == state_) {
      *inside_ = told_.checks_[next_told_++];
      inside_told_ = true;
      for (const std::string& name : inside_->names) untold_.erase(name);
      longer_.clear();
    }
  }

  Status inner(const TraceLine& line) {
    find_cmake(line);
    // A toolchain file, or what CMAKE_PROJECT_INCLUDE names: not seen when nothing is asked.
    if ((cmake_.empty() || !cache::is_below(line.file, cmake_)) &&
        !cache::is_below(line.file, places_.build + "/CMakeFiles"))
      return fail(ErrorKind::refused, fmt::format("{} runs in a check", places_.shown(line.file)));
    if (!inside_language_) {
      elsewhere_.insert(line.file);
      SB_CHECK(note_files(line));
    }
    if (inside_told_) return {};
    if (outlives_check(line)) note_variables(line, variables_);
    const bool tries = is_one_of(line.command, kTries);
    if (tries || is_one_of(line.command, kSearches) ||
        (line.command == "set" && line.says(R"("CACHE","INTERNAL")"))) {
      SB_TRY(const std::vector<std::string> arguments, line.parsed_arguments());
      if (arguments.empty()) return {};
      const auto add = [&](const std::string& name) {
        if (std::ranges::find(inside_->names, name) == inside_->names.end()) inside_->names.push_back(name);
      };
      add(arguments[0]);
      if (line.command == "try_run" && arguments.size() > 1) add(arguments[1]);
      if (tries && names_stage(arguments)) closed_ = false;
      keeps_ = keeps_ && closed_;
    }
    return {};
  }

  // A variable of a function ends with it.
  bool outlives_check(const TraceLine& line) {
    const bool in_function = function_frame_ > 0 && line.frame > function_frame_;
    if (!in_function) function_frame_ = functions_.contains(line.command) ? line.frame : 0;
    return line.says(R"("PARENT_SCOPE")") || (!in_function && !line.says(R"("CACHE")"));
  }
  void note_function(const TraceLine& line) {
    if (line.command != "function" || line.arguments.size() < 2) return;
    functions_.insert(lower_case(line.arguments.substr(1, line.arguments.find('"', 1) - 1)));
  }

  // But for the folder that it is tried in.
  [[nodiscard]] bool names_stage(const std::vector<std::string>& arguments) const {
    return std::ranges::any_of(arguments, [&](const std::string& argument) {
      if (argument.find(places_.source) != std::string::npos) return true;
      return argument.find(places_.build) != std::string::npos && argument != places_.build &&
             !argument.starts_with(places_.build + "/CMakeFiles");
    });
  }

  void end_check() {
    if (!inside_) return;
    KnownChecks::Check check = *std::exchange(inside_, std::nullopt);
    if (!std::exchange(inside_told_, false)) {
      if (check.names.empty()) return;  // it knew before
      if (!keeps_ || (found_.empty() && !inside_language_)) return;
      for (const std::string& path : std::exchange(longer_, {}))
        check.scripts.push_back({.path = path, .lines = lines_run_[path]});
      check.texts = KnownChecks::key_of(check.scripts, scripts_);
    }
    found_.push_back(std::move(check));
  }

  Status note_paths(const TraceLine& line) {
    const bool imports =
        line.command == "add_library" &&
        (line.says(R"("IMPORTED")") || line.says(R"("INTERFACE")") || line.says(R"("ALIAS")"));
    imports_ = imports_ || imports;  // from then on, a target's properties may be a check's
    const bool gives =
        is_one_of(line.command, kGivePaths) || (imports_ && line.command.starts_with("target_"));
    if (!gives || !closed_ || (!line.says(places_.source) && !line.says(places_.build))) return {};
    SB_TRY(const std::vector<std::string> arguments, line.parsed_arguments());
    const std::size_t at = line.command == "list" ? 1 : 0;
    closed_ = (line.command == "set" || line.command == "list") && arguments.size() > at &&
              is_one_of(arguments[at], kHarmlessPaths);
    return {};
  }

  // What it makes must not depend on an entry whose check comes later.
  Status template_is_blind(const TraceLine& line) {
    if (untold_.empty()) return {};
    SB_TRY(const std::vector<std::string> arguments, line.parsed_arguments());
    if (arguments.empty()) return {};
    const std::string path = cache::Places::absolute(arguments[0], line.file.substr(0, line.file.rfind('/')));
    const std::vector<std::string>* text = scripts_.of(path);
    bool blind = text != nullptr;
    for (std::size_t i = 0; blind && i < text->size(); ++i) {
      each_word((*text)[i],
                [&](std::string_view word) { blind = blind && !untold_.contains(std::string(word)); });
    }
    if (blind) return {};
    return fail(ErrorKind::conflict, fmt::format("{} may show an entry before its check", arguments[0]));
  }

  // A template, for instance.
  Status note_files(const TraceLine& line) {
    if (cmake_.empty() || !line.says(cmake_)) return {};
    SB_TRY(std::vector<std::string> arguments, line.parsed_arguments());
    for (std::string& argument : arguments) {
      if (cache::is_below(argument, cmake_)) elsewhere_.insert(std::move(argument));
    }
    return {};
  }

  void note_touched(const TraceLine& line) {
    const bool touches = is_one_of(line.command, {"option", "mark_as_advanced", "set_property", "unset"}) ||
                         is_one_of(line.command, kSearches) || is_one_of(line.command, kTries) ||
                         line.says(R"("CACHE")");
    if (!touches) return;
    each_word(line.arguments, [&](std::string_view word) { touched_.emplace(word); });
  }

  static void note_variables(const TraceLine& line, std::set<std::string>& variables) {
    const bool first = is_one_of(line.command, {"set", "foreach"});
    constexpr std::string_view kOutput = R"(_VARIABLE",")";
    std::string_view rest = line.arguments;
    if (first && rest.size() > 1) variables.emplace(rest.substr(1, rest.find('"', 1) - 1));
    for (std::size_t at = rest.find(kOutput); at != std::string_view::npos; at = rest.find(kOutput)) {
      rest.remove_prefix(at + kOutput.size());
      variables.emplace(rest.substr(0, rest.find('"')));
    }
  }

  const cache::Places& places_;
  ScriptLines scripts_;
  const KnownChecks& told_;
  std::size_t next_told_ = 0;
  std::set<std::string> untold_;  // names of `told` whose check did not come yet
  std::string cmake_;
  Key state_;
  std::map<std::string, std::size_t> lines_run_;  // by script
  std::set<std::string> longer_;                  // since the last check
  bool closed_ = true;                            // no check can have read the stage's own headers
  bool keeps_ = true;                             // every check until now can be told
  bool imports_ = false;
  std::optional<KnownChecks::Check> inside_;
  std::size_t inside_frame_ = 0;
  std::size_t function_frame_ = 0;  // of the outermost one that was called in it
  bool inside_language_ = false;
  bool inside_told_ = false;
  std::vector<KnownChecks::Check> found_;
  std::set<std::string> functions_;
  std::set<std::string> variables_;  // that checks set
  std::set<std::string> assigned_;   // all
  std::set<std::string> touched_;    // entries, and other words
  std::set<std::string> elsewhere_;
  std::unordered_set<std::string> seen_;  // lines
  std::unordered_set<std::string> read_;  // variables
};

Result<KnownChecks> KnownChecks::from_trace(const fs::path& file, const cache::Places& places,
                                            const KnownChecks& told) {
  std::error_code code;
  if (fs::symlink_status(file, code).type() != fs::file_type::regular)
    return fail(ErrorKind::refused, "no trace");
  std::ifstream lines(file);
  std::string text;
  std::getline(lines, text);  // its version
  TraceOfChecks trace(places, told);
  while (std::getline(lines, text)) {
    const std::optional<TraceLine> line = read_trace_line(text);
    if (!line || line->frame == 0)
      return fail(ErrorKind::refused, "the trace does not say how deep a call is (CMake 3.24 does)");
    SB_CHECK(trace.line(*line));
  }
  return trace.finish();
}

}  // namespace sb::build
