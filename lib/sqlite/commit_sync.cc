#include "sqlite/commit_sync.h"

#include <algorithm>
#include <utility>

namespace sb::sqlite {

CommitSync::CommitSync(std::filesystem::path path, Post post)
    : path_(std::move(path)), post_(std::move(post)) {
  thread_ =
      std::jthread([this, alive = std::weak_ptr(alive_)](const std::stop_token& stop) { work(stop, alive); });
  // What a process that was killed has left.
  committed(0);
}

CommitSync::~CommitSync() {
  alive_.reset();
  thread_.request_stop();
  thread_.join();
}

void CommitSync::when_durable(Durable durable) {
  if (synced_ == commits_ && waiting_.empty()) return durable({});
  waiting_.push_back({.commits = commits_, .durable = std::move(durable)});
  ask(false);
}

void CommitSync::also(std::function<Status()> other) {
  {
    const std::scoped_lock lock(mutex_);
    next_.others.push_back(std::move(other));
  }
  ++commits_;
  ask(false);
}

bool CommitSync::idle() const {
  const std::scoped_lock lock(mutex_);
  return synced_ == commits_ && waiting_.empty() && !working_ && !next_.wanted;
}

void CommitSync::committed(int pages) {
  ++commits_;
  // As SQLite does: at each commit from then on, until the log is begun anew. Somebody may still read it.
  ask(pages >= kCheckpointPages);
}

void CommitSync::ask(bool checkpoint) {
  const std::scoped_lock lock(mutex_);
  next_.commits = commits_;
  next_.wanted = true;
  next_.checkpoint |= checkpoint;
  changed_.notify_one();
}

void CommitSync::work(const std::stop_token& stop, const std::weak_ptr<int>& alive) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return next_.wanted; })) {
    const Round round = std::exchange(next_, {});
    working_ = true;
    lock.unlock();
    const Status synced = sync(round);
    post_([this, alive, commits = round.commits, synced] {
      if (!alive.expired()) tell(commits, synced);
    });
    // The next round makes up for one that fails.
    if (round.checkpoint && database_) (void)database_->checkpoint();
    lock.lock();
    working_ = false;
  }
}

Status CommitSync::sync(const Round& round) {
  Status all;
  for (const auto& other : round.others) {
    const Status done = other();
    if (all && !done) all = done;
  }
  const Status synced = sync_log();
  return all ? synced : all;
}

Status CommitSync::open() {
  if (database_) return {};
  SB_TRY(Database database, Database::open(path_));
  SB_CHECK(database.execute("SELECT count(*) FROM sqlite_schema"));  // opens the log
  database_.emplace(std::move(database));
  return {};
}

// After a sync that failed the kernel takes the pages for clean, and the next one succeeds without them. What
// they hold is then brought into the file.
Status CommitSync::sync_log() {
  SB_CHECK(open());
  if (in_doubt_) {
    SB_TRY(const bool whole, database_->checkpoint());
    if (!whole)
      return fail(ErrorKind::environment,
                  "an earlier write to the database's log is not known to be on disk");
    in_doubt_ = false;
    return {};
  }
  const Status synced = database_->sync_log();
  in_doubt_ = !synced;
  return synced;
}

void CommitSync::tell(std::uint64_t commits, const Status& synced) {
  if (synced) synced_ = std::max(synced_, commits);
  while (!waiting_.empty() && waiting_.front().commits <= commits) {
    const Durable durable = std::move(waiting_.front().durable);
    waiting_.pop_front();
    durable(synced);
  }
}

}  // namespace sb::sqlite
