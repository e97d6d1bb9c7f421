#include "tool/conductor/event_feed.h"

#include <utility>

#include "http/event_text.h"

namespace sb::tool {
namespace {

constexpr os::Milliseconds kHeartbeat{15'000};  // a reader that has gone without a word is noticed
// More than can have been on the way to the disk when the conductor before died: no id is given twice.
constexpr std::int64_t kGap = 10'000;
constexpr auto kKept = static_cast<std::size_t>(audit::EventLog::kKept);

}  // namespace

EventFeed::EventFeed(os::Timers& timers, Record record) : timers_(timers), record_(std::move(record)) {
  keep_alive();
}

void EventFeed::go_on_from(const Result<std::vector<audit::Event>>& before) {
  if (before) {
    kept_.assign(before->begin(), before->end());
  } else {
    next_id_ = timers_.clock().unix_ms();
  }
  if (!kept_.empty()) next_id_ = kept_.back().id + kGap;
  knows_before_ = true;
  for (audit::Event& event : std::exchange(early_, {})) tell(std::move(event));
  for (const auto& follow_now : std::exchange(early_readers_, {})) follow_now();
}

void EventFeed::keep_alive() {
  const auto readers = readers_;  // a send may end one
  for (const auto& [id, reader] : readers) reader->send(":\n\n");
  heartbeat_ = timers_.after(kHeartbeat, [this] { keep_alive(); });
}

void EventFeed::publish(const std::string& kind, const Json& data) {
  audit::Event event{.at_ms = timers_.clock().unix_ms(), .kind = kind, .data = dump_json(data)};
  if (knows_before_) return tell(std::move(event));
  if (early_.size() == kKept) early_.erase(early_.begin());
  early_.push_back(std::move(event));
}

void EventFeed::tell(audit::Event event) {
  event.id = next_id_++;
  record_(event);
  kept_.push_back(event);
  if (kept_.size() > kKept) kept_.pop_front();
  const std::string text = http::event_text(event.id, event.kind, event.data);
  const auto readers = readers_;
  for (const auto& [id, reader] : readers) reader->send(text);
}

void EventFeed::follow(const http::ExchangePtr& exchange, std::optional<std::int64_t> after) {
  if (!knows_before_) {
    early_readers_.emplace_back([=, this] { follow(exchange, after); });
    return;
  }
  exchange->stream({.content_type = "text/event-stream"});
  std::string text = "retry: 1000\n\n";
  if (after) {
    // One from the future is of another home: all that there is, is new to its reader.
    const std::int64_t seen = *after < next_id_ ? *after : 0;
    for (const audit::Event& event : kept_) {
      if (event.id > seen) text += http::event_text(event.id, event.kind, event.data);
    }
  }
  exchange->send(text);
  const std::uint64_t reader = next_reader_++;
  readers_[reader] = exchange;
  exchange->on_gone([this, reader] { readers_.erase(reader); });
}

}  // namespace sb::tool
