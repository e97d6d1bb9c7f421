// Connection: one client of the Server. Reads a request, waits for its answer, reads the next: what is
// pipelined stays unread meanwhile. Never blocks, and gives up on a client that is slow in either direction.
// Part of lib/http's inside; nobody else includes it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/unique_fd.h"
#include "http/message.h"
#include "http/server.h"
#include "os/event_loop.h"

namespace sb::http {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Handlers {
    std::function<void(const std::shared_ptr<Exchange>&)> on_request;
    std::function<void()> on_end;  // called at most once, last, from the loop
  };
  Connection(os::EventLoop& loop, const Limits& limits, UniqueFd fd, Client client)
      : loop_(loop), limits_(limits), fd_(std::move(fd)), client_(client) {}
  void start(Handlers handlers);
  void end();

  // What an Exchange does.
  void answer(const Response& response);
  void begin_stream(const Response& head);
  void send(std::string_view text);
  void when_gone(std::function<void()> gone);

  // Nobody works for it: the first to go when there are too many.
  [[nodiscard]] bool can_be_spared() const {
    return phase_ == Phase::idle || phase_ == Phase::receiving || phase_ == Phase::lingering;
  }

 private:
  enum class Phase { idle, receiving, handling, sending, streaming, lingering };

  void read();
  void write();
  void proceed();
  bool take_head();
  void dispatch(std::string body);
  void refuse(const Refusal& refusal);
  void finish();
  void arrange();
  [[nodiscard]] Phase phase_now() const;
  void time_is_up();

  os::EventLoop& loop_;
  const Limits& limits_;
  UniqueFd fd_;
  Client client_;
  Handlers handlers_;
  std::function<void()> gone_;
  RequestHead head_;
  std::optional<Framing> framing_;  // the head is complete, its body is not
  std::string in_;                  // not yet understood
  std::string out_;
  std::size_t sent_ = 0;     // how much of out_ is gone
  std::size_t ignored_ = 0;  // bytes read after the last answer
  bool busy_ = false;        // a request is being answered
  bool is_head_ = false;     // with no body
  bool keep_alive_ = false;
  bool streaming_ = false;
  bool finishing_ = false;  // reads no more requests
  bool input_ended_ = false;
  bool ended_ = false;
  bool proceeding_ = false;
  Phase phase_ = Phase::idle;
  std::uint64_t requests_ = 0;
  std::uint64_t timed_request_ = 0;
  os::Watch readable_;
  os::Watch writable_;
  os::Watch deadline_;
  os::Watch ending_;
};

}  // namespace sb::http
