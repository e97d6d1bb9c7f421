// JSON-RPC over a real Unix socket: the server on its loop in one thread, peers that behave and peers that do
// not.
#include <array>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/event_loop.h"
#include "os/unix_socket.h"
#include "rpc/client.h"
#include "rpc/server.h"
#include "rpc/wire_error.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::rpc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::chrono_literals;

// A peer that sends what it likes. Reads block: the server must answer or hang up.
class RawPeer {
 public:
  explicit RawPeer(const std::filesystem::path& socket) : fd_(std::move(*os::connect_unix(socket))) {}
  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // the server hung up, which the test looks at
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // The next line, or nothing when the server has hung up.
  std::optional<std::string> line() {
    std::size_t end = 0;
    for (std::size_t searched = 0; (end = buffer_.find('\n', searched)) == std::string::npos;) {
      searched = buffer_.size();
      std::array<char, 65536> bytes{};
      const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
      if (got <= 0) return std::nullopt;
      buffer_.append(bytes.data(), static_cast<std::size_t>(got));
    }
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    return line;
  }
  Json json() {
    const std::optional<std::string> text = line();
    return text ? Json::parse(*text, nullptr, false) : Json("the server hung up");
  }
  int code() { return json().value("/error/code"_json_pointer, 0); }
  void close() { fd_.reset(); }
  void half_close() const { ::shutdown(fd_.get(), SHUT_WR); }
  void tiny_receive_buffer() const {
    const int bytes = 1;
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }

 private:
  UniqueFd fd_;
  std::string buffer_;
};

class Rpc : public testing::Test {
 protected:
  void SetUp() override {
    loop_ = std::move(*os::EventLoop::make());
    Result<std::unique_ptr<Server>> server = Server::listen(*loop_, socket());
    ASSERT_TRUE(server.has_value()) << format_error(server.error());
    server_ = std::move(*server);
    server_->on("echo", [](const Request& request, const Reply& reply) { reply(request.params); });
    server_->on("pid", [](const Request& request, const Reply& reply) { reply(Json(request.peer_pid)); });
    server_->on("fail", [](const Request&, const Reply& reply) {
      Error error = make_error(ErrorKind::conflict, "port 80 is taken", "selfbuild status");
      error.while_doing = {"binding", "starting"};
      error.expected = "nobody";
      error.found = "nginx";
      error.log = "line";
      reply(fail(std::move(error)));
    });
    server_->on("forget", [](const Request&, const Reply&) {});
    server_->on("twice", [](const Request&, const Reply& reply) {
      reply(Json(1));
      reply(Json(2));
    });
    server_->on("big", [](const Request& request, const Reply& reply) {
      reply(Json(std::string(request.params.at("bytes").get<std::size_t>(), 'x')));
    });
    server_->on("later", [this](const Request&, const Reply& reply) {
      timer_ = loop_->after(os::Milliseconds(0), [reply] { reply(Json("now")); });
    });
    server_->on("hold", [this](const Request&, const Reply& reply) { held_.push_back(reply); });
    server_->on("release_last_first", [this](const Request&, const Reply& reply) {
      for (std::size_t i = held_.size(); i > 0; --i) held_[i - 1](Json(i));
      held_.clear();
      reply(Json("released"));
    });
    server_->on_disconnect([this](ConnectionId id) {
      disconnected_.push_back(id);
      if (disconnected_.size() == 1) first_disconnect_.set_value(id);
    });
    thread_ = std::thread([this] { loop_->run(); });
  }
  void TearDown() override {
    loop_->stop();
    if (thread_.joinable()) thread_.join();
    timer_.reset();
    server_.reset();
    held_.clear();
  }
  [[nodiscard]] std::filesystem::path socket() const { return folder_.path() / "conductor.sock"; }
  [[nodiscard]] RawPeer raw() const { return RawPeer(socket()); }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  std::unique_ptr<os::EventLoop> loop_;
  std::unique_ptr<Server> server_;
  os::Watch timer_;                         // the loop's thread only
  std::vector<Reply> held_;                 // the loop's thread only
  std::vector<ConnectionId> disconnected_;  // the loop's thread only
  std::promise<ConnectionId> first_disconnect_;
  std::thread thread_;
};

constexpr std::string_view kEcho = R"({"jsonrpc":"2.0","id":7,"method":"echo","params":{"a":1}})";

TEST_F(Rpc, answers_a_call) {
  ASSERT_OK(Client client, Client::connect(socket()));
  ASSERT_OK(const Json first, client.call("echo", {{"text", "h\u00e4\n"}}));
  EXPECT_EQ(first, (Json{{"text", "h\u00e4\n"}}));
  ASSERT_OK(const Json second, client.call("echo", Json()));
  EXPECT_EQ(second, Json::object());
  ASSERT_OK(const Json pid, client.call("pid", {}));
  EXPECT_EQ(pid, ::getpid());
}

TEST_F(Rpc, carries_an_error_whole) {
  ASSERT_OK(Client client, Client::connect(socket()));
  const Result<Json> result = client.call("fail", {});
  ASSERT_FALSE(result.has_value());
  const Error& error = result.error();
  EXPECT_EQ(error.kind, ErrorKind::conflict);
  EXPECT_EQ(error.what, "port 80 is taken");
  EXPECT_THAT(error.while_doing, ElementsAre("binding", "starting"));
  EXPECT_EQ(error.expected, "nobody");
  EXPECT_EQ(error.found, "nginx");
  EXPECT_EQ(error.log, "line");
  EXPECT_EQ(error.next, "selfbuild status");
}

TEST_F(Rpc, knows_every_kind_by_its_name) {
  int kinds = 0;
  for (int i = 0; i <= static_cast<int>(ErrorKind::bug); ++i, ++kinds) {
    const auto kind = static_cast<ErrorKind>(i);
    EXPECT_EQ(kind_from_string(to_string(kind)), kind) << to_string(kind);
  }
  EXPECT_EQ(kinds, 11);
  EXPECT_EQ(kind_from_string("sunny"), std::nullopt);
}

TEST_F(Rpc, makes_an_error_of_whatever_a_peer_sends_as_one) {
  EXPECT_EQ(error_from_json(Json(3)).kind, ErrorKind::bug);
  EXPECT_THAT(error_from_json({{"message", "no"}}).what, HasSubstr("no"));
  const Error error = error_from_json(
      {{"message", "no"}, {"data", {{"kind", "new"}, {"while_doing", {1, "x"}}, {"next", 5}}}});
  EXPECT_EQ(error.what, "no");
  EXPECT_THAT(error.while_doing, ElementsAre("x"));
}

TEST_F(Rpc, suggests_the_method_that_was_meant) {
  RawPeer peer = raw();
  peer.send("{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"ecko\"}\n");
  const Json answer = peer.json();
  EXPECT_EQ(answer["error"]["code"], kMethodNotFound);
  EXPECT_EQ(answer["id"], "x");
  EXPECT_THAT(answer["error"]["message"].get<std::string>(), HasSubstr("did you mean \"echo\"?"));
  EXPECT_EQ(answer["error"]["data"]["kind"], "usage");
}

TEST_F(Rpc, survives_lines_that_are_not_requests) {
  const std::vector<std::pair<std::string, int>> cases = {
      {"garbage", kParseError},
      {R"({"jsonrpc":"2.0","id":1)", kParseError},
      {"\xff\xfe", kParseError},
      {std::string("\0", 1), kParseError},
      {"[]", kInvalidRequest},
      {fmt::format("[{}]", kEcho), kInvalidRequest},
      {"1", kInvalidRequest},
      {"null", kInvalidRequest},
      {"{}", kInvalidRequest},
      {R"({"id":1,"method":"echo"})", kInvalidRequest},
      {R"({"jsonrpc":2.0,"id":1,"method":"echo"})", kInvalidRequest},
      {R"({"jsonrpc":"2.0","id":{},"method":"echo"})", kInvalidRequest},
      {R"({"jsonrpc":"2.0","id":1,"method":5})", kInvalidRequest},
      {R"({"jsonrpc":"2.0","id":1,"method":"echo","params":5})", kInvalidRequest},
      {R"({"jsonrpc":"2.0","id":null,"method":""})", kMethodNotFound},
  };
  RawPeer peer = raw();
  for (const auto& [line, code] : cases) {
    peer.send(line + "\n");
    EXPECT_EQ(peer.code(), code) << line;
  }
  peer.send(fmt::format("\n \r\n{}\r\n", kEcho));
  EXPECT_EQ(peer.json()["result"], (Json{{"a", 1}}));
}

TEST_F(Rpc, hangs_up_on_deep_nesting) {
  RawPeer peer = raw();
  peer.send(std::string(200'000, '[') + std::string(200'000, ']') + "\n" + std::string(kEcho) + "\n");
  EXPECT_EQ(peer.code(), kInvalidRequest);
  EXPECT_EQ(peer.line(), std::nullopt);
}

TEST_F(Rpc, hangs_up_on_an_endless_line) {
  RawPeer peer = raw();
  peer.send(std::string(kMaxJsonBytes + 1, ' '));
  EXPECT_EQ(peer.code(), kInvalidRequest);
  EXPECT_EQ(peer.line(), std::nullopt);
}

TEST_F(Rpc, takes_the_longest_line_that_is_allowed) {
  RawPeer peer = raw();
  peer.send(std::string(kEcho) + std::string(kMaxJsonBytes - kEcho.size(), ' ') + "\n");
  EXPECT_EQ(peer.json()["id"], 7);
}

TEST_F(Rpc, answers_two_requests_of_one_write_and_one_in_many) {
  RawPeer peer = raw();
  peer.send(fmt::format("{}\n{}\n", kEcho, kEcho));
  EXPECT_EQ(peer.json()["id"], 7);
  EXPECT_EQ(peer.json()["id"], 7);
  for (const char byte : kEcho) peer.send(std::string_view(&byte, 1));
  peer.send("\n");
  EXPECT_EQ(peer.json()["id"], 7);
}

TEST_F(Rpc, answers_what_arrived_before_a_half_close) {
  RawPeer peer = raw();
  peer.send(fmt::format("{}\n", kEcho));
  peer.half_close();
  EXPECT_EQ(peer.json()["id"], 7);
  EXPECT_EQ(peer.line(), std::nullopt);
}

TEST_F(Rpc, ends_a_connection_that_closed_in_the_middle_of_a_line) {
  RawPeer peer = raw();
  peer.send(kEcho.substr(0, 20));
  peer.close();
  EXPECT_EQ(first_disconnect_.get_future().get(), 1U);
}

TEST_F(Rpc, sends_later_answers_in_any_order) {
  RawPeer peer = raw();
  for (const int id : {1, 2, 3})
    peer.send(fmt::format("{{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"hold\"}}\n", id));
  peer.send("{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"release_last_first\"}\n");
  std::vector<int> ids(4);
  for (int& id : ids) id = peer.json()["id"].get<int>();
  EXPECT_THAT(ids, ElementsAre(3, 2, 1, 4));
}

TEST_F(Rpc, ignores_an_answer_after_the_peer_has_gone) {
  RawPeer peer = raw();
  peer.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hold\"}\n");
  peer.send(fmt::format("{}\n", kEcho));
  EXPECT_EQ(peer.json()["id"], 7) << "so the held request has arrived, too";
  peer.close();
  first_disconnect_.get_future().wait();
  ASSERT_OK(Client client, Client::connect(socket()));
  ASSERT_OK(const Json answer, client.call("release_last_first", {}));
  EXPECT_EQ(answer, "released");
}

TEST_F(Rpc, survives_answering_a_peer_that_closes_without_reading) {
  for (int i = 0; i < 10; ++i) {
    RawPeer peer = raw();
    for (int j = 0; j < 5; ++j)
      peer.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\",\"params\":{\"bytes\":100000}}\n");
    peer.close();
  }
  ASSERT_OK(Client client, Client::connect(socket()));
  ASSERT_GOOD(client.call("echo", {}));
}

TEST_F(Rpc, answers_only_once) {
  RawPeer peer = raw();
  peer.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"twice\"}\n");
  EXPECT_EQ(peer.json()["result"], 1);
  peer.send(fmt::format("{}\n", kEcho));
  EXPECT_EQ(peer.json()["id"], 7);
}

TEST_F(Rpc, tells_the_peer_when_a_method_forgets_to_answer) {
  ASSERT_OK(Client client, Client::connect(socket()));
  EXPECT_ERROR(ErrorKind::bug, client.call("forget", {}));
}

TEST_F(Rpc, says_nothing_to_notifications) {
  RawPeer peer = raw();
  peer.send("{\"jsonrpc\":\"2.0\",\"method\":\"fail\"}\n{\"jsonrpc\":\"2.0\",\"method\":\"no such\"}\n");
  peer.send("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"echo\"}\n");
  const Json answer = peer.json();
  EXPECT_TRUE(answer.contains("result")) << answer;
  EXPECT_TRUE(answer["id"].is_null());
}

TEST_F(Rpc, turns_an_answer_that_is_too_long_into_an_error) {
  ASSERT_OK(Client client, Client::connect(socket()));
  EXPECT_ERROR(ErrorKind::refused, client.call("big", {{"bytes", kMaxJsonBytes}}));
  ASSERT_OK(const Json most, client.call("big", {{"bytes", kMaxJsonBytes - 100}}));
  EXPECT_EQ(most.get<std::string>().size(), kMaxJsonBytes - 100);
}

TEST_F(Rpc, refuses_to_send_a_request_that_is_too_long) {
  ASSERT_OK(Client client, Client::connect(socket()));
  EXPECT_ERROR(ErrorKind::refused, client.call("echo", {{"x", std::string(kMaxJsonBytes, 'x')}}));
  ASSERT_GOOD(client.call("echo", {}));
}

TEST_F(Rpc, drops_a_peer_that_never_reads) {
  RawPeer peer = raw();
  peer.tiny_receive_buffer();
  // 17 answers of 4 MB are more than 64 MiB.
  for (int i = 0; i < 17; ++i)
    peer.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\",\"params\":{\"bytes\":4000000}}\n");
  EXPECT_EQ(first_disconnect_.get_future().get(), 1U);
  ASSERT_OK(Client client, Client::connect(socket()));
  ASSERT_GOOD(client.call("echo", {}));
}

TEST_F(Rpc, keeps_a_slow_peer_that_does_read) {
  RawPeer peer = raw();
  for (int i = 0; i < 3; ++i)
    peer.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\",\"params\":{\"bytes\":4000000}}\n");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(peer.json()["result"].get<std::string>().size(), 4'000'000U);
}

TEST_F(Rpc, is_open_to_its_owner_only) {
  struct stat status{};
  ASSERT_EQ(::stat(socket().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(Rpc, turns_away_a_peer_with_another_uid) {
  if (::geteuid() != 0) {
    // Only root can take another uid. What keeps others out here is the mode, and that the owner gets in.
    struct stat status{};
    ASSERT_EQ(::stat(socket().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_EQ(status.st_uid, ::geteuid());
    return;
  }
  // Even when the file system would let it.
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(socket().c_str(), 0666), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(10);
    const Result<UniqueFd> fd = os::connect_unix(socket());
    if (!fd) ::_exit(11);
    (void)::send(fd->get(), kEcho.data(), kEcho.size(), MSG_NOSIGNAL);
    (void)::send(fd->get(), "\n", 1, MSG_NOSIGNAL);
    char byte = '\0';
    ::_exit(::recv(fd->get(), &byte, 1, 0) <= 0 ? 0 : 12);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "10: no other uid, 11: could not connect, 12: was answered";
}

TEST_F(Rpc, gives_up_waiting_at_the_timeout) {
  ASSERT_OK(Client client, Client::connect(socket()));
  const Result<Json> result = client.call("hold", {}, 10ms);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, ErrorKind::interrupted);
  EXPECT_THAT(result.error().what, HasSubstr("in time"));
}

TEST_F(Rpc, says_that_the_conductor_went_away_during_a_call) {
  ASSERT_OK(Client client, Client::connect(socket()));
  ASSERT_GOOD(client.call("echo", {}));
  loop_->post([this] { loop_->stop(); });
  thread_.join();
  server_.reset();
  EXPECT_ERROR(ErrorKind::interrupted, client.call("echo", {}));
}

TEST_F(Rpc, says_that_nobody_listens) {
  EXPECT_ERROR(ErrorKind::environment, Client::connect(folder_.path() / "none.sock"));
}

TEST_F(Rpc, waits_for_descriptors_instead_of_spinning) {
  {
    // The undefined behaviour sanitizer opens a pipe where it meets a type for the first time: not in the
    // pause.
    ASSERT_OK(Client client, Client::connect(socket()));
    ASSERT_OK(const Json answer, client.call("later", Json::object()));
    ASSERT_EQ(answer, Json("now"));
  }
  rlimit was{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &was), 0);
  RawPeer waiting = raw();
  waiting.send(fmt::format("{}\n", kEcho));
  EXPECT_EQ(waiting.json()["id"], 7);
  // From here on accept() has no descriptor to give; connect() below needs one, so it is made before.
  const UniqueFd late(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int lowest_free = ::dup(0);
  ::close(lowest_free);
  rlimit none = was;
  none.rlim_cur = static_cast<rlim_t>(lowest_free);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket().string().copy(address.sun_path, sizeof address.sun_path - 1);
  const int connected = ::connect(late.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  waiting.send(fmt::format("{}\n", kEcho));
  const Json still = waiting.json();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &was), 0);
  ASSERT_EQ(connected, 0);
  EXPECT_EQ(still["id"], 7) << "others are served meanwhile";
  (void)::send(late.get(), kEcho.data(), kEcho.size(), MSG_NOSIGNAL);
  (void)::send(late.get(), "\n", 1, MSG_NOSIGNAL);
  char byte = '\0';
  EXPECT_EQ(::recv(late.get(), &byte, 1, 0), 1) << "and it is let in when there is room";
}

}  // namespace
}  // namespace sb::rpc
