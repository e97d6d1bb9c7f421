#include "cache/edge_keys.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cache/facts_memo.h"
#include "cache/memo_files.h"
#include "cache/portable_command.h"
#include "ninja/build_log.h"
#include "os/file_system.h"

namespace sb::cache {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormat = "selfbuild action 1";
constexpr std::string_view kPortableFormat = "selfbuild portable action 1";
constexpr std::size_t kMostScripts = 500;
constexpr std::size_t kMostInFolder = 1000;

bool is_shared_library(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name.ends_with(".so") || name.find(".so.") != std::string_view::npos;
}

// Programs that make their output anew, and never write into what they read.
bool leaves_inputs_alone(std::string_view program) {
  if (is_compiler_driver(program)) return true;
  std::string_view name = program.substr(program.rfind('/') + 1);
  for (const std::string_view safe :
       {"ar", "ranlib", "gcc-ar", "gcc-ranlib", "llvm-ar", "llvm-ranlib", "cmake"}) {
    if (name.starts_with(safe) &&
        name.find_first_not_of("-0123456789.", safe.size()) == std::string_view::npos)
      return true;
  }
  return false;
}

bool is_script(std::string_view path) {
  for (const std::string_view suffix : {".py", ".pl", ".pm", ".rb", ".lua", ".tcl", ".awk", ".m4", ".sh",
                                        ".bash", ".cmake", ".js", ".mjs", ".php"}) {
    if (path.ends_with(suffix)) return true;
  }
  return false;
}

// The command with its response file in it: "@x.rsp" is what x.rsp will say.
std::string with_response_file(std::string command, const std::string& name, std::string content) {
  if (name.empty()) return command;
  std::ranges::replace(content, '\n', ' ');
  for (const std::string& word : {"@\"" + name + "\"", "@'" + name + "'", "@" + name}) {
    if (const std::size_t at = command.find(word); at != std::string::npos)
      return command.replace(at, word.size(), content);
  }
  return command;
}

// Macros may stand in definitions, too: -DWHEN=__TIME__.
bool asks_in_flags(std::string_view command) {
  for (const std::string_view word : {"__DATE"
                                      "__",
                                      "__TIME"
                                      "__",
                                      "__TIMESTAMP"
                                      "__",
                                      "__has_include", "__has_embed"}) {
    if (command.find(word) != std::string_view::npos) return true;
  }
  return false;
}

// What -march=native stands for.
Key processor() {
  const Result<std::string> text = os::read_file("/proc/cpuinfo");
  KeyBuilder key;
  for (const std::string_view name :
       {"vendor_id", "cpu family", "model\t", "flags", "Features", "CPU part"}) {
    const std::size_t at = text ? text->find(name) : std::string::npos;
    if (at != std::string::npos) key.add(std::string_view(*text).substr(at, text->find('\n', at) - at));
  }
  return key.finish();
}

// This very program: by its file, which nobody writes to in place.
Key own_program() {
  struct stat info{};
  KeyBuilder key;
  if (::stat("/proc/self/exe", &info) != 0) return key.finish();
  key.add(static_cast<std::uint64_t>(info.st_dev)).add(static_cast<std::uint64_t>(info.st_ino));
  key.add(static_cast<std::uint64_t>(info.st_size));
  key.add(static_cast<std::uint64_t>(info.st_mtim.tv_sec));
  return key.add(static_cast<std::uint64_t>(info.st_mtim.tv_nsec)).finish();
}

}  // namespace

Key package_state() {
  KeyBuilder key;
  // The databases of dpkg, rpm, apk and pacman, and where people install by hand.
  for (const char* path : {"/var/lib/dpkg/status", "/var/lib/rpm/rpmdb.sqlite",
                           "/usr/lib/sysimage/rpm/rpmdb.sqlite", "/lib/apk/db/installed",
                           "/var/lib/pacman/local", "/usr/local/bin", "/usr/local/lib", "/usr/local/include",
                           "/usr/local/share", "/usr/local/lib/cmake", "/usr/local/lib/pkgconfig", "/opt"}) {
    struct stat info{};
    if (::stat(path, &info) != 0) continue;
    key.add(std::string_view(path));
    key.add(static_cast<std::uint64_t>(info.st_mtim.tv_sec));
    key.add(static_cast<std::uint64_t>(info.st_mtim.tv_nsec));
    key.add(static_cast<std::uint64_t>(info.st_size));
  }
  return key.finish();
}

EdgeKeys::EdgeKeys(const ninja::Manifest& manifest, const Places& places, FileTable& files, Toolbox& tools,
                   const StageListing& listing, const std::vector<std::string>& environment)
    : manifest_(manifest),
      places_(places),
      normal_(places),
      files_(files),
      tools_(tools),
      listing_(listing),
      packages_(package_state()),
      node_files_(manifest.node_count(), kUnknown) {
  KeyBuilder key;
  KeyBuilder portable;
  for (const std::string& variable : environment) {
    key.add(variable);
    // Empty folders that each build gets anew, and that no compiler names in what it makes (path_traces.h).
    if (!variable.starts_with("HOME=") && !variable.starts_with("TMPDIR=")) portable.add(variable);
  }
  environment_ = key.finish();
  portable_environment_ = portable.finish();
  for (ninja::NodeId node = 0; node < manifest_.node_count(); ++node) {
    const ninja::EdgeId edge = manifest_.producer(node);
    if (edge == ninja::kNoEdge || manifest_.edge(edge).is_phony()) continue;
    const FileTable::Number output = file(node);
    if (producers_.size() <= output) producers_.resize(output + 1, ninja::kNoEdge);
    producers_[output] = edge;
  }
}

FileTable::Number EdgeKeys::file(ninja::NodeId node) {
  FileTable::Number& known = node_files_[node];
  if (known == kUnknown) known = files_.number(places_.of_node(manifest_.path(node)));
  return known;
}

std::string EdgeKeys::refusal_of(ninja::EdgeId edge) const {
  if (!manifest_.value(edge, "generator").empty()) return "it makes the build files; CMake is run before";
  if (!manifest_.value(edge, "dyndep").empty()) return "its inputs are only known while Ninja runs (dyndep)";
  if (manifest_.value(edge, "pool") == "console") return "it talks to the terminal";
  const std::string deps = manifest_.value(edge, "deps");
  if (!deps.empty() && deps != "gcc")
    return fmt::format("it reports its inputs in a way we do not read (deps = {})", deps);
  return {};
}

Result<std::vector<EdgeFacts>> EdgeKeys::facts(std::span<const ninja::EdgeId> edges, const MemoFiles& memos,
                                               const std::string& name) {
  const std::optional<std::string> bytes = name.empty() ? std::nullopt : memos.load(name);
  std::optional<FactsMemo> memo = bytes ? facts_memo_from(*bytes, files_) : std::nullopt;
  if (memo && memo->facts.size() == edges.size()) {
    SB_TRY(const bool still_true, this->still_true(memo->asked));
    for (FactsMemo::Search& search : memo->searches) {
      if (still_true) search_of(std::move(search.folders), search.anywhere);
    }
    if (still_true) return std::move(memo->facts);
  }
  FactsMemo found;
  found.facts.reserve(edges.size());
  for (const ninja::EdgeId edge : edges) {
    SB_TRY(EdgeFacts facts, facts_of(edge));
    found.facts.push_back(std::move(facts));
  }
  if (!name.empty() && memos.writes()) {
    found.asked = std::move(asked_);
    for (const Search& search : searches_)
      found.searches.push_back({.folders = search.folders, .anywhere = search.anywhere});
    memos.save(name, to_bytes(found, files_));
  }
  return std::move(found.facts);
}

std::string EdgeKeys::memo_name(std::span<const ninja::EdgeId> edges) const {
  // A symlink may lead to another folder than before, and no name in the stage shows it.
  if (listing_.links_folders()) return {};
  KeyBuilder key;
  // Another build of this program may read commands otherwise.
  key.add(std::string_view("memo 1")).add(own_program()).add(manifest_.digest());
  key.add({reinterpret_cast<const char*>(edges.data()), edges.size_bytes()});
  key.add(places_.source).add(places_.build).add(environment_).add(packages_);
  return key.add(listing_.whole()).add(listing_.links()).finish().hex();
}

Result<bool> EdgeKeys::still_true(const Asked& asked) {
  std::vector<FileTable::Number> files;
  files.reserve(asked.files.size());
  for (const auto& [file, type] : asked.files) files.push_back(file);
  SB_CHECK(files_.know(files));
  for (const auto& [file, type] : asked.files) {
    SB_TRY(const FileTable::Known* known, files_.known(file));
    if (known->type != type) return false;
  }
  for (const Asked::Program& then : asked.programs) {
    SB_TRY(const Asked::Program now, ask(then.name, then.flags));
    if (now.path != then.path || now.identity != then.identity) return false;
  }
  return !asked.processor || *asked.processor == processor();
}

Result<FileTable::Type> EdgeKeys::type_of(FileTable::Number file) {
  SB_TRY(const FileTable::Known* known, files_.known(file));
  if (asked_files_.size() <= file) asked_files_.resize(files_.size());
  if (!asked_files_[file]) asked_.files.emplace_back(file, known->type);
  asked_files_[file] = true;
  return known->type;
}

Result<EdgeFacts> EdgeKeys::facts_of(ninja::EdgeId id) {
  EdgeFacts facts;
  ++stamp_;
  passed_.insert(id);
  const ninja::Edge edge = manifest_.edge(id);
  std::vector<std::string> output_paths;
  for (const auto outputs : {edge.explicit_outputs, edge.implicit_outputs}) {
    for (const ninja::NodeId node : outputs) {
      const FileTable::Number output = file(node);
      if (std::ranges::find(facts.outputs, output) != facts.outputs.end()) continue;
      facts.outputs.push_back(output);
      output_paths.push_back(files_.path(output));
    }
  }
  const std::string logged = manifest_.logged_command(id);
  facts.command_hash = ninja::command_hash(logged);
  const std::string response = manifest_.value(id, "rspfile");
  const std::string content = manifest_.value(id, "rspfile_content");
  const std::string command_line =
      response.empty() && content.empty()
          ? logged
          : with_response_file(manifest_.value(id, "command"), response, content);
  const CommandFacts command = read_command(command_line, places_.build, output_paths);
  facts.depfile = manifest_.value(id, "depfile");
  facts.discovers = !facts.depfile.empty();
  facts.deps_in_log = facts.discovers && !manifest_.value(id, "deps").empty();
  facts.only_links = std::ranges::all_of(command.programs, leaves_inputs_alone);
  facts.writes_only_outputs = command.writes_only_outputs;
  for (const std::string& path : output_paths) {
    if (!places_.in_stage(path)) facts.refusal = fmt::format("{} lies outside of the stage", path);
  }
  if (!facts.refusal.empty()) return facts;
  facts.refusal = refusal_of(id);
  if (facts.refusal.empty()) facts.refusal = command.refusal;
  if (facts.refusal.empty() && !command.driver.empty() && asks_in_flags(command_line))
    facts.refusal = "its flags ask for the time, or for what exists";
  if (facts.refusal.empty() && command.compiles && !facts.discovers)
    facts.refusal = "it compiles and does not tell what it reads";

  // Those of an edge that is refused, too: it may write into them.
  std::unordered_set<ninja::NodeId> seen;
  for (const auto inputs : {edge.explicit_inputs, edge.implicit_inputs}) {
    for (const ninja::NodeId node : inputs) add_declared(node, facts, seen);
  }
  // A tool that waits for a file may read it. Not the marks of what CMake runs in every build.
  if (!facts.only_links && !facts.discovers) {
    for (const ninja::NodeId node : edge.order_only_inputs) {
      if (!fs::path(manifest_.path(node)).parent_path().string().ends_with("CMakeFiles"))
        add_declared(node, facts, seen);
    }
  }
  SB_CHECK(add_mentioned(command, facts));
  if (!facts.refusal.empty()) return facts;
  if (facts.discovers && !facts.deps_in_log) facts.outputs.push_back(file(facts.depfile));
  for (const std::string& side : command.side_outputs) facts.outputs.push_back(files_.number(side));

  ActionKeys action(normal_);
  action.add(kFormat, kPortableFormat).add(places_.source, normal_.relation()).add_path(places_.build);
  action.add(environment_, portable_environment_).add_text(logged).add_text(facts.depfile);
  action.add(std::uint64_t{facts.deps_in_log});
  SB_CHECK(add_tools(command, facts, action));
  if (!facts.only_links || command.driver.empty()) action.add(packages_);
  if (command.asks_cpu && !asked_.processor) asked_.processor = processor();
  if (command.asks_cpu) action.add(*asked_.processor);
  for (const FileTable::Number output : facts.outputs) action.add_path(files_.path(output));
  for (const FileTable::Number input : facts.inputs) action.add_path(files_.path(input));
  facts.action = action.own();
  if (!normal_.is_needed() || !facts.refusal.empty()) return facts;
  const auto words = portable_words(command_line, places_, normal_);
  if (words) facts.portable = KeyBuilder().add(action.portable()).add(join(*words, "\n")).finish();
  return facts;
}

void EdgeKeys::add_input(FileTable::Number input, EdgeFacts& facts) {
  if (stamps_.size() <= input) stamps_.resize(files_.size());
  if (std::exchange(stamps_[input], stamp_) != stamp_) facts.inputs.push_back(input);
}

void EdgeKeys::add_declared(ninja::NodeId node, EdgeFacts& facts, std::unordered_set<ninja::NodeId>& seen) {
  std::vector<ninja::NodeId> pending = {node};
  while (!pending.empty()) {
    const ninja::NodeId next = pending.back();
    pending.pop_back();
    if (!seen.insert(next).second) continue;
    const ninja::EdgeId maker = manifest_.producer(next);
    if (maker == ninja::kNoEdge || !manifest_.edge(maker).is_phony()) {
      add_input(file(next), facts);
      continue;
    }
    const ninja::Edge alias = manifest_.edge(maker);
    pending.insert(pending.end(), alias.implicit_inputs.rbegin(), alias.implicit_inputs.rend());
    pending.insert(pending.end(), alias.explicit_inputs.rbegin(), alias.explicit_inputs.rend());
    if (!alias.explicit_inputs.empty() || !alias.implicit_inputs.empty()) continue;
    // A phony name without inputs: a file that may be missing; when it is, its users run in every build.
    const FileTable::Number optional = file(next);
    if (const auto type = type_of(optional); type && *type == FileTable::Type::missing) {
      facts.refusal = fmt::format("it runs in every build, because of {}", manifest_.path(next));
    }
    add_input(optional, facts);
  }
}

// Files that the command names without declaring them: scripts, version scripts, plug-ins, profiles.
Status EdgeKeys::add_mentioned(const CommandFacts& command, EdgeFacts& facts) {
  for (const std::string& path : command.mentioned) {
    const FileTable::Number mentioned = files_.number(path);
    if (std::ranges::find(facts.outputs, mentioned) != facts.outputs.end()) continue;
    const ninja::EdgeId maker = producer(mentioned);
    // What is made later is only named: -soname, a program that finds its output's other names.
    if (maker != ninja::kNoEdge && !passed_.contains(maker)) continue;
    // In the build folder only what the build makes, or what was there before it: a byproduct of the last run
    // is no input of the next.
    if (maker == ninja::kNoEdge && is_below(path, places_.build) && !listing_.had(path)) continue;
    if (maker == ninja::kNoEdge) {
      SB_TRY(const FileTable::Type type, type_of(mentioned));
      if (type != FileTable::Type::regular) continue;
    }
    add_input(mentioned, facts);
    if (is_script(path) && places_.in_stage(path)) add_script_folder(path, facts);
  }
  for (const std::string& path : facts.discovers ? std::vector<std::string>() : command.named_to_tools) {
    if (is_below(places_.source, path) || path == places_.source) {
      SB_TRY(const FileTable::Type type, type_of(files_.number(path)));
      if (type == FileTable::Type::folder) facts.refusal = "it may read all of the source folder";
    } else if (is_below(path, places_.source) && !is_below(path, places_.build) && path != places_.build) {
      SB_CHECK(add_folder(path, facts));
    }
  }
  return {};
}

// A tool that gets a folder may read all that is in it.
Status EdgeKeys::add_folder(const std::string& path, EdgeFacts& facts) {
  SB_TRY(const FileTable::Type type, type_of(files_.number(path)));
  if (type != FileTable::Type::folder) return {};
  const std::vector<std::string> files = files_below(places_, path, kMostInFolder);
  if (files.size() > kMostInFolder) facts.refusal = fmt::format("it may read all of {}", path);
  for (const std::string& each : files) add_input(files_.number(each), facts);
  return {};
}

// A script imports its neighbours and what lies below them, and nobody declares them.
void EdgeKeys::add_script_folder(const std::string& script, EdgeFacts& facts) {
  const std::string folder = script.substr(0, script.rfind('/'));
  const auto [known, fresh] = script_folders_.try_emplace(folder);
  if (fresh) {
    for (const std::string& path : files_below(places_, folder, kMostInFolder)) {
      if (is_script(path) && !is_below(path, places_.build)) known->second.push_back(files_.number(path));
    }
  }
  if (known->second.size() > kMostScripts)
    facts.refusal = fmt::format("there are too many scripts beside {}", script);
  for (const FileTable::Number neighbour : known->second) add_input(neighbour, facts);
}

// A program that the build made loads the libraries that it was linked with.
void EdgeKeys::add_shared_libraries(ninja::EdgeId id, EdgeFacts& facts,
                                    std::unordered_set<ninja::EdgeId>& seen) {
  std::vector<ninja::EdgeId> pending = {id};
  while (!pending.empty()) {
    const ninja::EdgeId next = pending.back();
    pending.pop_back();
    if (!seen.insert(next).second) continue;
    const ninja::Edge edge = manifest_.edge(next);
    for (const auto inputs : {edge.explicit_inputs, edge.implicit_inputs, edge.order_only_inputs}) {
      for (const ninja::NodeId node : inputs) {
        if (!is_shared_library(manifest_.path(node))) continue;
        add_input(file(node), facts);
        if (const ninja::EdgeId maker = manifest_.producer(node); maker != ninja::kNoEdge)
          pending.push_back(maker);
      }
    }
  }
}

Result<Asked::Program> EdgeKeys::ask(const std::string& name, const std::vector<std::string>& flags) {
  Asked::Program program{.name = name, .flags = flags, .path = tools_.locate(name), .identity = {}};
  if (!program.path.empty() && places_.in_stage(program.path)) return program;
  const Result<const Tool*> tool = tools_.find(name, flags);
  if (!tool && tool.error().kind != ErrorKind::not_found) return fail(tool.error());
  if (tool) program.identity = (*tool)->identity;
  return program;
}

Result<const Asked::Program*> EdgeKeys::program_of(const std::string& name,
                                                   const std::vector<std::string>& flags) {
  const std::string key = name + "\n" + join(flags, "\n");
  if (const auto known = asked_programs_.find(key); known != asked_programs_.end())
    return &asked_.programs[known->second];
  SB_TRY(Asked::Program program, ask(name, flags));
  asked_programs_.emplace(key, asked_.programs.size());
  return &asked_.programs.emplace_back(std::move(program));
}

Status EdgeKeys::add_tools(const CommandFacts& command, EdgeFacts& facts, ActionKeys& action) {
  static const std::vector<std::string> kNoFlags;
  std::vector<std::string> include_dirs;
  std::vector<std::string> library_dirs;
  for (const std::string& program : command.programs) {
    const bool driver = program == command.driver;
    const std::vector<std::string>& flags = driver ? command.driver_flags : kNoFlags;
    SB_TRY(const Asked::Program* known, program_of(program, flags));
    if (!known->path.empty() && places_.in_stage(known->path)) {
      add_input(files_.number(known->path), facts);
      if (is_script(known->path)) add_script_folder(known->path, facts);
      if (driver) facts.refusal = "its compiler is built by the project";
      continue;
    }
    if (!known->identity) {
      action.add_text("built into the shell: " + program);  // echo, test, …; a missing one fails by itself
      continue;
    }
    action.add(*known->identity);
    if (!driver) continue;
    SB_TRY(const Tool* tool, tools_.find(program, command.driver_flags));
    include_dirs = tool->include_dirs;
    library_dirs = tool->library_dirs;
  }
  if (!facts.only_links) {
    // Whatever it was given may be a program that it runs.
    std::unordered_set<ninja::EdgeId> seen;
    for (const FileTable::Number input : std::vector(facts.inputs)) {
      if (const ninja::EdgeId maker = producer(input); maker != ninja::kNoEdge)
        add_shared_libraries(maker, facts, seen);
    }
  }
  if (!command.driver.empty() && !facts.discovers)
    SB_CHECK(add_libraries(command, library_dirs, facts, action));
  if (!facts.discovers) return {};
  std::vector<std::string> folders = command.include_dirs;
  folders.insert(folders.end(), include_dirs.begin(), include_dirs.end());
  // Where a tool that is no compiler searches, nobody says.
  facts.search = search_of(std::move(folders), command.driver.empty() || listing_.links_folders());
  return {};
}

// -lname, as the linker looks for it: the first folder that has one wins, so the earlier ones must not.
Status EdgeKeys::add_libraries(const CommandFacts& command, const std::vector<std::string>& host_dirs,
                               EdgeFacts& facts, ActionKeys& action) {
  std::vector<std::string> folders = command.library_dirs;
  folders.insert(folders.end(), host_dirs.begin(), host_dirs.end());
  for (const std::string& library : command.libraries) {
    std::vector<std::string> names = {fmt::format("lib{}.so", library), fmt::format("lib{}.a", library)};
    if (library.starts_with(':')) names = {library.substr(1)};
    bool found = false;
    for (auto folder = folders.begin(); folder != folders.end() && !found; ++folder) {
      for (const std::string& name : names) {
        const FileTable::Number candidate = files_.number(fmt::format("{}/{}", *folder, name));
        const bool made = producer(candidate) != ninja::kNoEdge;
        if (!made) {
          SB_TRY(const FileTable::Type type, type_of(candidate));
          if (type != FileTable::Type::regular) continue;
        }
        found = true;
        action.add_path(files_.path(candidate));
        add_input(candidate, facts);
      }
    }
  }
  return {};
}

}  // namespace sb::cache
