#include "audit/recorder.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace sb::audit {
namespace {

constexpr std::chrono::milliseconds kBetweenTries{1'000};
constexpr std::size_t kMostEvents = 4'000;  // that wait for the disk; those of which it keeps no more anyway
constexpr std::size_t kMostEntries = 100'000;

Result<std::vector<Event>> open_and_read(const std::filesystem::path& path,
                                         std::optional<sqlite::Database>& opened) {
  SB_TRY(sqlite::Database database, open_audit_database(path));
  SB_TRY(std::vector<Event> seen, EventLog(database).all());
  opened.emplace(std::move(database));
  return seen;
}

void put_aside(const std::filesystem::path& path, std::int64_t now_ms) {
  std::error_code ignored;
  const std::string aside = fmt::format("{}.damaged-{}", path.string(), now_ms);
  std::filesystem::rename(path, aside, ignored);
  std::filesystem::rename(path.string() + "-wal", aside + "-wal", ignored);
  std::filesystem::remove(path.string() + "-shm", ignored);
}

}  // namespace

Recorder::Recorder(std::filesystem::path path, std::int64_t now_ms, Log log, Opened opened)
    : path_(std::move(path)), now_ms_(now_ms), log_(std::move(log)), opened_(std::move(opened)) {
  thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

Recorder::~Recorder() = default;

void Recorder::record(Entry entry) {
  const std::scoped_lock lock(mutex_);
  if (waiting_.entries.size() >= kMostEntries)
    return;  // the disk has refused them for very long; it was said
  waiting_.entries.push_back(std::move(entry));
  waiting_.last = ++recorded_;
  changed_.notify_all();
}

void Recorder::record(Event event) {
  const std::scoped_lock lock(mutex_);
  if (waiting_.events.size() >= kMostEvents) waiting_.events.erase(waiting_.events.begin());
  waiting_.events.push_back(std::move(event));
  waiting_.last = ++recorded_;
  changed_.notify_all();
}

void Recorder::when_written(std::function<void()> callback) {
  {
    const std::scoped_lock lock(mutex_);
    if (!is_written(recorded_)) {
      to_tell_.emplace(recorded_, std::move(callback));
      return;
    }
  }
  callback();
}

bool Recorder::flush(os::Milliseconds patience) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [this, last = recorded_] { return is_written(last); });
}

Result<std::vector<Event>> Recorder::open() {
  Result<std::vector<Event>> seen = open_and_read(path_, database_);
  if (seen || seen.error().kind != ErrorKind::corrupt) return seen;
  log_(fmt::format("{} is damaged and was put aside: {}", path_.string(), one_line(seen.error())));
  put_aside(path_, now_ms_);
  return open_and_read(path_, database_);
}

Status Recorder::write(const Batch& batch) {
  if (!database_) SB_CHECK(doing("opening the audit log", open()));
  return database_->transaction([&]() -> Status {
    SB_CHECK(AuditLog(*database_).append(batch.entries));
    return EventLog(*database_).append(batch.events);
  });
}

void Recorder::work(const std::stop_token& stop) {
  opened_(open());
  std::string trouble;  // said already
  std::unique_lock lock(mutex_);
  is_open_ = true;
  while (true) {
    changed_.notify_all();
    tell(lock);
    changed_.wait(lock, stop, [this] { return !waiting_.empty(); });
    if (waiting_.empty()) return;
    Batch batch = std::exchange(waiting_, {});
    lock.unlock();
    const Status written = write(batch);
    if (!written && trouble != written.error().what)
      log_("the audit log is not written: " + one_line(written.error()));
    trouble = written ? "" : written.error().what;
    lock.lock();
    if (written) {
      written_ = batch.last;
      continue;
    }
    // In front of what has come meanwhile.
    std::ranges::move(waiting_.entries, std::back_inserter(batch.entries));
    std::ranges::move(waiting_.events, std::back_inserter(batch.events));
    batch.last = std::max(batch.last, waiting_.last);
    waiting_ = std::move(batch);
    if (stop.stop_requested()) return;
    changed_.wait_for(lock, stop, kBetweenTries, [] { return false; });
  }
}

void Recorder::tell(std::unique_lock<std::mutex>& lock) {
  while (!to_tell_.empty() && is_written(to_tell_.begin()->first)) {
    const auto callback = std::move(to_tell_.begin()->second);
    to_tell_.erase(to_tell_.begin());
    lock.unlock();
    callback();
    lock.lock();
  }
}

}  // namespace sb::audit
