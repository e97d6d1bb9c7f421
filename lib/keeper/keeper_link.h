// KeeperLink: the conductor's end of the line to its keeper. Without a keeper (no KEEPER_FD) everything here
// does nothing and succeeds, so that a conductor in the foreground needs no second way.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"
#include "os/process.h"

namespace sb::keeper {

// A process that was nobody's child any more: a service of the conductor before, or what it started.
struct OrphanExit {
  pid_t pid = -1;
  os::Exit exit{};
};

class KeeperLink {
 public:
  // Takes KEEPER_FD out of the environment, so that nothing that is started later sees it.
  [[nodiscard]] static KeeperLink from_environment();

  // Has the keeper hold a duplicate of fd until drop() or the end of the keeper; replaces one of the same
  // name. Names: 1 to kMaxName bytes without '\0'; at most kMaxHeld. On return it is safe from the death of
  // this process. Errors: usage (the name), environment (the keeper is gone or does not listen).
  [[nodiscard]] Status put(const std::string& name, int fd);
  [[nodiscard]] Status drop(const std::string& name);

  // This conductor is about to end: the keeper starts the next one, which gets as far as its take_all().
  [[nodiscard]] Status start_next();
  [[nodiscard]] Status call_off_next();
  // From now on the next one is the conductor.
  void close() { fd_.reset(); }

  // Everything the keeper held when this conductor started. Blocks until the conductor before has ended, and
  // the keeper has said all; call it once, before all else. What the keeper could not say because it died is
  // missing.
  [[nodiscard]] std::vector<std::pair<std::string, UniqueFd>> take_all();

  // How often this keeper has started a conductor, this one included, and how many of them have died in a row
  // just before. Known after take_all(); 0 without a keeper.
  [[nodiscard]] int boots() const { return boots_; }
  [[nodiscard]] int deaths() const { return deaths_; }

  // Readable when there are exits to read; -1 without a keeper.
  [[nodiscard]] int fd() const { return fd_.get(); }
  // What has come so far; does not block. When connected() is false afterwards, stop watching fd().
  [[nodiscard]] std::vector<OrphanExit> read_exits();
  [[nodiscard]] bool connected() const { return fd_.valid() && !gone_; }

 private:
  explicit KeeperLink(UniqueFd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] Status say_of(const char* verb, const std::string& name, int fd);
  [[nodiscard]] Status say(const std::string& text, int fd = -1);

  UniqueFd fd_;
  bool gone_ = false;
  int boots_ = 0;
  int deaths_ = 0;
};

}  // namespace sb::keeper
