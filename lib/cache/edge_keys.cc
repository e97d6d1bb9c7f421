#include "cache/edge_keys.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/text.h"
#include "ninja/build_log.h"
#include "os/file_system.h"

namespace sb::cache {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormat = "selfbuild action 1";
constexpr std::size_t kMostScripts = 500;
constexpr std::size_t kMostInFolder = 1000;
constexpr std::size_t kCrowd = 16;  // files of one name

std::string_view last_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

// "" of a name alone.
std::string_view folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return path.substr(0, slash == std::string_view::npos ? 0 : slash);
}

// Each folder in which a text that means `path` in another one means `rival`: what is left of the rival when
// ends that both have are cut off.
template <typename Visit>
void each_base(std::string_view path, std::string_view rival, Visit visit) {
  while (!rival.empty() && last_name(path) == last_name(rival)) {
    path = folder_of(path);
    rival = folder_of(rival);
    visit(rival);
  }
}

bool is_shared_library(std::string_view path) {
  const std::string_view name = last_name(path);
  return name.ends_with(".so") || name.find(".so.") != std::string_view::npos;
}

// Programs that make their output anew, and never write into what they read.
bool leaves_inputs_alone(std::string_view program) {
  if (is_compiler_driver(program)) return true;
  std::string_view name = last_name(program);
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

// Every file below a folder, its path added to the folder's name as commands see it; at most so many.
std::vector<std::string> files_below(const fs::path& real, const std::string& seen, std::size_t most) {
  std::vector<std::string> files;
  std::error_code code;
  for (fs::recursive_directory_iterator it(real, code), end; !code && it != end && files.size() <= most;
       it.increment(code)) {
    std::error_code ignored;
    if (it->path().filename() == ".git" && it.depth() == 0) {
      it.disable_recursion_pending();
    } else if (!it->is_directory(ignored)) {
      files.push_back(seen + it->path().native().substr(real.native().size()));
    }
  }
  std::ranges::sort(files);
  return files;
}

// A folder and all above it.
void add_with_ancestors(std::unordered_set<std::string>& folders, std::string_view folder) {
  while (!folder.empty() && folders.insert(std::string(folder)).second)
    folder = folder.substr(0, folder.rfind('/'));
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
      files_(files),
      tools_(tools),
      listing_(listing),
      packages_(package_state()),
      node_files_(manifest.node_count(), kUnknown) {
  KeyBuilder key;
  for (const std::string& variable : environment) key.add(variable);
  environment_ = key.finish();
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
  if (known == kUnknown) known = file(manifest_.path(node));
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

Result<EdgeFacts> EdgeKeys::facts(ninja::EdgeId id) {
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

  KeyBuilder action;
  action.add(kFormat).add(places_.source).add(places_.build).add(environment_);
  action.add(logged).add(facts.depfile).add(std::uint64_t{facts.deps_in_log});
  SB_CHECK(add_tools(command, facts, action));
  if (!facts.only_links || command.driver.empty()) action.add(packages_);
  if (command.asks_cpu) action.add(processor());
  for (const FileTable::Number output : facts.outputs) action.add(files_.path(output));
  for (const FileTable::Number input : facts.inputs) action.add(files_.path(input));
  facts.action = action.finish();
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
    if (const auto known = files_.known(optional); known && (*known)->type == FileTable::Type::missing) {
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
      SB_TRY(const FileTable::Known* known, files_.known(mentioned));
      if (known->type != FileTable::Type::regular) continue;
    }
    add_input(mentioned, facts);
    if (is_script(path) && places_.in_stage(path)) add_script_folder(path, facts);
  }
  for (const std::string& path : facts.discovers ? std::vector<std::string>() : command.named_to_tools) {
    if (is_below(places_.source, path) || path == places_.source) {
      SB_TRY(const FileTable::Known* known, files_.known(files_.number(path)));
      if (known->type == FileTable::Type::folder) facts.refusal = "it may read all of the source folder";
    } else if (is_below(path, places_.source) && !is_below(path, places_.build) && path != places_.build) {
      SB_CHECK(add_folder(path, facts));
    }
  }
  return {};
}

// A tool that gets a folder may read all that is in it.
Status EdgeKeys::add_folder(const std::string& path, EdgeFacts& facts) {
  SB_TRY(const FileTable::Known* known, files_.known(files_.number(path)));
  if (known->type != FileTable::Type::folder) return {};
  const std::vector<std::string> files = files_below(places_.real(path), path, kMostInFolder);
  if (files.size() > kMostInFolder) facts.refusal = fmt::format("it may read all of {}", path);
  for (const std::string& each : files) add_input(files_.number(each), facts);
  return {};
}

// A script imports its neighbours and what lies below them, and nobody declares them.
void EdgeKeys::add_script_folder(const std::string& script, EdgeFacts& facts) {
  const std::string folder = script.substr(0, script.rfind('/'));
  const auto [known, fresh] = script_folders_.try_emplace(folder);
  if (fresh) {
    for (const std::string& path : files_below(places_.real(folder), folder, kMostInFolder)) {
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

Status EdgeKeys::add_tools(const CommandFacts& command, EdgeFacts& facts, KeyBuilder& action) {
  std::vector<std::string> include_dirs;
  std::vector<std::string> library_dirs;
  for (const std::string& program : command.programs) {
    const bool driver = program == command.driver;
    if (const std::string path = tools_.locate(program); !path.empty() && places_.in_stage(path)) {
      add_input(files_.number(path), facts);
      if (is_script(path)) add_script_folder(path, facts);
      if (driver) facts.refusal = "its compiler is built by the project";
      continue;
    }
    const Result<const Tool*> tool =
        tools_.find(program, driver ? command.driver_flags : std::vector<std::string>());
    if (!tool && tool.error().kind == ErrorKind::not_found) {
      action.add("built into the shell: " + program);  // echo, test, …; a missing one fails by itself
      continue;
    }
    if (!tool) return fail(tool.error());
    action.add((*tool)->identity);
    if (!driver) continue;
    include_dirs = (*tool)->include_dirs;
    library_dirs = (*tool)->library_dirs;
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
  if (facts.discovers) facts.search = search_of(command, include_dirs);
  return {};
}

// -lname, as the linker looks for it: the first folder that has one wins, so the earlier ones must not.
Status EdgeKeys::add_libraries(const CommandFacts& command, const std::vector<std::string>& host_dirs,
                               EdgeFacts& facts, KeyBuilder& action) {
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
          SB_TRY(const FileTable::Known* known, files_.known(candidate));
          if (known->type != FileTable::Type::regular) continue;
        }
        found = true;
        action.add(files_.path(candidate));
        add_input(candidate, facts);
      }
    }
  }
  return {};
}

std::size_t EdgeKeys::search_of(const CommandFacts& command, const std::vector<std::string>& host_dirs) {
  std::vector<std::string> folders = command.include_dirs;
  folders.insert(folders.end(), host_dirs.begin(), host_dirs.end());
  // Where a tool that is no compiler searches, nobody says.
  const bool anywhere = command.driver.empty() || listing_.links_folders();
  const std::string name = join(folders, "\n") + (anywhere ? "\nanywhere" : "");
  const auto [known, fresh] = search_numbers_.emplace(name, searches_.size());
  if (fresh) {
    Search search;
    search.folders = std::move(folders);
    search.anywhere = anywhere;
    add_with_ancestors(search.of_stage, places_.build);  // -include starts there
    for (const std::string& folder : search.folders) {
      const bool stage = places_.in_stage(folder) || folder == places_.source || folder == places_.build;
      if (stage) add_with_ancestors(search.of_stage, folder);
      // One of the stage may be a symlink out of it.
      if ((!stage || listing_.links_folders()) &&
          std::ranges::find(search.of_host, folder) == search.of_host.end())
        search.of_host.push_back(folder);
    }
    searches_.push_back(std::move(search));
  }
  return known->second;
}

Result<EdgeKeys::Named> EdgeKeys::result_key(const EdgeFacts& facts,
                                             std::span<const FileTable::Number> discovered) {
  KeyBuilder key;
  key.add(facts.action);
  for (const FileTable::Number input : facts.inputs) {
    SB_TRY(const FileTable::Known* known, files_.known(input));
    if (known->type == FileTable::Type::folder)
      return Named{.key = {}, .refusal = fmt::format("an input is a folder: {}", files_.path(input))};
    if (known->type == FileTable::Type::other)
      return Named{.key = {}, .refusal = fmt::format("an input is no file: {}", files_.path(input))};
    key.add(static_cast<std::uint64_t>(known->type)).add(known->digest);
  }
  if (!facts.discovers) return Named{.key = key.finish(), .refusal = {}};

  Search& search = searches_[facts.search];
  key.add(listing_.links());
  std::vector<const Surroundings*> with_rivals;
  const std::pair<std::span<const FileTable::Number>, bool> lists[] = {{facts.inputs, false},
                                                                       {discovered, true}};
  for (const auto& [inputs, found] : lists) {
    for (const FileTable::Number input : inputs) {
      SB_TRY(const Surroundings* around, surroundings(search, input, found));
      if (!around->refusal.empty()) return Named{.key = {}, .refusal = around->refusal};
      key.add(around->key);
      if (!around->beside.empty() || !around->crowded.empty()) with_rivals.push_back(around);
    }
  }
  if (with_rivals.empty()) return Named{.key = key.finish(), .refusal = {}};
  std::unordered_set<std::string> includers = folders_of(facts.inputs);
  includers.merge(folders_of(discovered));
  for (const Surroundings* around : with_rivals) {
    for (const auto& [folder, rival] : around->beside) {
      if (includers.contains(folder)) key.add(rival);
    }
    for (const std::string& path : around->crowded) {
      for (const std::string& rival : rivals_in(includers, path)) key.add(rival);
    }
  }
  return Named{.key = key.finish(), .refusal = {}};
}

// Where the includers among the files lie, as far as they belong to the stage.
std::unordered_set<std::string> EdgeKeys::folders_of(std::span<const FileTable::Number> files) const {
  std::unordered_set<std::string> folders;
  for (const FileTable::Number file : files) {
    const std::string_view path = files_.path(file);
    if (places_.in_stage(path)) add_with_ancestors(folders, path.substr(0, path.rfind('/')));
  }
  return folders;
}

// Other files of the stage that an include of this name could mean. An include's text is an end of the path
// of what it found; a rival is found by the same text from another folder.
void EdgeKeys::add_rivals(const Search& search, std::string_view path, std::string_view name, KeyBuilder& key,
                          Surroundings& around) {
  if (listing_.of_name(last_name(name)).size() > kCrowd) return add_crowd(search, path, name, key, around);
  std::vector<std::string> rivals = listing_.of_name(last_name(name));
  std::ranges::sort(rivals);
  for (const std::string& rival : rivals) {
    if (rival == path) continue;
    bool counted = false;
    each_base(path, rival, [&](std::string_view folder) {
      if (!counted && (search.anywhere || search.of_stage.contains(std::string(folder)))) {
        key.add(rival);
        counted = true;
      }
      around.beside.emplace_back(std::string(folder), rival);
    });
  }
}

// The same for a name that many files have: each of them would be a rival of each other one.
void EdgeKeys::add_crowd(const Search& search, std::string_view path, std::string_view name, KeyBuilder& key,
                         Surroundings& around) {
  if (search.anywhere) {
    key.add(crowd_of(last_name(name)).key);
    return;
  }
  for (const std::string& rival : rivals_in(search.of_stage, path)) key.add(rival);
  around.crowded.emplace_back(path);
}

const EdgeKeys::Crowd& EdgeKeys::crowd_of(std::string_view name) {
  const auto [known, fresh] = crowds_.try_emplace(std::string(name));
  Crowd& crowd = known->second;
  if (!fresh) return crowd;
  const std::vector<std::string>& files = listing_.of_name(name);
  std::vector<std::string_view> sorted(files.begin(), files.end());
  std::ranges::sort(sorted);
  KeyBuilder key;
  for (const std::string_view file : sorted) {
    key.add(file);
    crowd.by_parent[last_name(folder_of(file))].push_back(file);
  }
  crowd.key = key.finish();
  return crowd;
}

// The files that an include of this path could find in one of the folders instead; sorted.
std::vector<std::string> EdgeKeys::rivals_in(const std::unordered_set<std::string>& folders,
                                             std::string_view path) {
  std::vector<std::string> rivals;
  const std::string_view name = last_name(path);
  for (const std::string& folder : folders) {
    std::string rival = fmt::format("{}/{}", folder, name);
    if (rival != path && listing_.had(rival)) rivals.push_back(std::move(rival));
  }
  const Crowd& crowd = crowd_of(name);
  const auto alike = crowd.by_parent.find(last_name(folder_of(path)));
  if (alike != crowd.by_parent.end()) {
    for (const std::string_view rival : alike->second) {
      if (rival == path) continue;
      each_base(folder_of(path), folder_of(rival), [&](std::string_view folder) {
        if (folders.contains(std::string(folder))) rivals.emplace_back(rival);
      });
    }
  }
  std::ranges::sort(rivals);
  return rivals;
}

Result<const EdgeKeys::Surroundings*> EdgeKeys::surroundings(Search& search, FileTable::Number file,
                                                             bool found) {
  auto& memo = found ? search.found : search.named;
  if (const auto known = memo.find(file); known != memo.end()) return &known->second;
  SB_TRY(const FileTable::Known* known, files_.known(file));
  SB_TRY(const Traits* traits, files_.traits(file));
  const std::string& path = files_.path(file);
  Surroundings around;
  if (traits->tells_time)
    around.refusal = fmt::format(
        "{} uses __DATE"
        "__ or __TIME"
        "__",
        path);
  if (traits->reads_bytes) around.refusal = fmt::format("{} lets the assembler read a file", path);
  KeyBuilder key;
  key.add(path).add(static_cast<std::uint64_t>(known->type)).add(known->digest);
  if (found) add_rivals(search, path, path, key, around);
  for (const std::string& folder : search.folders) {
    if (!found || !is_below(path, folder)) continue;
    const std::string_view name = std::string_view(path).substr(folder.size() + 1);
    for (const std::string& other : search.of_host) {
      if (other != folder && host_has(other, name)) key.add(other).add(name);
    }
  }
  for (const std::string& name : traits->asked) {
    key.add(name);
    // Whether a file of that name is there; the text stands for a path of its own.
    add_rivals(search, name, name, key, around);
    for (const std::string& folder : search.of_host) key.add(std::uint64_t{host_has(folder, name)});
    if (name.starts_with('/')) key.add(std::uint64_t{host_has("", name.substr(1))});
  }
  if (traits->asks_computed) {
    if (!search.host_names) {
      KeyBuilder names;
      for (const std::string& folder : search.of_host) {
        // What packages bring changes with them.
        const bool packaged = folder == "/usr/include" || is_below(folder, "/usr");
        const std::size_t most = packaged ? 0 : kMostInFolder;
        for (const std::string& name : files_below(places_.real(folder), folder, most)) names.add(name);
      }
      search.host_names = names.finish();
    }
    key.add(listing_.whole()).add(*search.host_names).add(packages_);
  }
  around.key = key.finish();
  return &memo.emplace(file, std::move(around)).first->second;
}

const std::unordered_set<std::string>& EdgeKeys::names_in(const std::string& folder) {
  const auto [known, fresh] = host_folders_.try_emplace(folder);
  if (!fresh) return known->second;
  std::error_code code;
  for (fs::directory_iterator it(places_.real(folder), code), end; !code && it != end; it.increment(code))
    known->second.insert(it->path().filename().string());
  return known->second;
}

// Asks the lists of the folders on the way first: nearly all names are nowhere.
bool EdgeKeys::host_has(const std::string& folder, std::string_view name) {
  std::string at = folder;
  for (std::string_view rest = name; !folder.empty() && !rest.empty();) {
    const std::string part(rest.substr(0, rest.find('/')));
    if (part.starts_with('.')) break;
    if (!names_in(at).contains(part)) return false;
    at.append("/").append(part);
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  }
  struct stat info{};
  return ::stat(places_.real(fmt::format("{}/{}", folder, name)).c_str(), &info) == 0;
}

}  // namespace sb::cache
