#include "build/cmake_trace.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>

#include <fmt/format.h>

#include "build/cmake_trace_line.h"
#include "cache/stage_listing.h"

namespace sb::build {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

std::string_view last_name(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return path.substr(path.rfind('/') + 1);
}

class Reader {
 public:
  explicit Reader(const cache::Places& places) : places_(places) {}

  Status line(std::string_view text) {
    const std::optional<TraceLine> line = read_trace_line(text);
    if (!line) return fail(ErrorKind::corrupt, "a line that is no command");
    if (!may_read(*line)) return {};
    SB_TRY(const Arguments arguments, line->parsed_arguments());
    if (!arguments.empty()) read(line->command, arguments, line->file);
    return {};
  }

  TracedReads result() { return {.inputs = {inputs_.begin(), inputs_.end()}, .tells_time = tells_time_}; }

 private:
  // Most lines are none of these, and are not parsed.
  static bool may_read(const TraceLine& line) {
    if (is_one_of(line.command, {"if", "elseif", "while"}))
      return line.says(R"("EXISTS")") || line.says(R"("IS_)");
    if (line.command == "set") return line.says(R"("ENV{)");
    if (line.command == "string") return line.says(R"("TIMESTAMP")") || line.says(R"("RANDOM")");
    return is_one_of(line.command, {"file", "execute_process", "exec_program", "try_compile", "try_run",
                                    "load_cache", "aux_source_directory"});
  }

  void read(const std::string& command, const Arguments& arguments, const std::string& script) {
    const bool own = cache::is_below(script, places_.source);
    if (command == "file") {
      file(arguments, own);
    } else if (command == "set") {
      for (const std::string& argument : arguments)
        environment_knows_source_ =
            environment_knows_source_ || argument.find(places_.source) != std::string::npos;
    } else if (command == "string") {
      tells_time_ = tells_time_ || (own && is_one_of(arguments[0], {"TIMESTAMP", "RANDOM"}));
    } else if (is_one_of(command, {"if", "elseif", "while"})) {
      for (const std::string& argument : arguments) look_for(argument);
    } else if (is_one_of(command, {"execute_process", "exec_program"})) {
      process(arguments);
    } else if (command == "aux_source_directory") {
      named(arguments[0]);
    } else {
      for (const std::string& argument : arguments)
        each_piece(argument, [&](std::string_view piece) { tried(piece); });
    }
  }

  void file(const Arguments& arguments, bool own) {
    const std::string& what = arguments[0];
    if (is_one_of(what, {"WRITE", "APPEND", "TOUCH", "TOUCH_NOCREATE", "MAKE_DIRECTORY", "REMOVE",
                         "REMOVE_RECURSE", "RELATIVE_PATH", "TO_CMAKE_PATH", "TO_NATIVE_PATH"}))
      return;
    if (own && what == "TIMESTAMP") tells_time_ = true;
    if (what.starts_with("GLOB")) {
      for (const std::string& pattern : arguments) look_for(pattern);
    } else if (what == "GENERATE") {
      const auto input = std::ranges::find(arguments, "INPUT");
      if (input != arguments.end() && input + 1 != arguments.end()) named(input[1]);
    } else if (is_one_of(what,
                         {"COPY", "INSTALL", "COPY_FILE", "CREATE_LINK", "RENAME", "ARCHIVE_CREATE",
                          "ARCHIVE_EXTRACT", "DOWNLOAD", "UPLOAD", "LOCK", "GET_RUNTIME_DEPENDENCIES"})) {
      for (std::size_t i = 1; i < arguments.size(); ++i) {
        if (is_one_of(arguments[i - 1], {"DESTINATION", "PATTERN", "REGEX"})) continue;
        each_piece(arguments[i], [&](std::string_view piece) { named(piece); });
      }
    } else if (arguments.size() > 1) {
      named(arguments[1]);  // READ, STRINGS, SHA256, SIZE, …
      if (arguments.size() > 2 && what == "DIFFERENT") named(arguments.back());
    }
  }

  // A program that is told a path of the source, or starts there, may read anything in it; another does not
  // find it.
  void process(const Arguments& arguments) {
    bool knows_source = environment_knows_source_;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const std::string& argument = arguments[i];
      const std::string_view before = i > 0 ? std::string_view(arguments[i - 1]) : std::string_view();
      if (before == "COMMAND" && last_name(argument) == "date") tells_time_ = true;
      // Otherwise it starts in the build folder.
      if (before == "WORKING_DIRECTORY" && !argument.starts_with('/')) knows_source = true;
      for (const std::string_view way : {std::string_view(places_.source), std::string_view("../")})
        knows_source = knows_source || argument.find(way) != std::string::npos;
      // What the project wrote there, a script for instance, may name the source; CMake's own trials do not.
      const std::size_t made = argument.find(places_.build + "/");
      if (made != std::string::npos &&
          !std::string_view(argument).substr(made + places_.build.size()).starts_with("/CMakeFiles"))
        knows_source = true;
    }
    if (!knows_source) return;
    if (asks_git_only(arguments)) {
      // A view hides the repository, so that git has no answer in any stage; without one it has another for
      // each.
      if (!places_.view) tells_time_ = true;
      return;
    }
    inputs_.insert(places_.source + "/");
  }

  static bool asks_git_only(const Arguments& arguments) {
    bool only = false;
    for (std::size_t i = 1; i < arguments.size(); ++i) {
      if (arguments[i - 1] != "COMMAND") continue;
      if (last_name(arguments[i]) != "git") return false;
      only = true;
    }
    return only;
  }

  // What is compiled may include what lies beside it, and what it is told by -I.
  void tried(std::string_view piece) {
    const std::size_t at = piece.find(places_.source);
    if (at != std::string_view::npos) piece.remove_prefix(at);
    for (const std::string& path : named_by(piece)) {
      const bool own = cache::is_below(path, places_.source);
      inputs_.insert(own ? path.substr(0, path.rfind('/') + 1) : path);
    }
  }

  void named(std::string_view word) {
    for (const std::string& path : named_by(word)) inputs_.insert(path);
  }

  // The files and folders ("…/") of the source and the files outside of the build folder that a word could
  // mean. A relative one is taken by its last name: which folder it starts from is not known here.
  std::vector<std::string> named_by(std::string_view word) {
    if (word.empty() || word.starts_with('-') || word.size() > 4096) return {};
    if (!word.starts_with('/')) {
      const auto known = by_name().find(std::string(last_name(word)));
      return known == by_name().end() ? std::vector<std::string>() : known->second;
    }
    const std::string path = cache::Places::absolute(word, "/");
    if (path == places_.source) return {path + "/"};
    if (path == places_.build || cache::is_below(path, places_.build)) return {};
    std::error_code code;
    const bool own = cache::is_below(path, places_.source);
    const fs::file_status status = fs::status(places_.real(path), code);
    if (fs::is_regular_file(status)) return {path};
    if (own && fs::is_directory(status)) return {path + "/"};
    if (own && fs::is_symlink(fs::symlink_status(places_.real(path), code))) return {path};
    return {};
  }

  void look_for(std::string_view path) {
    const std::string_view name = last_name(path);
    const bool absolute = path.starts_with('/');
    if (name.empty() || (absolute && !cache::is_below(path, places_.source))) return;
    if (absolute || path.find_first_of("/.*?[") != std::string_view::npos)
      inputs_.insert("?" + std::string(name));
  }

  // Of a list, and the words of each: flags, or a path with blanks.
  template <typename Visit>
  static void each_piece(std::string_view argument, Visit visit, char separator = ';') {
    std::size_t end = 0;
    for (std::size_t at = 0; at < argument.size(); at = end + 1) {
      end = std::min(argument.find(separator, at), argument.size());
      const std::string_view piece = argument.substr(at, end - at);
      if (piece.empty()) continue;
      visit(piece);
      if (separator == ';' && piece.find(' ') != std::string_view::npos) each_piece(piece, visit, ' ');
    }
  }

  const std::unordered_map<std::string, std::vector<std::string>>& by_name() {
    if (!by_name_.empty()) return by_name_;
    for (const std::string& path : cache::source_paths(places_))
      by_name_[std::string(last_name(path))].push_back(places_.source + "/" + path);
    return by_name_;
  }

  const cache::Places& places_;
  std::unordered_map<std::string, std::vector<std::string>> by_name_;
  std::set<std::string> inputs_;
  bool tells_time_ = false;
  bool environment_knows_source_ = false;
};

}  // namespace

std::vector<std::string> trace_options(const fs::path& seen_file) {
  return {"--trace-expand", "--trace-format=json-v1", "--trace-redirect=" + seen_file.string()};
}

Result<TracedReads> read_trace(const fs::path& file, const cache::Places& places) {
  const auto unusable = [&](const std::string& why) {
    return fail(ErrorKind::corrupt, fmt::format("CMake's trace {} is not usable: {}", file.string(), why));
  };
  std::error_code code;
  // Opening a FIFO that the project left there would wait for ever.
  if (fs::symlink_status(file, code).type() != fs::file_type::regular) return unusable("not a regular file");
  std::ifstream lines(file);
  std::string line;
  if (!std::getline(lines, line) || line.find(R"("version":{"major":1,)") == std::string::npos)
    return unusable("it does not begin with its version");
  Reader reader(places);
  while (std::getline(lines, line)) {
    if (const Status read = reader.line(line); !read) return unusable(read.error().what);
  }
  return reader.result();
}

}  // namespace sb::build
