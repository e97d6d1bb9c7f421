// EdgeKeys, the second half: the key of what an edge makes, from all that it read and from what would have to
// change around those files for another one to be read.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cache/edge_keys.h"

namespace sb::cache {
namespace {

namespace fs = std::filesystem;

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

// A folder and all above it.
void add_with_ancestors(std::unordered_set<std::string>& folders, std::string_view folder) {
  while (!folder.empty() && folders.insert(std::string(folder)).second)
    folder = folder.substr(0, folder.rfind('/'));
}

}  // namespace

std::size_t EdgeKeys::search_of(std::vector<std::string> folders, bool anywhere) {
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

Result<EdgeKeys::Named> EdgeKeys::result_key(const EdgeFacts& facts, const Key& action,
                                             std::span<const FileTable::Number> discovered) {
  KeyBuilder key;
  key.add(action);
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
      if (includers.contains(folder)) normal_.add(key, rival);
    }
    for (const std::string& path : around->crowded) {
      for (const std::string& rival : rivals_in(includers, path)) normal_.add(key, rival);
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
  if (listing_.count_of_name(last_name(name)) > kCrowd) return add_crowd(search, path, name, key, around);
  std::vector<std::string_view> rivals = listing_.of_name(last_name(name));
  std::ranges::sort(rivals);
  for (const std::string_view rival : rivals) {
    if (rival == path) continue;
    bool counted = false;
    each_base(path, rival, [&](std::string_view folder) {
      if (!counted && (search.anywhere || search.of_stage.contains(std::string(folder)))) {
        normal_.add(key, rival);
        counted = true;
      }
      around.beside.emplace_back(folder, rival);
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
  for (const std::string& rival : rivals_in(search.of_stage, path)) normal_.add(key, rival);
  around.crowded.emplace_back(path);
}

const EdgeKeys::Crowd& EdgeKeys::crowd_of(std::string_view name) {
  const auto [known, fresh] = crowds_.try_emplace(std::string(name));
  Crowd& crowd = known->second;
  if (!fresh) return crowd;
  std::vector<std::string_view> files = listing_.of_name(name);
  std::ranges::sort(files);
  KeyBuilder key;
  for (const std::string_view file : files) {
    normal_.add(key, file);
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
  normal_.add(key, path).add(static_cast<std::uint64_t>(known->type)).add(known->digest);
  if (found) add_rivals(search, path, path, key, around);
  for (const std::string& folder : search.folders) {
    if (!found || !is_below(path, folder)) continue;
    const std::string_view name = std::string_view(path).substr(folder.size() + 1);
    for (const std::string& other : search.of_host) {
      if (other != folder && host_has(other, name)) normal_.add(key, other).add(name);
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
        for (const std::string& name : files_below(places_, folder, most)) normal_.add(names, name);
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
