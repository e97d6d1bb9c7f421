// Toolbox: what the programs of a build consist of. A compiler is more than its driver: another cc1plus,
// assembler, linker, LTO plugin, specs file, start-up object or C library is another compiler.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/key.h"
#include "base/result.h"
#include "cache/action_store.h"
#include "cache/file_table.h"
#include "cache/shared_libraries.h"

namespace sb::cache {

struct Tool {
  Key identity;                           // of all its parts as they are now
  std::vector<std::string> parts;         // its files, under the names by which they are found; sorted
  std::vector<std::string> include_dirs;  // where a driver searches headers by itself
  std::vector<std::string> library_dirs;
};

// Runs a command where builds run (in the sandbox), and returns what it printed; its exit code is of no
// interest.
using Ask = std::function<Result<std::string>(const std::vector<std::string>& argv)>;

class Toolbox {
 public:
  // `environment`: "NAME=value", of the commands.
  Toolbox(const Places& places, FileTable& files, ActionStore& store, Ask ask,
          const std::vector<std::string>& environment);

  // Of a program of the host. `flags` are those that change what a driver searches. A driver is asked once
  // for as long as its file and the environment stay the same; its parts are looked up, and looked at, in
  // every build. not_found: no such program in PATH. The pointer is valid as long as the toolbox.
  [[nodiscard]] Result<const Tool*> find(const std::string& program, const std::vector<std::string>& flags);
  // Where PATH has it; absolute as the commands see it, and empty when it has not.
  [[nodiscard]] std::string locate(std::string_view program) const;

  // Answers that were asked for in this build, into the store's open transaction.
  [[nodiscard]] Status remember();

 private:
  using Parts = std::map<std::string, FileTable::Number>;  // by name; the file that it means
  [[nodiscard]] Status add_driver(const std::string& path, const Key& file,
                                  const std::vector<std::string>& flags, Parts& parts, Tool& tool);
  void add_file(const std::string& name, Parts& parts);
  [[nodiscard]] Status add_program(const std::string& name, Parts& parts);
  [[nodiscard]] std::string first_of(const std::vector<std::string>& paths, bool program) const;
  [[nodiscard]] Result<std::string> answer(const Key& question, const std::vector<std::string>& argv);
  [[nodiscard]] const std::string& own_name(const std::string& name);
  [[nodiscard]] std::optional<std::string> canonical(const std::string& path);  // nothing: it is not there

  const Places& places_;
  FileTable& files_;
  ActionStore& store_;
  Ask ask_;
  Key environment_;
  std::vector<std::string> folders_;  // of PATH
  SharedLibraries libraries_;
  std::unordered_map<std::string, Tool> tools_;
  std::unordered_map<std::string, std::string> own_names_;     // asked of the file system once each
  std::unordered_map<std::string, std::string> real_folders_;  // the same; "": it is not there
  std::vector<std::pair<Key, std::string>> fresh_;
};

}  // namespace sb::cache
