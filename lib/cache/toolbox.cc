#include "cache/toolbox.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "cache/command.h"
#include "cache/driver_answer.h"

namespace sb::cache {
namespace {

// What ldd(1) says of a library that was found: "name => path (address)" or "path (address)".
std::string library_in(std::string_view line) {
  if (const std::size_t arrow = line.find(" => "); arrow != std::string_view::npos)
    line.remove_prefix(arrow + 4);
  line = trim(line);
  const std::size_t end = line.rfind(" (");
  return line.starts_with('/') && end != std::string_view::npos ? std::string(line.substr(0, end))
                                                                : std::string();
}

// The folders of -B, which Clang searches and does not show.
std::vector<std::string> prefixes_in(const std::vector<std::string>& flags) {
  std::vector<std::string> prefixes;
  for (std::size_t i = 0; i < flags.size(); ++i) {
    if (flags[i] == "-B" && i + 1 < flags.size()) {
      prefixes.push_back(flags[++i]);
    } else if (flags[i].starts_with("-B")) {
      prefixes.push_back(flags[i].substr(2));
    }
  }
  return prefixes;
}

}  // namespace

Toolbox::Toolbox(const Places& places, FileTable& files, ActionStore& store, Ask ask,
                 const std::vector<std::string>& environment)
    : places_(places), files_(files), store_(store), ask_(std::move(ask)), libraries_(places, environment) {
  KeyBuilder key;
  for (const std::string& variable : environment) {
    key.add(variable);
    if (variable.starts_with("PATH=")) folders_ = split(variable.substr(5), ':');
  }
  environment_ = key.finish();
}

std::string Toolbox::locate(std::string_view program) const {
  if (program.find('/') != std::string_view::npos) return places_.absolute(program);
  for (const std::string& folder : folders_) {
    std::string path = fmt::format("{}/{}", folder, program);
    if (::access(places_.real(path).c_str(), X_OK) == 0) return path;
  }
  return {};
}

Result<const Tool*> Toolbox::find(const std::string& program, const std::vector<std::string>& flags) {
  const std::string name = program + "\n" + join(flags, "\n");
  if (const auto known = tools_.find(name); known != tools_.end()) return &known->second;
  const std::string path = locate(program);
  if (path.empty()) return fail(ErrorKind::not_found, fmt::format("no {} in PATH", program));
  SB_TRY(const FileTable::Known* file, files_.known(files_.number(own_name(path))));
  if (file->type != FileTable::Type::regular)
    return fail(ErrorKind::not_found, fmt::format("{} is no program", path));
  Tool tool;
  Parts parts;
  SB_CHECK(add_program(path, parts));
  if (is_compiler_driver(program)) SB_CHECK(add_driver(path, file->digest, flags, parts, tool));
  std::vector<FileTable::Number> numbers;
  numbers.reserve(parts.size());
  for (const auto& [part, number] : parts) numbers.push_back(number);
  SB_CHECK(files_.know(numbers));
  KeyBuilder identity;
  for (const auto& [part, number] : parts) {
    SB_TRY(const FileTable::Known* known, files_.known(number));
    identity.add(part).add(known->digest);
    tool.parts.push_back(part);
  }
  for (const std::string& folder : tool.include_dirs) identity.add(folder);
  for (const std::string& folder : tool.library_dirs) identity.add(folder);
  tool.identity = identity.finish();
  return &tools_.emplace(name, std::move(tool)).first->second;
}

Status Toolbox::add_driver(const std::string& path, const Key& file, const std::vector<std::string>& flags,
                           Parts& parts, Tool& tool) {
  KeyBuilder question;
  question.add(std::string_view("driver 1")).add(path).add(file).add(environment_);
  for (const std::string& flag : flags) question.add(flag);
  SB_TRY(const std::string said, answer(question.finish(), driver_question(path, flags)));
  const DriverAnswer driver = read_driver_answer(said);

  std::vector<std::string> programs = prefixes_in(flags);
  std::vector<std::string> libraries = programs;
  programs.insert(programs.end(), driver.programs.begin(), driver.programs.end());
  libraries.insert(libraries.end(), driver.libraries.begin(), driver.libraries.end());
  for (const std::string& folder : folders_) programs.push_back(folder + "/");
  std::set<std::string> runs;
  for (std::string& name : driver_programs(driver, flags)) {
    // Clang prefers a program for its target: x86_64-pc-linux-gnu-as.
    if (!driver.target.empty() && name.find('/') == std::string::npos)
      runs.insert(fmt::format("{}-{}", driver.target, name));
    runs.insert(std::move(name));
  }
  for (const std::string& name : runs) {
    if (const std::string found = first_of(candidates(programs, name), true); !found.empty())
      SB_CHECK(add_program(found, parts));
  }
  std::vector<std::string> names = driver_files(flags);
  names.insert(names.end(), driver.names.begin(), driver.names.end());
  for (const std::string& name : names) {
    if (const std::string found = first_of(candidates(libraries, name), false); !found.empty())
      add_file(found, parts);
  }
  for (const std::string& folder : driver.include_dirs) {
    std::string seen = places_.absolute(folder);
    if (std::ranges::find(tool.include_dirs, seen) == tool.include_dirs.end())
      tool.include_dirs.push_back(std::move(seen));
  }
  for (const std::string& folder : driver.libraries) tool.library_dirs.push_back(places_.absolute(folder));
  return {};
}

// The first that is a file, as the commands see it; empty when none is.
std::string Toolbox::first_of(const std::vector<std::string>& paths, bool program) const {
  for (const std::string& path : paths) {
    std::string seen = path.starts_with('/') ? path : places_.absolute(path);
    const std::string real = places_.real(seen);
    struct stat info{};
    if (::stat(real.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
        (!program || ::access(real.c_str(), X_OK) == 0))
      return seen;
  }
  return {};
}

// A program with all that it loads. Where we do not find that, the loader is asked.
Status Toolbox::add_program(const std::string& name, Parts& parts) {
  if (parts.contains(name)) return {};
  add_file(name, parts);
  const SharedLibraries::Loaded loaded = libraries_.of(name);
  for (const std::string& library : loaded.files) add_file(library, parts);
  if (loaded.whole) return {};
  SB_TRY(const FileTable::Known* file, files_.known(parts.at(name)));
  KeyBuilder question;
  question.add(std::string_view("libraries 1")).add(name).add(file->digest).add(environment_);
  SB_TRY(const std::string said, answer(question.finish(), {"ldd", name}));
  for (const std::string_view line : split_lines(said)) {
    if (const std::string library = library_in(line); !library.empty()) add_file(library, parts);
  }
  return {};
}

void Toolbox::add_file(const std::string& name, Parts& parts) {
  if (!parts.contains(name)) parts.emplace(name, files_.number(own_name(name)));
}

// A file of the host has many names, and is read once: /lib and /usr/lib, as and x86_64-linux-gnu-as.
const std::string& Toolbox::own_name(const std::string& name) {
  const auto [known, fresh] = own_names_.try_emplace(name);
  if (!fresh) return known->second;
  known->second = places_.absolute(name);
  if (places_.real(name) != name || places_.in_stage(known->second)) return known->second;
  const std::optional<std::string> own = canonical(name);
  if (own && places_.real(*own) == *own) known->second = *own;
  return known->second;
}

// realpath(3), which asks about every part of every path; here most files share few folders.
std::optional<std::string> Toolbox::canonical(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const auto [folder, fresh] = real_folders_.try_emplace(path.substr(0, slash));
  std::error_code code;
  if (fresh) folder->second = std::filesystem::canonical(folder->first + "/", code).string();
  if (folder->second.empty()) return std::nullopt;
  std::string own = fmt::format("{}/{}", folder->second, std::string_view(path).substr(slash + 1));
  char target = 0;
  if (::readlink(own.c_str(), &target, 1) >= 0)
    own = std::filesystem::canonical(own, code).string();
  else if (errno != EINVAL)
    return std::nullopt;
  return code ? std::nullopt : std::optional(std::move(own));
}

Result<std::string> Toolbox::answer(const Key& question, const std::vector<std::string>& argv) {
  SB_TRY(std::optional<std::string> known, store_.tool(question));
  if (known) return *std::move(known);
  SB_TRY(std::string said, ask_(argv));
  fresh_.emplace_back(question, said);
  return said;
}

Status Toolbox::remember() {
  for (const auto& [key, text] : fresh_) SB_CHECK(store_.remember_tool(key, text));
  fresh_.clear();
  return {};
}

}  // namespace sb::cache
