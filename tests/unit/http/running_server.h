// A Server on the loopback and on a Unix socket, on a loop of its own in a thread, with a few routes.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "http/server.h"
#include "os/event_loop.h"
#include "os/file_system.h"

namespace sb::tests {

inline constexpr std::string_view kToken = "0123456789abcdef0123456789abcdef";

class RunningServer {
 public:
  explicit RunningServer(const http::Limits& limits = {});
  ~RunningServer();
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;

  [[nodiscard]] std::string tcp() const;   // "127.0.0.1:40123"
  [[nodiscard]] std::string unix() const;  // "unix:/…/http.sock"
  // All that comes for these bytes until the server closes.
  [[nodiscard]] std::string ask(std::string_view bytes) const;
  // "GET /" with these lines, and the connection is to be closed after it.
  [[nodiscard]] std::string get(const std::string& path, const std::string& lines = "") const;
  void on_loop(const std::function<void()>& act);
  [[nodiscard]] std::size_t connections();
  [[nodiscard]] int acts() const { return acts_; }                // how many times POST /act was let through
  [[nodiscard]] int big_answers() const { return big_answers_; }  // to GET /big, begun
  void send_to_stream(const std::string& text);                   // to the newest reader of GET /stream
  void wait_for_waiting();                                        // until somebody waits at GET /later
  void release();                                                 // answers what waits at GET /later

 private:
  void add_routes();
  os::TemporaryFolder folder_;
  std::unique_ptr<os::EventLoop> loop_;
  std::unique_ptr<http::Server> server_;
  http::ExchangePtr stream_;   // the loop's thread only
  http::ExchangePtr waiting_;  // the same
  int port_ = 0;
  std::atomic<int> acts_ = 0;
  std::atomic<int> big_answers_ = 0;
  std::atomic<int> gone_ = 0;
  std::thread thread_;

 public:
  [[nodiscard]] int gone() const { return gone_; }  // readers of GET /stream that have left
};

// The status of an answer; 0 when there is none.
[[nodiscard]] int status_of(std::string_view answer);

}  // namespace sb::tests
