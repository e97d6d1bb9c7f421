// InstanceLock: one conductor per home, and one keeper. An flock on state/conductor.lock or
// state/keeper.lock, which holds the owner's pid: for people, and for `selfbuild conductor stop`.
#pragma once

#include <chrono>
#include <filesystem>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sb::tool {

class InstanceLock {
 public:
  // conflict names the pid of the conductor that has it. `patience`: how long to wait for it, since a child
  // of a conductor that was killed between fork and exec holds it for a moment.
  [[nodiscard]] static Result<InstanceLock> take(
      const std::filesystem::path& path, std::chrono::milliseconds patience = std::chrono::milliseconds(0));
  // Its descriptor, which from now on stays open in a program that this process becomes.
  [[nodiscard]] int inherited() const;

 private:
  explicit InstanceLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace sb::tool
