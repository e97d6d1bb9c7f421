#include "tool/conductor/version_checks.h"

#include <memory>
#include <system_error>

#include "activation/version_check.h"

namespace sb::tool {

VersionChecks::~VersionChecks() {
  if (thread_.joinable()) thread_.join();
}

void VersionChecks::begin(const history::Version& version, const std::filesystem::path& directory,
                          const std::function<void(Status)>& answer) {
  if (thread_.joinable()) thread_.join();  // of a swap that was aborted meanwhile
  const auto work = [this, version, directory, answer] {
    auto result = std::make_shared<Status>(activation::check_version(version, directory));
    loop_.post([this, result, answer] {
      if (thread_.joinable()) thread_.join();
      answer(*result);
    });
  };
  try {
    thread_ = std::thread(work);
  } catch (const std::system_error& error) {
    loop_.post([answer, code = error.code().value()] {
      answer(fail(errno_error("cannot start a thread to check the files of a version", code)));
    });
  }
}

}  // namespace sb::tool
