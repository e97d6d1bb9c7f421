#include "sqlite/commit_sync.h"

#include <algorithm>
#include <utility>

namespace sb::sqlite {
Result<std::unique_ptr<CommitSync>> CommitSync::open(const std::filesystem::path& path, Post post) {
  SB_TRY(Database database, Database::open(path));
  SB_CHECK(database.execute("SELECT count(*) FROM sqlite_schema"));  // opens the log
  // NOLINTNEXTLINE(modernize-make-unique): the constructor is private
  std::unique_ptr<CommitSync> sync(new CommitSync(std::move(database), std::move(post)));
  sync->thread_ = std::jthread([raw = sync.get(), alive = std::weak_ptr(sync->alive_)](
                                   const std::stop_token& stop) { raw->work(stop, alive); });
  return sync;
}

CommitSync::~CommitSync() {
  alive_.reset();
  if (synced_ != commits_) ask(false);
  thread_.request_stop();
  thread_.join();
}

void CommitSync::when_durable(Durable durable) {
  if (idle()) return durable({});
  waiting_.push_back({.commits = commits_, .durable = std::move(durable)});
  ask(false);
}

void CommitSync::sync_first(std::function<Status()> other) {
  const std::scoped_lock lock(mutex_);
  next_.others.push_back(std::move(other));
}

void CommitSync::committed(int pages) {
  ++commits_;
  if (pages >= kCheckpointPages) ask(true);
}

void CommitSync::ask(bool checkpoint) {
  const std::scoped_lock lock(mutex_);
  next_.commits = commits_;
  next_.wanted = true;
  next_.checkpoint |= checkpoint;
  changed_.notify_one();
}

void CommitSync::work(const std::stop_token& stop, const std::weak_ptr<int>& alive) {
  while (true) {
    Round round;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [this] { return next_.wanted; })) return;
      round = std::exchange(next_, {});
    }
    const Status synced = sync(round);
    post_([this, alive, commits = round.commits, synced] {
      if (!alive.expired()) tell(commits, synced);
    });
    // Another one is made when the log has grown by as much again.
    if (round.checkpoint) (void)database_.checkpoint();
  }
}

Status CommitSync::sync(const Round& round) {
  for (const auto& other : round.others) SB_CHECK(other());
  return database_.sync_log();
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
