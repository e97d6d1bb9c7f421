// Server: JSON-RPC 2.0 on a Unix socket, on the event loop. Mode 0600; a peer with another uid is turned away
// before a byte of it is read. Lines above 4 MiB and JSON nested above 64 are answered with an error and end
// the connection; so does a peer that leaves 64 MiB of answers unread, or ends its sending. Batches are
// refused. Answers above 4 MiB become an error. Handlers run on the loop and must not destroy the server.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include <sys/types.h>

#include "base/json.h"
#include "base/result.h"

namespace sb::os {
class EventLoop;
}

namespace sb::rpc {

using ConnectionId = std::uint64_t;  // never reused while the server lives

// Answers one request: at once or later, exactly once; copies share the one answer. Answering after the
// connection has gone does nothing. A notification's answer goes nowhere. When all copies are dropped
// unanswered, the peer gets an error of kind bug.
class Reply {
 public:
  explicit Reply(std::function<void(Result<Json>)> send);
  void operator()(Result<Json> result) const;

 private:
  std::function<void(Result<Json>)> send_;
};

struct Request {
  ConnectionId connection;
  uid_t peer_uid;
  pid_t peer_pid;
  const Json& params;
};
using Method = std::function<void(const Request&, Reply)>;
// Asked at each request, answered with who is to hear of its outcome, or nobody. When the method drops its
// Reply, the outcome is an error of kind bug.
using Outcome = std::function<void(const Result<Json>&)>;
using Witness = std::function<Outcome(const std::string& method, const Request&)>;

// Asked at each request; what it gives, if anything, is called with the sending of the answer, unless that is
// an error; it may put it off, or turn it into one.
using Sending = std::function<void(const Status&)>;
using Hold = std::function<void(const Sending&)>;
using Gate = std::function<Hold(const std::string& method)>;

class Server {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Server>> listen(os::EventLoop& loop,
                                                              const std::filesystem::path& socket);
  virtual ~Server() = default;
  virtual void on(const std::string& method, Method handler) = 0;  // params: {} when the request has none
  // One, of all methods that are known.
  virtual void set_witness(Witness witness) = 0;
  // One, of all methods.
  virtual void set_gate(Gate gate) = 0;
  // The same method for who is not connected here: as connection 0, and without the witness.
  virtual void call(const std::string& method, const Json& params, Reply reply) = 0;
  // Leases end here. Called from the loop, never from within an answer; every handler that was added is
  // called.
  virtual void on_disconnect(std::function<void(ConnectionId)> handler) = 0;
};

}  // namespace sb::rpc
