// Safe mode: while no version of a service can be started, the conductor itself answers on the service's
// sockets, with what is wrong and what helps. Everybody gets 503, and the connection ends; who does not speak
// HTTP is hung up on. Who can read the home may act on the page itself.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/event_loop.h"
#include "supervise/diagnosis.h"

namespace sb::supervise {

// The seam.
class SafeMode {
 public:
  virtual ~SafeMode() = default;
  // Answers on these listening sockets, which stay open until end(). Again: with another diagnosis.
  virtual void begin(const std::string& service, const std::vector<int>& sockets, Diagnosis diagnosis) = 0;
  // An instance was started: from now on it may accept, too. Asked on until it is ready and end() is called.
  virtual void share(const std::string& service) = 0;
  // Accepts nothing more: what waits is the instance's. What was accepted before is still answered.
  virtual void end(const std::string& service) = 0;
};

// On the event loop.
class HttpSafeMode final : public SafeMode {
 public:
  // A button of the page: a form that is posted to kActPath, from this host and not through a proxy, with the
  // code of this safe mode. The code is random, stands in Diagnosis::code_file for who can read the home, and
  // means nothing elsewhere or later: the service, which may get the socket back at any moment, is never told
  // anything of worth.
  struct Press {
    std::string service;
    std::string act;  // "restart" or "rollback"
    int version = 0;  // that the button names; of a rollback
  };
  // Does it; `done` is called once, on the loop, now or later.
  using Perform = std::function<void(const Press& press, std::function<void(const Status&)> done)>;
  struct Limits {
    std::size_t connections = 256;     // one more, and the oldest is given up
    os::Milliseconds patience{5'000};  // with each, from its first byte to its end
    os::Milliseconds act{60'000};      // with who waits for what a button does
  };
  explicit HttpSafeMode(os::EventLoop& loop) : HttpSafeMode(loop, Limits{}) {}
  HttpSafeMode(os::EventLoop& loop, Limits limits);
  ~HttpSafeMode() override;
  // From the next begin() on the page has buttons.
  void offer(Perform perform) { perform_ = std::move(perform); }
  HttpSafeMode(const HttpSafeMode&) = delete;
  HttpSafeMode& operator=(const HttpSafeMode&) = delete;

  void begin(const std::string& service, const std::vector<int>& sockets, Diagnosis diagnosis) override;
  void share(const std::string& service) override;
  void end(const std::string& service) override;

 private:
  struct Connection;
  struct Listener {
    os::Watch readable;
    os::Watch soon;  // accepts, or listens again
  };
  struct Standing {
    std::shared_ptr<const Diagnosis> diagnosis;
    std::string code;  // for the buttons; empty: there are none
    bool shared = false;
    std::map<int, Listener> listeners;
  };
  void listen(const std::string& service, int socket);
  void accept_some(const std::string& service, int socket);
  void add(int fd, const std::shared_ptr<const Diagnosis>& diagnosis);
  void readable(std::list<Connection>::iterator connection);
  void asked(std::list<Connection>::iterator connection, std::string_view rest);
  void take_form(std::list<Connection>::iterator connection, std::string_view bytes);
  void act(std::list<Connection>::iterator connection);
  void still_acting(std::list<Connection>::iterator connection);
  void answer(std::list<Connection>::iterator connection, std::string bytes);
  void write(std::list<Connection>::iterator connection);

  os::EventLoop& loop_;
  Limits limits_;
  Perform perform_;
  std::map<std::string, Standing> standing_;
  std::list<Connection> connections_;  // oldest first
};

}  // namespace sb::supervise
