// Recorder: writes audit rows and events on a thread of its own, so that the event loop never waits for the
// disk. What the disk refuses is tried again; in their order, all that has come meanwhile in one transaction.
#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "audit/audit_log.h"
#include "audit/event_log.h"
#include "base/result.h"
#include "os/clock.h"
#include "sqlite/database.h"

namespace sb::audit {

class Recorder {
 public:
  using Log = std::function<void(const std::string&)>;  // called from the thread, too

  // A database that cannot be read is put aside (PATH.damaged-TIME), and an empty one takes its place: what
  // it keeps is not worth a conductor that does not start. `seen` becomes what happened last.
  [[nodiscard]] static Result<std::unique_ptr<Recorder>> open(const std::filesystem::path& path,
                                                              std::int64_t now_ms, Log log,
                                                              std::vector<Event>& seen);
  ~Recorder();  // writes what is left, when the disk takes it
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // From any thread; does not wait. Durable a moment later.
  void record(Entry entry);
  void record(Event event);
  // Once all that was recorded before is on disk: at once, or later from the thread.
  void when_written(std::function<void()> callback);
  // Until then; false when it is not by the end of the patience.
  bool flush(os::Milliseconds patience);

 private:
  struct Batch {
    std::vector<Entry> entries;
    std::vector<Event> events;
    [[nodiscard]] bool empty() const { return entries.empty() && events.empty(); }
  };
  Recorder(sqlite::Database database, Log log) : database_(std::move(database)), log_(std::move(log)) {}
  void start();
  void work(const std::stop_token& stop);
  [[nodiscard]] bool all_written() const { return waiting_.empty() && !writing_; }
  void tell(std::unique_lock<std::mutex>& lock);  // those who waited for it; unlocked meanwhile
  [[nodiscard]] Status write(const Batch& batch);

  sqlite::Database database_;  // the thread's, once it runs
  Log log_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  Batch waiting_;
  bool writing_ = false;
  std::vector<std::function<void()>> to_tell_;
  std::jthread thread_;
};

}  // namespace sb::audit
