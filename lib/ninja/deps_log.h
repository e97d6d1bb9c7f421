// DepsLog: Ninja's .ninja_deps, version 4: for each output of a rule with `deps` the headers that its
// compiler reported. Ninja believes an entry that is not older than its output.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace sb::ninja {

class DepsLog {
 public:
  using PathId = std::uint32_t;
  struct Deps {
    std::int64_t mtime_ns = 0;  // of the output, when Ninja read its dependencies
    std::vector<PathId> paths;  // in the compiler's order
  };

  // Empty when there is none; environment when it is of another version; what follows a damaged record is
  // dropped, as Ninja does.
  [[nodiscard]] static Result<DepsLog> load(const std::filesystem::path& folder);
  // Replaces the file by rename; not durable.
  [[nodiscard]] Status save(const std::filesystem::path& folder) const;

  [[nodiscard]] PathId intern(std::string_view path);  // adds it when it is new
  [[nodiscard]] const std::string& path(PathId id) const { return paths_[id]; }
  [[nodiscard]] std::size_t path_count() const { return paths_.size(); }
  [[nodiscard]] const Deps* find(std::string_view output) const;  // valid until the next set()
  void set(std::string_view output, Deps deps);                   // replaces; its paths are interned
  void erase(std::string_view output);

 private:
  struct Hash {  // finds a string by a view
    using is_transparent = void;
    [[nodiscard]] std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  [[nodiscard]] bool read_path(std::string_view body);  // of a record; false: it is damaged
  [[nodiscard]] bool read_deps(std::string_view body);
  std::vector<std::string> paths_;
  std::unordered_map<std::string, PathId, Hash, std::equal_to<>> ids_;
  std::unordered_map<PathId, Deps> deps_;  // by output
};

}  // namespace sb::ninja
