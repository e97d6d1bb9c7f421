// CommitSync: brings to disk, on a thread of its own, what connections to one database commit, so that an
// event loop does not wait for the disk.
//
// What a connection commits after Database::leave_syncs_to is seen by everybody at once and outlives every
// process; a power cut spares it once when_durable says so, or a moment later by itself. One sync serves all
// that was committed before it began: group commit (DeWitt et al., Implementation Techniques for Main Memory
// Database Systems, SIGMOD 1984). Checkpoints, which sync as well, are made here, too. What is left to the
// loop is SQLite's sync of the log's header when it begins the log anew: once in about a thousand pages,
// right after a checkpoint, so that the disk has just answered.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/result.h"
#include "sqlite/database.h"

namespace sb::sqlite {

class CommitSync {
 public:
  // Runs something on the loop; called from the thread.
  using Post = std::function<void(std::function<void()>)>;
  using Durable = std::function<void(const Status&)>;

  // Outlives all connections that leave their syncs to it; they are used on the loop. Its own one is opened
  // by the thread: until that succeeds nothing is durable, and whoever waits for it hears why.
  CommitSync(std::filesystem::path path, Post post);
  ~CommitSync();  // waits for the disk unless idle(), and drops who waits for it
  CommitSync(const CommitSync&) = delete;
  CommitSync& operator=(const CommitSync&) = delete;

  // -- on the loop
  // When all that was committed by now is on disk, by whomever: at once if it is, else from the loop, in the
  // order of the calls. After an error it is in effect, and a power cut may take it.
  void when_durable(Durable durable);
  // Done on the thread, and before anybody hears of when_durable who asks from now on.
  void also(std::function<Status()> other);
  [[nodiscard]] bool idle() const;  // and no checkpoint is being made

 private:
  friend class Database;
  struct Round {
    std::uint64_t commits = 0;  // as many are on disk after it
    std::vector<std::function<Status()>> others;
    bool wanted = false;
    bool checkpoint = false;
  };
  struct Waiting {
    std::uint64_t commits;
    Durable durable;
  };
  void committed(int pages);
  void ask(bool checkpoint);
  void work(const std::stop_token& stop, const std::weak_ptr<int>& alive);
  [[nodiscard]] Status sync(const Round& round);
  [[nodiscard]] Status open();
  [[nodiscard]] Status sync_log();
  void tell(std::uint64_t commits, const Status& synced);

  // -- of the thread, once it runs
  std::filesystem::path path_;
  std::optional<Database> database_;
  bool in_doubt_ = false;  // a sync failed: the next one would say nothing of what it was about
  Post post_;
  // -- of the loop
  std::uint64_t commits_ = 0;
  std::uint64_t synced_ = 0;
  std::deque<Waiting> waiting_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  // -- of both
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  Round next_;
  bool working_ = false;
  std::jthread thread_;
};

}  // namespace sb::sqlite
