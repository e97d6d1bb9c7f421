// SwapFiles: how swaps move a pointer. It is moved at once, and on disk before any answer about it leaves the
// conductor (sqlite::CommitSync); the event loop does not wait for that. A power cut right after it may find
// the journal ahead of the pointer; the next conductor goes back then, to a version that was good.
#pragma once

#include <system_error>

#include "os/file_system.h"
#include "sqlite/commit_sync.h"

namespace sb::tool {

class SwapFiles final : public os::RealFileSystem {
 public:
  explicit SwapFiles(sqlite::CommitSync& sync) : sync_(sync) {}

 protected:
  [[nodiscard]] Status sync_names_in(const os::fs::path& folder) override {
    sync_.also([folder]() -> Status {
      std::error_code code;
      const bool gone = !os::fs::exists(folder, code) && !code;
      return gone ? Status{} : os::sync_folder(folder);
    });
    return {};
  }

 private:
  sqlite::CommitSync& sync_;
};

}  // namespace sb::tool
