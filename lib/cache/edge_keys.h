// EdgeKeys: names for what an edge does and for what it did it to.
//
// The *action* is everything that is known before the edge runs and that is no file's content: its command
// and response file, its tools, the environment, the names of its files. The *result key* adds the contents
// of its inputs: those that the manifest declares, those that the command line mentions, those that a depfile
// reported, and, for the latter, what would have to change on the include paths for another file to be read.
// Equal result keys mean equal outputs; what cannot be brought into a key is refused, with the reason.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/key.h"
#include "base/result.h"
#include "cache/command.h"
#include "cache/file_table.h"
#include "cache/normal_form.h"
#include "cache/stage_listing.h"
#include "cache/toolbox.h"
#include "ninja/manifest.h"

namespace sb::cache {

class MemoFiles;

struct EdgeFacts {
  std::string refusal;  // why the cache leaves this edge to Ninja; empty: it does not
  Key action;
  std::optional<Key> portable{};  // the same action in whatever stage; nothing when it may depend on the path
  std::uint64_t command_hash = 0;          // as Ninja's log has it
  bool discovers = false;                  // a depfile tells its other inputs
  bool deps_in_log = false;                // … which Ninja moves into .ninja_deps
  std::string depfile;                     // as the manifest writes it
  std::vector<FileTable::Number> outputs;  // each file once, side outputs behind the declared ones
  std::vector<FileTable::Number> inputs;   // declared or mentioned, phony ones resolved, each once
  std::size_t search = 0;                  // which folders its includes are searched in
  bool only_links = false;                 // its programs never write into their inputs
  bool writes_only_outputs = false;        // … nor make files that nobody declares
};

// What the facts of a build's edges follow from, beside the build graph and the names of the stage's files:
// what the host and the stage answered when they were found out.
struct Asked {
  struct Program {
    std::string name;                // as commands name it
    std::vector<std::string> flags;  // those of a compiler driver that matter
    std::string path;                // empty: it is not in PATH
    std::optional<Key> identity;     // none: it is built into the shell, or a file of the stage
  };
  std::vector<std::pair<FileTable::Number, FileTable::Type>> files;
  std::vector<Program> programs;
  std::optional<Key> processor;  // asked for by -march=native
};

class EdgeKeys {
 public:
  EdgeKeys(const ninja::Manifest& manifest, const Places& places, FileTable& files, Toolbox& tools,
           const StageListing& listing, const std::vector<std::string>& environment);

  // Of edges in build order: as an earlier build left them in `memos` under this name, when what the host and
  // the stage answer is the same. An empty name: they are found out.
  [[nodiscard]] Result<std::vector<EdgeFacts>> facts(std::span<const ninja::EdgeId> edges,
                                                     const MemoFiles& memos, const std::string& name);
  // Names all else that the facts of these edges follow from. Empty: nobody knows all of it.
  [[nodiscard]] std::string memo_name(std::span<const ninja::EdgeId> edges) const;
  // A file's number for a path as the manifest or a depfile writes it.
  [[nodiscard]] FileTable::Number file(std::string_view path) {
    return files_.number(places_.absolute(path));
  }
  // The same of a node of the manifest.
  [[nodiscard]] FileTable::Number file(ninja::NodeId node);
  // kNoEdge: not made by this build.
  [[nodiscard]] ninja::EdgeId producer(FileTable::Number file) const {
    return file < producers_.size() ? producers_[file] : ninja::kNoEdge;
  }

  struct Named {
    Key key;
    std::string refusal;
  };
  // Every input must be known or promised. `action`: one of those of the facts.
  [[nodiscard]] Result<Named> result_key(const EdgeFacts& facts, const Key& action,
                                         std::span<const FileTable::Number> discovered);
  // Where the includes of an edge that discovers its inputs are searched: of the stage and of the host.
  [[nodiscard]] const std::vector<std::string>& search_folders(const EdgeFacts& facts) const {
    return searches_[facts.search].folders;
  }

  // For explanations (edge_sights.cc). What a run sees of its inputs: of the symlinks of the source folder
  // first, then of each declared and each discovered file. Result keys differ only where one of them does.
  [[nodiscard]] Result<std::vector<Sight>> sights(const EdgeFacts& facts,
                                                  std::span<const FileTable::Number> discovered);
  // Other files that an include of this one could find, now; sorted, as the commands see them.
  [[nodiscard]] std::vector<std::string> others(const EdgeFacts& facts,
                                                std::span<const FileTable::Number> discovered,
                                                FileTable::Number file);

 private:
  // A file that was read, with all that decides whether the same search reads it again.
  struct Surroundings {
    Key key;
    std::string refusal;  // why nothing that reads it is kept
    // Files that would be found instead if the includer lay in one of these folders: (folder, file).
    std::vector<std::pair<std::string, std::string>> beside;
    // Paths for which so many files would be, that they are looked for in the includers' folders instead.
    std::vector<std::string> crowded;
  };
  struct Search {
    std::vector<std::string> folders;  // of the stage and of the host
    std::vector<std::string> of_host;
    std::unordered_set<std::string>
        of_stage;  // those of the stage, and all above them: "../x.h" is found there
    std::unordered_map<FileTable::Number, Surroundings> named;  // of files that the command names
    std::unordered_map<FileTable::Number, Surroundings> found;  // of files that a search found
    std::optional<Key> host_names;
    bool anywhere = false;  // it may look into any folder of the stage
  };
  [[nodiscard]] Result<EdgeFacts> facts_of(ninja::EdgeId id);
  [[nodiscard]] Result<bool> still_true(const Asked& asked);
  [[nodiscard]] Result<FileTable::Type> type_of(FileTable::Number file);  // and notes that it was asked
  [[nodiscard]] Result<Asked::Program> ask(const std::string& name, const std::vector<std::string>& flags);
  [[nodiscard]] Result<const Asked::Program*> program_of(const std::string& name,
                                                         const std::vector<std::string>& flags);
  [[nodiscard]] std::string refusal_of(ninja::EdgeId edge) const;
  void add_declared(ninja::NodeId node, EdgeFacts& facts, std::unordered_set<ninja::NodeId>& seen);
  void add_input(FileTable::Number input, EdgeFacts& facts);
  static constexpr FileTable::Number kUnknown = ~FileTable::Number{0};
  [[nodiscard]] Status add_mentioned(const CommandFacts& command, EdgeFacts& facts);
  [[nodiscard]] Status add_folder(const std::string& path, EdgeFacts& facts);
  void add_script_folder(const std::string& script, EdgeFacts& facts);
  void add_shared_libraries(ninja::EdgeId id, EdgeFacts& facts, std::unordered_set<ninja::EdgeId>& seen);
  [[nodiscard]] Status add_tools(const CommandFacts& command, EdgeFacts& facts, ActionKeys& action);
  [[nodiscard]] Status add_libraries(const CommandFacts& command, const std::vector<std::string>& host_dirs,
                                     EdgeFacts& facts, ActionKeys& action);
  std::size_t search_of(std::vector<std::string> folders, bool anywhere);
  [[nodiscard]] Result<const Surroundings*> surroundings(Search& search, FileTable::Number file, bool found);
  void add_rivals(const Search& search, std::string_view path, std::string_view name, KeyBuilder& key,
                  Surroundings& around);
  void add_crowd(const Search& search, std::string_view path, std::string_view name, KeyBuilder& key,
                 Surroundings& around);
  [[nodiscard]] Key key_beside(const Surroundings& around, const std::unordered_set<std::string>& includers);
  [[nodiscard]] std::vector<std::string> rivals_in(const std::unordered_set<std::string>& folders,
                                                   std::string_view path);
  struct Crowd {  // all files of one name
    Key key;
    std::unordered_map<std::string_view, std::vector<std::string_view>>
        by_parent;  // by their folder's last name
  };
  [[nodiscard]] const Crowd& crowd_of(std::string_view name);
  [[nodiscard]] std::unordered_set<std::string> folders_of(std::span<const FileTable::Number> files) const;
  [[nodiscard]] bool host_has(const std::string& folder, std::string_view name);
  [[nodiscard]] const std::unordered_set<std::string>& names_in(const std::string& folder);

  const ninja::Manifest& manifest_;
  const Places& places_;
  NormalForm normal_;
  FileTable& files_;
  Toolbox& tools_;
  const StageListing& listing_;
  Key environment_;
  Key portable_environment_;
  Key packages_;
  std::vector<FileTable::Number> node_files_;  // by node; kUnknown: not asked for yet
  std::vector<ninja::EdgeId> producers_;       // by file, as far as outputs go
  std::vector<std::uint32_t> stamps_;          // by file: the call of facts_of() that took it as an input
  std::uint32_t stamp_ = 0;
  std::unordered_set<ninja::EdgeId> passed_;  // its facts are known
  Asked asked_;
  std::vector<bool> asked_files_;                                // by file
  std::unordered_map<std::string, std::size_t> asked_programs_;  // in asked_.programs, by name and flags
  std::unordered_map<std::string, std::vector<FileTable::Number>> script_folders_;
  std::vector<Search> searches_;
  std::unordered_map<std::string, std::size_t> search_numbers_;
  std::unordered_map<std::string, std::unordered_set<std::string>> host_folders_;
  std::unordered_map<std::string, Crowd> crowds_;
};

// What the host's package manager last did: a custom command may use anything that is installed.
[[nodiscard]] Key package_state();

}  // namespace sb::cache
