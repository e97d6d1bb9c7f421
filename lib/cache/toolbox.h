// Toolbox: what the programs of a build consist of. A compiler is more than its driver: another cc1plus,
// assembler, linker, LTO plugin, specs file, start-up object or C library is another compiler.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/key.h"
#include "base/result.h"
#include "cache/action_store.h"
#include "cache/file_table.h"

namespace sb::cache {

struct Tool {
  Key identity;                           // of all its parts as they are now
  std::vector<std::string> include_dirs;  // where a driver searches headers by itself
  std::vector<std::string> library_dirs;
};

// Runs a command where builds run (in the sandbox), and returns what it printed; its exit code is of no
// interest.
using Ask = std::function<Result<std::string>(const std::vector<std::string>& argv)>;

class Toolbox {
 public:
  Toolbox(const Places& places, FileTable& files, ActionStore& store, Ask ask, std::string path_variable);

  // Of a program of the host. `flags` are those that change what a driver searches. A program is asked once
  // for as long as its file stays the same; its parts are looked at in every build.
  // not_found: no such program in PATH. The pointer is valid as long as the toolbox.
  [[nodiscard]] Result<const Tool*> find(const std::string& program, const std::vector<std::string>& flags);
  // Where PATH has it; absolute as the commands see it, and empty when it has not.
  [[nodiscard]] std::string locate(std::string_view program) const;

  // Answers that were asked for in this build, into the store's open transaction.
  [[nodiscard]] Status remember();

 private:
  [[nodiscard]] Result<std::string> description(const Key& key, const std::string& path, bool driver,
                                                const std::vector<std::string>& flags);
  [[nodiscard]] Result<Tool> assemble(const std::string& path, std::string_view description);

  const Places& places_;
  FileTable& files_;
  ActionStore& store_;
  Ask ask_;
  std::vector<std::string> folders_;
  std::unordered_map<std::string, Tool> tools_;
  std::vector<std::pair<Key, std::string>> fresh_;
};

}  // namespace sb::cache
