// LogTail: what is added to a service's log, across its rotation (supervise/service_log.h): the text moves to
// log.1 and the file, which the service goes on writing to, is emptied.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.h"

namespace sb::tool {

class LogTail {
 public:
  // folder: state/services/NAME.
  explicit LogTail(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // The last `lines` lines, of log.1 also when log has fewer; from here on next() goes on. 0: none.
  [[nodiscard]] std::string last(std::size_t lines);
  // What has come since, up to 1 MiB; empty when nothing has. Without a log: nothing, until there is one.
  [[nodiscard]] std::string next();

 private:
  [[nodiscard]] std::string read_from(const std::filesystem::path& path, std::uint64_t offset) const;
  [[nodiscard]] std::string rest_of_the_old() const;

  std::filesystem::path folder_;
  std::uint64_t offset_ = 0;  // read so far, of log
};

}  // namespace sb::tool
