// Connection: one peer of the Server. Cuts what arrives into lines, and sends answers without ever blocking.
// Part of lib/rpc's inside; nobody else includes it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "os/event_loop.h"
#include "os/unix_socket.h"

namespace sb::rpc {

inline constexpr std::size_t kMaxUnsent = 64UL * 1024 * 1024;  // then the peer does not read: it is dropped

class Connection {
 public:
  struct Handlers {
    std::function<void(std::string_view line)> on_line;  // without its newline; may end the connection
    std::function<void()> on_too_long;                   // a line above kMaxJsonBytes
    std::function<void()> on_end;                        // called at most once, last, from the loop
  };
  Connection(os::EventLoop& loop, UniqueFd fd, os::Peer peer)
      : loop_(loop), fd_(std::move(fd)), peer_(peer) {}
  void start(Handlers handlers);

  // Appends a newline. What the socket does not take now is sent when it does.
  void send(std::string text);
  // Reads no more, sends what is left, then ends.
  void finish();
  [[nodiscard]] const os::Peer& peer() const { return peer_; }

 private:
  void read();
  void write();
  void end();

  os::EventLoop& loop_;
  UniqueFd fd_;
  os::Peer peer_;
  Handlers handlers_;
  std::string in_;
  std::string out_;
  std::size_t sent_ = 0;  // how much of out_ is gone
  bool finishing_ = false;
  bool ended_ = false;
  os::Watch readable_;
  os::Watch writable_;
  os::Watch ending_;
};

}  // namespace sb::rpc
