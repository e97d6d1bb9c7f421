// ScriptLines: texts of the stage by their lines, each read once.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/places.h"

namespace sb::build {

class ScriptLines {
 public:
  explicit ScriptLines(const cache::Places& places) : places_(places) {}
  // `path`: as the commands see it. Null when there is no regular file below the stage, or one above 16 MiB.
  // The project may have put anything there. Valid as long as this is.
  [[nodiscard]] const std::vector<std::string>* of(const std::string& path);

 private:
  [[nodiscard]] std::optional<std::vector<std::string>> read(const std::string& path) const;

  const cache::Places& places_;
  std::unordered_map<std::string, std::optional<std::vector<std::string>>> files_;
};

}  // namespace sb::build
