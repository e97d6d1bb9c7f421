// ConfiguredFolder: a build folder as CMake left it, taken from the cache when CMake would make the same
// again: same command, tools, environment and installed packages, same contents of all that CMake and its
// scripts read, and no file or folder that they could look for has come or gone.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "artifacts/output_pool.h"
#include "base/result.h"
#include "cache/action_store.h"
#include "cache/places.h"
#include "cache/toolbox.h"

namespace sb::cache {

struct ConfigureRequest {
  Places places;
  std::vector<std::string> command;      // argv; its first word a program of the host
  std::vector<std::string> environment;  // exactly what the command gets
  std::int64_t owner = 0;                // as BuildCacheRequest::owner
  Ask ask;
  std::int64_t now_ms = 0;
};

class ConfiguredFolder {
 public:
  ConfiguredFolder(ActionStore& store, const artifacts::OutputPool& pool, ConfigureRequest request)
      : store_(store), pool_(pool), request_(std::move(request)) {}

  // Fills the (empty) build folder. The note that keep() was given, or nothing: then CMake has to run; why()
  // says for what reason.
  [[nodiscard]] Result<std::optional<std::string>> take();
  [[nodiscard]] const std::string& why() const { return why_; }

  // After take() found nothing: what CMake knew of the host when it last ran with the same command, tools,
  // environment, packages and inputs, but for the project's scripts. Its files about compilers are placed,
  // and what keep_checks() was told is returned.
  [[nodiscard]] Result<std::optional<std::string>> take_checks();

  // Whatever is in the build folder goes.
  [[nodiscard]] Status empty() const;

  // After CMake ran in the empty folder, before anything is built there. `inputs`: all that it read and that
  // it did not make, absolute, as the commands see them; "…/" stands for every file below a folder of the
  // source, "?name" for a name (or pattern) that was looked for. Sorted, each once.
  [[nodiscard]] Status keep(const std::vector<std::string>& inputs, const std::string& note);
  // After keep(), for take_checks(). `inputs`: the same without the project's scripts.
  [[nodiscard]] Status keep_checks(const std::vector<std::string>& inputs, const std::string& checks);

 private:
  // Of an action, by what its inputs are now; placed.
  [[nodiscard]] Result<std::optional<std::string>> take_known(const Key& action, FileTable& files);
  [[nodiscard]] Status record(const Key& action, FileTable& files, Toolbox& tools,
                              const std::vector<std::string>& inputs, const ActionResult& result);
  [[nodiscard]] Status remember_words();
  [[nodiscard]] Result<Key> action(Toolbox& tools) const;
  [[nodiscard]] Result<Key> result_key(const Key& action, FileTable& files,
                                       const std::vector<std::string>& inputs);
  // Of a file of the host: its words are in the store from the first time on.
  [[nodiscard]] Result<std::string> names_said_by(const std::string& module, const Key& digest);
  [[nodiscard]] static Key key_of_checks(const Key& action);
  [[nodiscard]] Result<bool> place(const ActionResult& result) const;
  [[nodiscard]] Toolbox toolbox(FileTable& files) const;

  ActionStore& store_;
  const artifacts::OutputPool& pool_;
  ConfigureRequest request_;
  std::string why_;
  std::vector<std::pair<Key, std::string>> said_;  // what the store did not know
  std::vector<Output> kept_;                       // by keep()
};

// Changes when a file or folder appears or disappears that the texts could name: one whose last name is a
// word of theirs or matches one of their patterns ("*.cc"; "${x}" matches anything, but alone counts as
// nothing). `paths` are relative and sorted, folders end in "/". A file(GLOB), if(EXISTS) or find_file can
// only find such a one.
[[nodiscard]] Key names_that_matter(const std::vector<std::string>& texts,
                                    const std::vector<std::string>& paths);

}  // namespace sb::cache
