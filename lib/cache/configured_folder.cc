#include "cache/configured_folder.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <unordered_set>

#include <fcntl.h>
#include <fmt/format.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cache/edge_keys.h"
#include "cache/file_table.h"
#include "cache/stage_listing.h"
#include "os/file_system.h"

namespace sb::cache {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormat = "selfbuild configure 2";
constexpr timespec kOld = {.tv_sec = os::kSourceTimeNs / 1'000'000'000, .tv_nsec = 0};
constexpr timespec kTimes[] = {kOld, kOld};
constexpr std::size_t kLargestScript = 16 << 20;

bool is_word_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("_.+-*?[]{}$@~").find(c) != std::string_view::npos;
}

// "${name}" → "*".
std::string without_variables(std::string_view word) {
  std::string result;
  int depth = 0;
  for (const char c : word) {
    if (c == '$') continue;
    if (c == '{') {
      if (depth++ == 0) result += '*';
    } else if (c == '}') {
      depth = std::max(0, depth - 1);
    } else if (depth == 0) {
      result += c;
    }
  }
  return result;
}

struct Words {
  std::unordered_set<std::string> names;
  std::set<std::string> patterns;

  void read(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
      std::size_t end = at;
      while (end < text.size() && is_word_character(text[end])) ++end;
      if (end > at) add(text.substr(at, end - at));
      at = end + 1;
    }
  }
  void add(std::string_view word) {
    const std::string plain = without_variables(word);
    const bool says_more = plain.find_first_not_of("*?[]@.") != std::string::npos;
    // file(GLOB x *): everything
    const bool means_all = word.find('$') == std::string_view::npos && plain.find('*') != std::string::npos;
    if (plain.find_first_of("*?[") == std::string::npos) {
      names.insert(plain);
    } else if (says_more || means_all) {
      patterns.insert(plain);
    }
  }
  [[nodiscard]] bool could_mean(const std::string& name) const {
    if (names.contains(name)) return true;
    return std::ranges::any_of(patterns, [&](const std::string& pattern) {
      return ::fnmatch(pattern.c_str(), name.c_str(), FNM_PERIOD) == 0;
    });
  }
};

// "CTestConfig.cmake". CMake's own modules say so many words that others count for nothing there.
bool is_file_name(std::string_view word) {
  const std::size_t dot = word.rfind('.');
  return dot != std::string_view::npos && dot > 0 && dot + 1 < word.size() &&
         std::isalpha(static_cast<unsigned char>(word[dot + 1])) != 0 &&
         word.find_first_of("*?[]{}$@~") == std::string_view::npos;
}

// The file names that a text says: a line each, each once.
std::string file_names_in(std::string_view text) {
  std::unordered_set<std::string_view> said;
  std::string names;
  std::size_t end = 0;
  for (std::size_t at = 0; at < text.size(); at = end + 1) {
    for (end = at; end < text.size() && is_word_character(text[end]);) ++end;
    const std::string_view word = text.substr(at, end - at);
    if (is_file_name(word) && said.insert(word).second) names.append(word).append("\n");
  }
  return names;
}

// "CMakeFiles/3.25.1/…", which project() made (not "CMakeFiles/3d.dir"), and the logs of the checks.
bool is_about_host(std::string_view path) {
  constexpr std::string_view kFolder = "CMakeFiles/";
  if (path == kFolder.substr(0, kFolder.size() - 1)) return true;
  if (!path.starts_with(kFolder)) return false;
  path.remove_prefix(kFolder.size());
  return path.substr(0, path.find('/')).find_first_not_of("0123456789.") == std::string_view::npos ||
         path == "CMakeOutput.log" || path == "CMakeError.log" || path == "CMakeConfigureLog.yaml";
}

// As names_that_matter(), of files whose names CMake's own modules say.
Key names_of_modules(const std::vector<std::string>& names, const std::vector<std::string>& paths) {
  std::unordered_set<std::string_view> said;
  for (const std::string& each : names) {
    for (const std::string_view name : split_lines(each)) said.insert(name);
  }
  KeyBuilder key;
  for (const std::string_view path : paths) {
    if (said.contains(path.substr(path.rfind('/') + 1))) key.add(path);
  }
  return key.finish();
}

}  // namespace

Key names_that_matter(const std::vector<std::string>& texts, const std::vector<std::string>& paths) {
  Words words;
  for (const std::string& text : texts) words.read(text);
  std::unordered_map<std::string, bool> decided;
  std::vector<std::string_view> relevant;
  for (const std::string& path : paths) {
    const std::string_view bare =
        std::string_view(path).substr(0, path.size() - (path.ends_with('/') ? 1 : 0));
    std::string name(bare.substr(bare.rfind('/') + 1));
    const auto [known, fresh] = decided.try_emplace(std::move(name));
    if (fresh) known->second = words.could_mean(known->first);
    if (known->second) relevant.push_back(path);
  }
  KeyBuilder key;
  for (const std::string_view path : relevant) key.add(path);
  return key.finish();
}

Toolbox ConfiguredFolder::toolbox(FileTable& files) const {
  return {request_.places, files, store_, request_.ask, request_.environment};
}

Result<Key> ConfiguredFolder::action(Toolbox& tools) const {
  KeyBuilder key;
  key.add(kFormat).add(request_.places.source).add(request_.places.build).add(package_state());
  for (const std::string& word : request_.command) key.add(word);
  for (const std::string& variable : request_.environment) key.add(variable);
  for (const std::string& program : {request_.command.front(), std::string("ninja")}) {
    SB_TRY(const Tool* tool, tools.find(program, {}));
    key.add(tool->identity);
  }
  return key.finish();
}

Result<Key> ConfiguredFolder::result_key(const Key& action, FileTable& files,
                                         const std::vector<std::string>& inputs) {
  const std::string& source = request_.places.source;
  const std::vector<std::string> paths = source_paths(request_.places);
  KeyBuilder key;
  key.add(action);
  const auto add_file = [&](const std::string& path) -> Result<const FileTable::Known*> {
    SB_TRY(const FileTable::Known* known, files.known(files.number(path)));
    key.add(path).add(static_cast<std::uint64_t>(known->type)).add(known->digest);
    return known;
  };
  std::vector<std::string> texts;
  std::vector<std::string> names;
  for (const std::string& input : inputs) {
    if (input.starts_with('?')) {
      texts.push_back(input.substr(1));
    } else if (input.ends_with('/')) {
      for (const std::string& path : paths) {
        std::string file = fmt::format("{}/{}", source, path);
        if (file.starts_with(input) && !file.ends_with('/')) SB_CHECK(add_file(file));
      }
    } else {
      SB_TRY(const FileTable::Known* known, add_file(input));
      if (known->type != FileTable::Type::regular) continue;
      if (is_below(input, source)) {
        SB_TRY(texts.emplace_back(), os::read_file(request_.places.real(input), kLargestScript));
      } else {
        SB_TRY(names.emplace_back(), names_said_by(input, known->digest));
      }
    }
  }
  return key.add(names_that_matter(texts, paths)).add(names_of_modules(names, paths)).finish();
}

Result<std::string> ConfiguredFolder::names_said_by(const std::string& module, const Key& digest) {
  const Key key = KeyBuilder().add(std::string_view("file names 1")).add(digest).finish();
  SB_TRY(std::optional<std::string> known, store_.tool(key));
  if (known) return *std::move(known);
  SB_TRY(const std::string text, os::read_file(request_.places.real(module), kLargestScript));
  std::string names = file_names_in(text);
  said_.emplace_back(key, names);
  return names;
}

Result<std::optional<std::string>> ConfiguredFolder::take() {
  FileTable files(request_.places, store_);
  Toolbox tools = toolbox(files);
  SB_TRY(std::optional<std::string> note, [&]() -> Result<std::optional<std::string>> {
    const ActionStore::Reading reading(store_);
    SB_TRY(const Key configure, action(tools));
    return take_known(configure, files);
  }());
  if (!said_.empty()) {
    SB_CHECK(store_.begin_writing());
    const Status written = remember_words();
    SB_CHECK(store_.end_writing());
    SB_CHECK(written);
  }
  return note;
}

Status ConfiguredFolder::remember_words() {
  for (const auto& [module, names] : said_) SB_CHECK(store_.remember_tool(module, names));
  said_.clear();
  return {};
}

Result<std::optional<std::string>> ConfiguredFolder::take_known(const Key& action, FileTable& files) {
  SB_TRY(const std::vector<ActionStore::ListId> lists, store_.lists_of(action));
  why_ = lists.empty() ? "first time" : "an input of CMake changed";
  for (const ActionStore::ListId list : lists) {
    SB_TRY(const std::vector<ActionStore::PathId> ids, store_.list(list));
    std::vector<std::string> inputs;
    for (const ActionStore::PathId id : ids) {
      SB_TRY(std::string path, store_.path(id));
      inputs.push_back(std::move(path));
    }
    SB_TRY(const Key key, result_key(action, files, inputs));
    SB_TRY(const std::optional<ActionResult> result, store_.result(key, request_.owner));
    if (!result) continue;
    SB_TRY(const bool placed, place(*result));
    if (placed) return result->printed;
    why_ = "the stored build folder is damaged";
    SB_CHECK(empty());
  }
  return std::nullopt;
}

Status ConfiguredFolder::empty() const {
  const std::string build = request_.places.real(request_.places.build);
  SB_CHECK(os::remove_tree(build));
  return os::make_folders(build);
}

Key ConfiguredFolder::key_of_checks(const Key& action) {
  return KeyBuilder().add(std::string_view("checks 1")).add(action).finish();
}

Result<std::optional<std::string>> ConfiguredFolder::take_checks() {
  FileTable files(request_.places, store_);
  Toolbox tools = toolbox(files);
  const ActionStore::Reading reading(store_);
  SB_TRY(const Key configure, action(tools));
  const std::string why = std::exchange(why_, {});
  auto checks = take_known(key_of_checks(configure), files);
  why_ = why;
  return checks;
}

Result<bool> ConfiguredFolder::place(const ActionResult& result) const {
  const std::string build = request_.places.real(request_.places.build);
  for (const Output& output : result.outputs) {
    const std::string to = build + "/" + output.path;
    if (output.kind == Output::Kind::folder) {
      SB_CHECK(os::make_folders(to));
    } else if (output.kind == Output::Kind::symlink) {
      std::error_code code;
      fs::create_symlink(output.link, to, code);
      if (code) return fail(errno_error(fmt::format("cannot create {}", to), code.value()));
    } else if (Status placed = pool_.place(output.id, to, artifacts::Sharing::copy,
                                           output.executable ? 0755 : 0644, os::kSourceTimeNs);
               !placed) {
      if (placed.error().kind == ErrorKind::corrupt || placed.error().kind == ErrorKind::not_found)
        return false;
      return fail(placed.error());
    }
  }
  return true;
}

Status ConfiguredFolder::keep(const std::vector<std::string>& inputs, const std::string& note) {
  FileTable files(request_.places, store_);
  Toolbox tools = toolbox(files);
  SB_TRY(const Key configure, action(tools));
  ActionResult result{.outputs = {}, .printed = note, .took_ms = 0};
  const fs::path build = request_.places.real(request_.places.build);
  const std::size_t prefix = build.native().size() + 1;
  bool whole = true;
  std::error_code code;
  for (fs::recursive_directory_iterator it(build, code), end; !code && it != end; it.increment(code)) {
    struct stat info{};
    if (::lstat(it->path().c_str(), &info) != 0)
      return fail(errno_error("cannot look at " + it->path().string()));
    Output output{.kind = Output::Kind::copied,
                  .executable = (info.st_mode & S_IXUSR) != 0,
                  .path = it->path().native().substr(prefix)};
    // Older than what is built from them, as after take().
    if (!S_ISDIR(info.st_mode)) (void)::utimensat(AT_FDCWD, it->path().c_str(), kTimes, AT_SYMLINK_NOFOLLOW);
    if (S_ISDIR(info.st_mode)) {
      output.kind = Output::Kind::folder;
    } else if (S_ISLNK(info.st_mode)) {
      output.kind = Output::Kind::symlink;
      SB_TRY(const fs::path target, os::read_link(it->path()));
      output.link = target.string();
    } else if (S_ISREG(info.st_mode)) {
      SB_TRY(output.id, pool_.put(it->path(), artifacts::Sharing::copy));
    } else {
      whole = false;  // a pipe or socket: not a folder that we can make again
      continue;
    }
    result.outputs.push_back(std::move(output));
  }
  if (code) return fail(errno_error("cannot list " + build.string(), code.value()));
  if (!whole) return {};
  kept_ = result.outputs;
  return record(configure, files, tools, inputs, result);
}

Status ConfiguredFolder::keep_checks(const std::vector<std::string>& inputs, const std::string& checks) {
  FileTable files(request_.places, store_);
  Toolbox tools = toolbox(files);
  SB_TRY(const Key configure, action(tools));
  ActionResult result{.outputs = kept_, .printed = checks, .took_ms = 0};
  std::erase_if(result.outputs, [](const Output& output) { return !is_about_host(output.path); });
  // A link would lead the next run to where this project wants it.
  const bool has_link = std::ranges::any_of(
      result.outputs, [](const Output& output) { return output.kind == Output::Kind::symlink; });
  if (has_link || result.outputs.empty()) return {};
  return record(key_of_checks(configure), files, tools, inputs, result);
}

Status ConfiguredFolder::record(const Key& action, FileTable& files, Toolbox& tools,
                                const std::vector<std::string>& inputs, const ActionResult& result) {
  SB_TRY(const Key key, result_key(action, files, inputs));
  SB_CHECK(store_.begin_writing());
  const Status written = [&]() -> Status {
    SB_CHECK(files.remember());
    SB_CHECK(tools.remember());
    SB_CHECK(remember_words());
    std::vector<ActionStore::PathId> ids;
    for (const std::string& input : inputs) {
      SB_TRY(const ActionStore::PathId id, store_.path_id(input));
      ids.push_back(id);
    }
    SB_TRY(const ActionStore::ListId list, store_.list_id(ids));
    SB_CHECK(store_.record(action, list, key, request_.owner, result, request_.now_ms));
    return {};
  }();
  SB_CHECK(store_.end_writing());
  return written;
}

}  // namespace sb::cache
