// Recorder: writes audit rows and events on a thread of its own, so that the event loop never waits for the
// disk. What the disk refuses is tried again; in their order, all that has come meanwhile in one transaction.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
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

  using Opened = std::function<void(const Result<std::vector<Event>>&)>;

  // Opens the database on the thread, which then calls opened() with what happened last, oldest first. One
  // that is damaged is put aside (PATH.damaged-TIME), and an empty one takes its place; one that cannot be
  // opened is tried again when there is something to write.
  Recorder(std::filesystem::path path, std::int64_t now_ms, Log log, Opened opened);
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
    std::uint64_t last = 0;  // the number of the last one
    [[nodiscard]] bool empty() const { return entries.empty() && events.empty(); }
  };
  [[nodiscard]] Result<std::vector<Event>> open();  // what happened last
  void work(const std::stop_token& stop);
  [[nodiscard]] bool is_written(std::uint64_t last) const { return is_open_ && written_ >= last; }
  void tell(std::unique_lock<std::mutex>& lock);  // who waited for what is written; unlocked meanwhile
  [[nodiscard]] Status write(const Batch& batch);

  // -- of the thread
  std::filesystem::path path_;
  std::int64_t now_ms_;
  std::optional<sqlite::Database> database_;
  Log log_;
  Opened opened_;
  // -- of both
  std::mutex mutex_;
  std::condition_variable_any changed_;
  Batch waiting_;
  bool is_open_ = false;  // or could not be opened
  std::uint64_t recorded_ = 0;
  std::uint64_t written_ = 0;
  std::multimap<std::uint64_t, std::function<void()>> to_tell_;  // by the last one that has to be written
  std::jthread thread_;
};

}  // namespace sb::audit
