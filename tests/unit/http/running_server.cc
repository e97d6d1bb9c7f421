#include "running_server.h"

#include <cstdlib>
#include <future>

#include <fmt/format.h>
#include <sys/stat.h>

#include "os/unix_socket.h"
#include "support/conversation.h"
#include "support/files.h"
#include "support/wait.h"

namespace sb::tests {

RunningServer::RunningServer(const http::Limits& limits)
    : folder_(temporary_folder()), loop_(std::move(*os::EventLoop::make())) {
  server_ = std::make_unique<http::Server>(*loop_, std::string(kToken), limits);
  add_routes();
  auto tcp = http::listen_loopback("127.0.0.1:0", port_);
  auto local = os::listen_unix(folder_.path() / "http.sock");
  const bool listens = tcp && local && server_->listen(std::move(*tcp), {.port = port_}) &&
                       server_->listen(std::move(*local), {});
  if (!listens) std::abort();
  // Everybody may connect: what keeps others away has to be the server.
  ::chmod(folder_.path().c_str(), 0755);
  ::chmod((folder_.path() / "http.sock").c_str(), 0666);
  thread_ = std::thread([this] { loop_->run(); });
}

RunningServer::~RunningServer() {
  loop_->stop();
  thread_.join();
  stream_.reset();
  waiting_.reset();
  server_.reset();
}

void RunningServer::add_routes() {
  server_->on("GET", "/", [](const http::ExchangePtr& exchange) { exchange->answer({.body = "hello\n"}); });
  server_->on("POST", "/act", [this](const http::ExchangePtr& exchange) {
    ++acts_;
    exchange->answer({.body = exchange->request().body});
  });
  server_->on("POST", "/things/*/act", [](const http::ExchangePtr& exchange) {
    exchange->answer({.body = exchange->request().name});
  });
  server_->on("GET", "/forget", [](const http::ExchangePtr&) {});
  server_->on("GET", "/later", [this](const http::ExchangePtr& exchange) { waiting_ = exchange; });
  server_->on("GET", "/big", [this](const http::ExchangePtr& exchange) {
    ++big_answers_;
    exchange->answer({.body = std::string(8UL << 20U, 'x')});
  });
  server_->on("GET", "/stream", [this](const http::ExchangePtr& exchange) {
    stream_ = exchange;
    exchange->on_gone([this] { ++gone_; });
    exchange->stream({.content_type = "text/event-stream"});
  });
}

std::string RunningServer::tcp() const {
  return fmt::format("127.0.0.1:{}", port_);
}
std::string RunningServer::unix() const {
  return "unix:" + (folder_.path() / "http.sock").string();
}
std::string RunningServer::ask(std::string_view bytes) const {
  return talk(tcp(), bytes);
}
std::string RunningServer::get(const std::string& path, const std::string& lines) const {
  return ask(fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}\r\n", path, tcp(), lines));
}

void RunningServer::on_loop(const std::function<void()>& act) {
  std::promise<void> done;
  loop_->post([&] {
    act();
    done.set_value();
  });
  done.get_future().wait();
}

std::size_t RunningServer::connections() {
  std::size_t count = 0;
  on_loop([&] { count = server_->connections(); });
  return count;
}

void RunningServer::send_to_stream(const std::string& text) {
  wait_until([&] {
    bool there = false;
    on_loop([&] { there = stream_ != nullptr; });
    return there;
  });
  on_loop([&] { stream_->send(text); });
}

void RunningServer::wait_for_waiting() {
  wait_until([&] {
    bool there = false;
    on_loop([&] { there = waiting_ != nullptr; });
    return there;
  });
}

void RunningServer::release() {
  wait_for_waiting();
  on_loop([&] {
    waiting_->answer({.body = "now\n"});
    waiting_.reset();
  });
}

int status_of(std::string_view answer) {
  constexpr std::string_view kStart = "HTTP/1.1 ";
  return answer.starts_with(kStart) ? std::atoi(std::string(answer.substr(kStart.size(), 3)).c_str()) : 0;
}

}  // namespace sb::tests
