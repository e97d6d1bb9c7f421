#include "build/known_checks.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>
#include <fnmatch.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "os/file_system.h"

namespace sb::build {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestScript = 16 << 20;

template <typename List>
bool is_one_of(std::string_view word, const List& words) {
  return std::ranges::find(words, word) != std::end(words);
}

// cmake-modules(7), "the result is stored in the internal cache variable": they do nothing when it is there.
constexpr std::string_view kChecks[] = {
    "check_c_compiler_flag", "check_c_source_compiles", "check_c_source_runs",
    "check_compiler_flag",   "check_cxx_compiler_flag", "check_cxx_source_compiles",
    "check_cxx_source_runs", "check_cxx_symbol_exists", "check_function_exists",
    "check_include_file",    "check_include_file_cxx",  "check_include_files",
    "check_library_exists",  "check_linker_flag",       "check_prototype_definition",
    "check_source_compiles", "check_source_runs",       "check_struct_has_member",
    "check_symbol_exists",   "check_type_size",         "check_variable_exists"};
// They look for compilers once a build folder.
constexpr std::string_view kLanguages[] = {"project", "enable_language"};
// They choose what is executed, and that is seen; or they are about the project's own targets, files and
// messages, of which a check knows nothing.
constexpr std::string_view kUnnoticed[] = {"if",
                                           "elseif",
                                           "else",
                                           "while",
                                           "break",
                                           "continue",
                                           "return",
                                           "function",
                                           "macro",
                                           "message",
                                           "install",
                                           "export",
                                           "enable_testing",
                                           "add_test",
                                           "set_tests_properties",
                                           "add_custom_target",
                                           "add_custom_command",
                                           "add_dependencies",
                                           "source_group",
                                           "configure_file"};
constexpr std::string_view kOfTargets[] = {"add_library",
                                           "add_executable",
                                           "target_sources",
                                           "target_link_libraries",
                                           "target_link_options",
                                           "target_link_directories",
                                           "target_include_directories",
                                           "target_compile_definitions",
                                           "target_compile_options",
                                           "target_compile_features",
                                           "target_precompile_headers",
                                           "set_target_properties"};
// A check reads variables of CMake's alone; what goes from others into its arguments is seen there.
constexpr std::string_view kOfVariables[] = {"set",
                                             "unset",
                                             "list",
                                             "string",
                                             "math",
                                             "get_filename_component",
                                             "foreach",
                                             "option",
                                             "separate_arguments",
                                             "mark_as_advanced"};
// What they give to a variable is not in their arguments.
constexpr std::string_view kFromElsewhere[] = {"file",
                                               "execute_process",
                                               "exec_program",
                                               "get_property",
                                               "find_program",
                                               "find_library",
                                               "find_file",
                                               "find_path",
                                               "site_name",
                                               "get_directory_property",
                                               "get_target_property",
                                               "get_source_file_property",
                                               "get_test_property",
                                               "cmake_host_system_information",
                                               "try_compile",
                                               "try_run"};
// They can name an entry without saying its name.
constexpr std::string_view kUnpredictable[] = {"get_cmake_property", "load_cache", "variable_watch"};
constexpr std::string_view kMakeEntries[] = {"find_program", "find_library", "find_file", "find_path"};

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

bool says_cmake(std::string_view text) {
  return text.find("CMAKE_") != std::string_view::npos || text.find("ENV{") != std::string_view::npos;
}

// A line of the trace. Quotation marks in a JSON string are escaped, so that what is looked for is found
// outside of strings only; its arguments stay as they are.
struct Line {
  std::string_view arguments;  // "a","b"
  std::string command;         // in lower case
  std::string file;
  int frame = 0;  // how deep in calls, across files
  std::size_t first = 0;
  std::size_t last = 0;
};

std::string_view value_of(std::string_view line, std::string_view key) {
  const std::size_t at = line.find(key);
  return at == std::string_view::npos ? std::string_view() : line.substr(at + key.size());
}

std::size_t number(std::string_view text) {
  std::size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::optional<Line> read_line(std::string_view text) {
  constexpr std::string_view kBegin = R"({"args":[)";
  constexpr std::string_view kCommand = R"(],"cmd":")";
  if (!text.starts_with(kBegin)) return std::nullopt;
  const std::size_t end = text.find(kCommand);
  if (end == std::string_view::npos) return std::nullopt;
  Line line;
  line.arguments = text.substr(kBegin.size(), end - kBegin.size());
  std::string_view rest = text.substr(end + kCommand.size());
  line.command = std::string(rest.substr(0, rest.find('"')));
  std::ranges::transform(line.command, line.command.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::string_view file = value_of(rest, R"("file":")");
  line.file = std::string(file.substr(0, file.find('"')));
  const std::string_view frame = value_of(rest, R"("global_frame":)");
  if (frame.empty() || line.file.find('\\') != std::string::npos) return std::nullopt;
  line.frame = static_cast<int>(number(frame));
  line.first = number(value_of(rest, R"("line":)"));
  line.last = std::max(line.first, number(value_of(rest, R"("line_end":)")));
  return line;
}

std::vector<std::string> arguments_of(const Line& line) {
  std::vector<std::string> arguments;
  const Result<Json> json = parse_json(fmt::format("[{}]", line.arguments));
  for (const Json& argument : json ? *json : Json::array()) {
    if (argument.is_string()) arguments.push_back(argument.get<std::string>());
  }
  return arguments;
}

std::string hex_of(const Key& key) {
  return fmt::format("{:016x}{:016x}", key.high, key.low);
}

Key key_of_hex(std::string_view hex) {
  Key key;
  std::from_chars(hex.data(), hex.data() + std::min<std::size_t>(16, hex.size()), key.high, 16);
  if (hex.size() > 16) std::from_chars(hex.data() + 16, hex.data() + hex.size(), key.low, 16);
  return key;
}

// "HAVE_${name}" → "HAVE_*"; empty when it is nothing but variables.
std::string pattern_of(std::string_view word) {
  std::string pattern;
  int depth = 0;
  for (const char c : word) {
    if (c == '$') continue;
    if (c == '{') {
      if (depth++ == 0) pattern += '*';
    } else if (c == '}') {
      depth = std::max(0, depth - 1);
    } else if (depth == 0) {
      pattern += c;
    }
  }
  return pattern.find_first_not_of("*_-.+") == std::string::npos ? std::string() : pattern;
}

// The lines of the scripts that ran, as they were written.
class Scripts {
 public:
  explicit Scripts(const cache::Places& places) : places_(places) {}
  std::string lines(const std::string& file, std::size_t first, std::size_t last) {
    const auto [known, fresh] = files_.try_emplace(file);
    if (fresh) {
      const Result<std::string> text = os::read_file(places_.real(file), kLargestScript);
      for (const std::string_view line : split_lines(text ? *text : std::string()))
        known->second.emplace_back(line);
    }
    std::string text;
    for (std::size_t i = first; i <= last && i <= known->second.size(); ++i) {
      if (i > 0) text.append(known->second[i - 1]).append("\n");
    }
    return text;
  }

 private:
  const cache::Places& places_;
  std::unordered_map<std::string, std::vector<std::string>> files_;
};

}  // namespace

class TraceOfChecks {
 public:
  TraceOfChecks(const cache::Places& places, const KnownChecks& told)
      : places_(places), scripts_(places), told_(told) {
    for (const KnownChecks::Check& check : told.checks_)
      untold_.insert(check.names.begin(), check.names.end());
  }

  Status line(const Line& line) {
    if (inside_ && line.frame > inside_->frame) return inner(line);
    end_check();
    const bool own = is_own(line);
    if (own) SB_CHECK(check_predictable(line));
    if (is_one_of(line.command, kChecks) || is_one_of(line.command, kLanguages))
      return begin_check(line, own);
    if (!untold_.empty()) SB_CHECK(check_unsaid(line, own));
    if (own) {
      executed(line);
    } else {
      elsewhere_.insert(line.file);
    }
    note_files(line);
    return {};
  }

  Result<KnownChecks> finish() {
    end_check();
    if (!untold_.empty()) return conflict(*untold_.begin(), "is not asked for any more");
    KnownChecks known;
    for (Found& found : found_) {
      KnownChecks::Check& check = found.check;
      // Whoever gives an entry another value than the check did wants that one.
      const auto is_touched = [&](const std::string& name) { return touched_.contains(name); };
      if (const auto name = std::ranges::find_if(found.told, is_touched); name != found.told.end())
        return conflict(*name, "is given another value");
      const bool touched = std::ranges::any_of(check.names, is_touched);
      if (touched && found.is_language) {
        std::erase_if(check.names, [&](const std::string& name) {
          return touched_.contains(name) && !found.searched.contains(name);
        });
        if (std::ranges::any_of(check.names, is_touched))
          return fail(ErrorKind::refused, "the project changes what CMake found");
      }
      const bool strange = std::ranges::any_of(
          check.names, [](const std::string& name) { return !std::ranges::all_of(name, is_word_character); });
      if (check.names.empty() || strange || found.reads_project || (touched && !found.is_language)) continue;
      known.checks_.push_back(std::move(check));
    }
    // The others mean nothing in a folder that knows no compiler.
    const bool knows_languages = std::ranges::any_of(
        found_, [](const Found& found) { return found.is_language && !found.reads_project; });
    if (!knows_languages) known.checks_.clear();
    known.cmake_ = cmake_;
    known.elsewhere_ = std::move(elsewhere_);
    return known;
  }

 private:
  struct Found {
    KnownChecks::Check check;
    int frame = 0;
    bool is_language = false;
    std::vector<std::string> told;   // of its names
    bool reads_project = false;      // what it tries includes files of this source or build folder
    std::set<std::string> searched;  // of its names: those that it searched the host for
  };

  static std::unexpected<Error> conflict(const std::string& name, std::string_view why) {
    return fail(ErrorKind::conflict, fmt::format("{} {}", name, why));
  }

  // Not of CMake itself: a script of the project, or one that it includes.
  bool is_own(const Line& line) {
    // project() begins with the one in an empty folder, with the other where it knows the compilers.
    for (const std::string_view name :
         {"/CMakeDetermineSystem.cmake", "/CMakeSystemSpecificInitialize.cmake"}) {
      if (cmake_.empty() && line.file.ends_with(name) && !cache::is_below(line.file, places_.source))
        cmake_ = line.file.substr(0, line.file.size() - name.size());
    }
    return (cmake_.empty() || !cache::is_below(line.file, cmake_)) &&
           !cache::is_below(line.file, places_.build + "/CMakeFiles");
  }

  static Status check_predictable(const Line& line) {
    const bool names_one = is_one_of(line.command, kFromElsewhere) &&
                           line.arguments.find(R"("CMAKE_)") != std::string_view::npos;
    if (names_one || is_one_of(line.command, kUnpredictable) ||
        line.arguments.find("CMakeCache.txt") != std::string_view::npos)
      return fail(ErrorKind::refused, fmt::format("{}:{}: {}() may have any effect on a check", line.file,
                                                  line.first, line.command));
    return {};
  }

  Status begin_check(const Line& line, bool own) {
    Found found;
    found.frame = line.frame;
    found.is_language = is_one_of(line.command, kLanguages);
    KeyBuilder call;
    call.add(line.command);
    if (line.command == "project") {
      // Another version or description is the same question.
      const std::vector<std::string> arguments = arguments_of(line);
      for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (is_one_of(arguments[i],
                      std::initializer_list<std::string_view>{"VERSION", "DESCRIPTION", "HOMEPAGE_URL"}))
          ++i;
        else
          call.add(arguments[i]);
      }
    } else {
      call.add(line.arguments);
    }
    found.check.call = call.finish();
    found.check.state = state_;
    if (found.is_language) state_ = KeyBuilder().add(state_).add(found.check.call).finish();
    for (const KnownChecks::Check& told : told_.checks_) {
      if (told.call != found.check.call || told.state != found.check.state) continue;
      found.check.names = told.names;  // it makes none again
      found.told = told.names;
      for (const std::string& name : told.names) untold_.erase(name);
      break;
    }
    if (!untold_.empty()) SB_CHECK(check_unsaid(line, own && !found.is_language));
    inside_ = std::move(found);
    return {};
  }

  Status inner(const Line& line) {
    Found& found = *inside_;
    const bool own = is_own(line);
    const bool tries = line.command == "try_compile" || line.command == "try_run";
    const bool searches = is_one_of(line.command, kMakeEntries);
    if (own) {  // a toolchain file, or what CMAKE_PROJECT_INCLUDE names
      SB_CHECK(check_predictable(line));
      executed(line);
    }
    if (tries || searches ||
        (line.command == "set" && line.arguments.find(R"("CACHE")") != std::string_view::npos)) {
      const std::vector<std::string> arguments = arguments_of(line);
      if (!arguments.empty()) {
        std::vector<std::string>& names = found.check.names;
        if (!is_one_of(arguments[0], names)) names.push_back(arguments[0]);
        if (line.command == "try_run" && arguments.size() > 1) names.push_back(arguments[1]);
        if (tries || searches) found.searched.insert(arguments[0]);
        if (tries) found.reads_project = found.reads_project || names_project(arguments);
      }
    }
    return {};
  }

  [[nodiscard]] bool names_project(const std::vector<std::string>& arguments) const {
    return std::ranges::any_of(arguments, [&](const std::string& argument) {
      if (argument.find(places_.source) != std::string::npos) return true;
      for (std::size_t at = argument.find(places_.build); at != std::string::npos;
           at = argument.find(places_.build, at + 1)) {
        const std::string_view rest = std::string_view(argument).substr(at + places_.build.size());
        if (!rest.empty() && !rest.starts_with("/CMakeFiles")) return true;
      }
      return false;
    });
  }

  void end_check() {
    if (inside_) found_.push_back(std::move(*inside_));
    inside_.reset();
  }

  // Whatever says the name of an entry before its check might have read it.
  Status check_unsaid(const Line& line, bool own) {
    Status unsaid;
    const auto see = [&](std::string_view word) {
      if (unsaid && untold_.contains(std::string(word)))
        unsaid = conflict(std::string(word), fmt::format("is used in {}:{}", line.file, line.first));
    };
    each_word(line.arguments, see);
    if (!own || !unsaid) return unsaid;
    const std::string text = scripts_.lines(line.file, line.first, line.last);
    for (std::size_t at = 0; at < text.size() && unsaid;) {
      std::size_t end = at;
      while (end < text.size() && (is_word_character(text[end]) || is_of_variable(text[end]))) ++end;
      const std::string_view word = std::string_view(text).substr(at, end - at);
      if (word.find('$') == std::string_view::npos) {
        see(word);
      } else {
        each_word(word, see);  // "${HAVE_X}"
        const std::string pattern = pattern_of(word);
        for (const std::string& name : untold_) {
          if (!pattern.empty() && ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0) see(name);
        }
      }
      at = end + 1;
    }
    return unsaid;
  }
  static bool is_of_variable(char c) { return c == '$' || c == '{' || c == '}'; }

  // What later checks are made in.
  void executed(const Line& line) {
    if (line.command == "function" || line.command == "macro") {
      const std::vector<std::string> arguments = arguments_of(line);
      if (!arguments.empty()) own_commands_.insert(lower_case(arguments[0]));
    }
    note_touched(line);
    if (!is_unnoticed(line)) state_ = KeyBuilder().add(state_).add(line.command).add(line.arguments).finish();
  }

  bool is_unnoticed(const Line& line) {
    if (is_one_of(line.command, kUnnoticed) || own_commands_.contains(line.command)) return true;
    if (is_one_of(line.command, kOfVariables)) return !says_cmake(line.arguments);
    if (!is_one_of(line.command, kOfTargets)) return false;
    // A check may be linked with an imported target.
    for (const std::string_view kind : {R"("IMPORTED")", R"("INTERFACE")", R"("ALIAS")"}) {
      if (line.command == "add_library" && line.arguments.find(kind) != std::string_view::npos) {
        const std::vector<std::string> arguments = arguments_of(line);
        if (!arguments.empty()) imported_.insert(arguments[0]);
        return false;
      }
    }
    if (line.arguments.find("::") == std::string_view::npos && imported_.empty()) return true;
    const std::vector<std::string> arguments = arguments_of(line);
    const auto of_others = [&](const std::string& name) {
      return name.find("::") != std::string::npos || imported_.contains(name);
    };
    if (line.command == "set_target_properties") return std::ranges::none_of(arguments, of_others);
    return arguments.empty() || !of_others(arguments[0]);
  }

  // A template, for instance.
  void note_files(const Line& line) {
    if (cmake_.empty() || line.arguments.find(cmake_) == std::string_view::npos) return;
    for (std::string& argument : arguments_of(line)) {
      if (cache::is_below(argument, cmake_)) elsewhere_.insert(std::move(argument));
    }
  }

  void note_touched(const Line& line) {
    const bool touches = line.command == "option" || line.command == "mark_as_advanced" ||
                         line.command == "set_property" || is_one_of(line.command, kMakeEntries) ||
                         (is_one_of(line.command, std::initializer_list<std::string_view>{"set", "unset"}) &&
                          line.arguments.find(R"("CACHE")") != std::string_view::npos);
    if (!touches) return;
    each_word(line.arguments, [&](std::string_view word) { touched_.emplace(word); });
  }

  static std::string lower_case(std::string text) {
    std::ranges::transform(text, text.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
  }

  const cache::Places& places_;
  Scripts scripts_;
  const KnownChecks& told_;
  std::set<std::string> untold_;  // names of `told` whose check did not come yet
  std::string cmake_;             // where CMake's own modules are
  Key state_;
  std::optional<Found> inside_;
  std::vector<Found> found_;
  std::set<std::string> own_commands_;  // functions and macros: what they do is seen
  std::set<std::string> imported_;      // targets
  std::set<std::string> touched_;       // entries, and other words
  std::set<std::string> elsewhere_;
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
    const std::optional<Line> line = read_line(text);
    if (!line) return fail(ErrorKind::refused, "the trace does not say how deep a call is (CMake 3.24 does)");
    SB_CHECK(trace.line(*line));
  }
  return trace.finish();
}

// "//help", "NAME:TYPE=VALUE"; NAME-ADVANCED goes with NAME.
std::string KnownChecks::entries(std::string_view cache) const {
  std::set<std::string, std::less<>> names;
  for (const Check& check : checks_) names.insert(check.names.begin(), check.names.end());
  std::string kept;
  std::string help;
  for (const std::string_view line : split_lines(cache)) {
    if (line.starts_with("//")) {
      help.append(line).append("\n");
      continue;
    }
    std::string_view name = line.substr(0, line.find(':'));
    for (const std::string_view property : {"-ADVANCED", "-STRINGS"}) {
      if (name.ends_with(property)) name.remove_suffix(property.size());
    }
    if (names.contains(name)) kept.append(help).append(line).append("\n");
    help.clear();
  }
  return kept;
}

std::vector<std::string> KnownChecks::files(const std::vector<fs::path>& inputs) const {
  std::vector<std::string> files;
  for (const fs::path& input : inputs) {
    if (cache::is_below(input.native(), cmake_) && !elsewhere_.contains(input.native()))
      files.push_back(input.native());
  }
  return files;
}

// A line each: call, state, names.
std::string KnownChecks::to_text() const {
  std::string text;
  for (const Check& check : checks_)
    text += fmt::format("{} {} {}\n", hex_of(check.call), hex_of(check.state), join(check.names, " "));
  return text;
}

Result<KnownChecks> KnownChecks::from_text(std::string_view text) {
  KnownChecks known;
  for (const std::string_view line : split_lines(text)) {
    const std::vector<std::string> words = split(line, ' ');
    if (words.size() < 3) return fail(ErrorKind::corrupt, fmt::format("\"{}\" is no check", line));
    known.checks_.push_back({.call = key_of_hex(words[0]),
                             .state = key_of_hex(words[1]),
                             .names = {words.begin() + 2, words.end()}});
  }
  return known;
}

}  // namespace sb::build
