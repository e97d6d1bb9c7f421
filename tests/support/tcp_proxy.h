// TcpProxy: stands between a client and a server, and makes the way long, or bad.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

namespace sb::tests {

class TcpProxy {
 public:
  enum class Manner : std::uint8_t {
    forwards,  // each way takes `delay` longer
    silent,    // takes connections and what comes over them, and says nothing
    resets     // after `after` bytes from the server, each connection
  };
  // Listens on a free port of 127.0.0.1, on a thread of its own. Aborts when it cannot.
  explicit TcpProxy(int server_port, std::chrono::milliseconds delay = {});
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;
  ~TcpProxy();

  void behave(Manner manner, std::size_t after = 0);  // from the next connection on
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void run(const std::stop_token& stop);

  int server_port_;
  std::chrono::milliseconds delay_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<Manner> manner_ = Manner::forwards;
  std::atomic<std::size_t> after_ = 0;
  std::atomic<int> connections_ = 0;
  std::jthread thread_;
};

}  // namespace sb::tests
