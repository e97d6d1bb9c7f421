// The server with clients that behave, and with slow, many and wrong ones.
#include "http/server.h"

#include <csignal>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "running_server.h"
#include "support/conversation.h"
#include "support/wait.h"

namespace sb::http {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using tests::RunningServer;
using tests::status_of;

std::string request(const RunningServer& server, const std::string& line, const std::string& fields = "") {
  return fmt::format("{} HTTP/1.1\r\nHost: {}\r\n{}\r\n", line, server.tcp(), fields);
}

const std::string kClose = "Connection: close\r\n";
const std::string kAuthorized = fmt::format("Authorization: Bearer {}\r\n", tests::kToken);

TEST(HttpServer, answers_on_the_loopback_and_on_a_unix_socket) {
  const RunningServer server;
  EXPECT_THAT(server.get("/"), AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                                     HasSubstr("\r\nContent-Length: 6\r\n"), EndsWith("\r\n\r\nhello\n")));
  EXPECT_THAT(tests::talk(server.unix(), "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
              EndsWith("hello\n"));
  EXPECT_THAT(server.ask(request(server, "HEAD /", kClose)),
              AllOf(HasSubstr("\r\nContent-Length: 6\r\n"), EndsWith("\r\n\r\n")));
}

TEST(HttpServer, answers_pipelined_requests_in_their_order_and_however_their_bytes_come) {
  const RunningServer server;
  const std::string three = request(server, "POST /act", kAuthorized + "Content-Length: 3\r\n") + "one" +
                            request(server, "GET /") +
                            request(server, "POST /things/three/act", kAuthorized + kClose);
  const auto expect_three = [](const std::string& answer) {
    const std::size_t one = answer.find("\r\n\r\none");
    const std::size_t two = answer.find("\r\n\r\nhello");
    EXPECT_TRUE(one < two && two < answer.find("\r\n\r\nthree")) << answer;
    EXPECT_THAT(answer, EndsWith("three"));
  };
  expect_three(server.ask(three));
  const UniqueFd piecemeal = tests::connect_to(server.tcp());
  for (const char c : three) tests::say(piecemeal, std::string_view(&c, 1));
  expect_three(tests::hear(piecemeal));
}

TEST(HttpServer, ends_the_connection_of_HTTP_1_0_after_one_answer) {
  const RunningServer server;
  const std::string old = fmt::format("GET / HTTP/1.0\r\nHost: {}\r\n\r\n", server.tcp());
  EXPECT_THAT(server.ask(old + old), AllOf(EndsWith("hello\n"), HasSubstr("\r\nConnection: close\r\n")));
}

TEST(HttpServer, answers_a_client_that_has_ended_its_sending) {
  const RunningServer server;
  const UniqueFd client = tests::connect_to(server.tcp());
  tests::say(client, request(server, "GET /") + request(server, "GET /"));
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_THAT(tests::hear(client), EndsWith("hello\n"));
}

TEST(HttpServer, asks_for_a_body_that_waits_to_be_asked_for) {
  const RunningServer server;
  const UniqueFd client = tests::connect_to(server.tcp());
  tests::say(client, request(server, "POST /act",
                             kAuthorized + kClose + "Content-Length: 5\r\nExpect: 100-continue\r\n"));
  std::string asked(25, '\0');
  ASSERT_EQ(::recv(client.get(), asked.data(), asked.size(), MSG_WAITALL), 25);
  EXPECT_EQ(asked, "HTTP/1.1 100 Continue\r\n\r\n");
  tests::say(client, "hello");
  EXPECT_THAT(tests::hear(client), EndsWith("hello"));
}

TEST(HttpServer, answers_later_and_says_so_when_a_handler_forgets) {
  RunningServer server;
  const UniqueFd client = tests::connect_to(server.tcp());
  tests::say(client, request(server, "GET /later", kClose));
  server.release();
  EXPECT_THAT(tests::hear(client), EndsWith("now\n"));
  EXPECT_EQ(status_of(server.get("/forget")), 500);
}

// -- who may ask ------------------------------------------------------------------------------------------

TEST(HttpServer, lets_nobody_but_its_own_user_in_by_the_unix_socket) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const RunningServer server;
  const std::string address = server.unix();
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setuid(65534) != 0) ::_exit(3);
    const UniqueFd fd = tests::connect_to(address);
    if (!fd) ::_exit(4);
    const std::string_view bytes = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    (void)!::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ::_exit(tests::hear(fd).empty() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(HttpServer, lets_a_change_through_only_with_the_token) {
  const RunningServer server;
  EXPECT_EQ(status_of(server.ask(request(server, "POST /act", kClose))), 401);
  EXPECT_EQ(status_of(server.ask(request(server, "POST /act", kClose + "Authorization: Bearer x\r\n"))), 403);
  const std::string almost(tests::kToken.substr(1));
  EXPECT_EQ(status_of(server.ask(
                request(server, "POST /act", kClose + "Authorization: Bearer " + almost + "\r\n"))),
            403);
  EXPECT_EQ(status_of(server.ask(request(server, "POST /act", kClose + kAuthorized + kAuthorized))), 401);
  EXPECT_EQ(status_of(tests::talk(server.unix(),
                                  "POST /act HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")),
            401);
  EXPECT_EQ(server.acts(), 0);
  EXPECT_EQ(status_of(server.ask(request(server, "POST /act", kClose + kAuthorized))), 200);
  EXPECT_EQ(server.acts(), 1);
}

TEST(HttpServer, serves_only_who_names_it_as_Host) {
  const RunningServer server;
  const std::string port = server.tcp().substr(server.tcp().find(':'));
  const auto status = [&](const std::string& host) {
    return status_of(
        server.ask(fmt::format("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host)));
  };
  EXPECT_EQ(status("rebound.example" + port), 421);
  EXPECT_EQ(status("localhost" + port), 200);
  EXPECT_EQ(status("LocalHost" + port), 200);
  EXPECT_EQ(status("[::1]" + port), 200);
}

TEST(HttpServer, serves_no_page_that_came_from_elsewhere) {
  const RunningServer server;
  EXPECT_EQ(status_of(server.get("/", "Origin: http://evil.example\r\n")), 403);
  EXPECT_EQ(status_of(server.get("/", "Origin: http://" + server.tcp() + "\r\n")), 200);
  EXPECT_EQ(status_of(server.get("/", "Sec-Fetch-Site: cross-site\r\n")), 403);
  EXPECT_EQ(status_of(server.get("/", "Sec-Fetch-Site: same-origin\r\n")), 200);
  EXPECT_EQ(status_of(server.ask(request(server, "POST /act", kClose + kAuthorized + "Origin: null\r\n"))),
            403);
  EXPECT_EQ(server.acts(), 0);
}

// -- slow and many ----------------------------------------------------------------------------------------

TEST(HttpServer, gives_up_a_request_that_does_not_come_to_its_end) {
  const RunningServer server({.request = os::Milliseconds(20)});
  EXPECT_EQ(status_of(server.ask("GET / HT")), 408);
  EXPECT_EQ(
      status_of(server.ask(request(server, "POST /act", kAuthorized + "Content-Length: 9\r\n") + "slow")),
      408);
}

TEST(HttpServer, gives_up_who_says_nothing_and_who_reads_nothing) {
  RunningServer server({.idle = os::Milliseconds(20), .stalled = os::Milliseconds(20)});
  EXPECT_EQ(server.ask(""), "");
  const UniqueFd deaf = tests::connect_to(server.tcp());
  tests::say(deaf, request(server, "GET /big"));
  tests::wait_until([&] { return server.big_answers() == 1 && server.connections() == 0; });
  EXPECT_EQ(server.connections(), 0U);
}

TEST(HttpServer, gives_up_the_slowest_when_there_are_too_many_and_refuses_when_all_are_served) {
  RunningServer server({.connections = 2});
  const UniqueFd silent = tests::connect_to(server.tcp());
  const UniqueFd served = tests::connect_to(server.tcp());
  tests::say(served, request(server, "GET /stream"));
  server.send_to_stream("data: 1\n\n");
  EXPECT_EQ(status_of(server.get("/")), 200);
  EXPECT_EQ(tests::hear(silent), "");
  const UniqueFd also_served = tests::connect_to(server.tcp());
  tests::say(also_served, request(server, "GET /later"));
  server.wait_for_waiting();
  EXPECT_EQ(status_of(server.get("/")), 503);
  server.release();
}

TEST(HttpServer, streams_until_the_reader_leaves_or_reads_too_slowly) {
  RunningServer server({.unsent = 64UL * 1024});
  UniqueFd reader = tests::connect_to(server.tcp());
  tests::say(reader, request(server, "GET /stream"));
  server.send_to_stream("data: hello\n\n");
  std::string text(4096, '\0');
  std::string heard;
  while (heard.find("data: hello") == std::string::npos) {
    const ssize_t got = ::recv(reader.get(), text.data(), text.size(), 0);
    ASSERT_GT(got, 0);
    heard.append(text.data(), static_cast<std::size_t>(got));
  }
  EXPECT_THAT(heard,
              AllOf(HasSubstr("Content-Type: text/event-stream\r\n"), Not(HasSubstr("Content-Length"))));
  reader.reset();
  tests::wait_until([&] { return server.gone() == 1; });
  const UniqueFd deaf = tests::connect_to(server.tcp());
  tests::say(deaf, request(server, "GET /stream"));
  while (server.gone() == 1) server.send_to_stream(std::string(16UL * 1024, 'x'));
  EXPECT_EQ(server.gone(), 2);
}

TEST(HttpServer, listens_nowhere_but_on_the_loopback) {
  int port = 0;
  for (const char* address :
       {"0.0.0.0:0", "192.0.2.1:80", ":80", "80", "[::]:0", "localhost", "127.0.0.1:x", "127.0.0.1:65536"}) {
    const Result<UniqueFd> socket = listen_loopback(address, port);
    ASSERT_FALSE(socket.has_value()) << address;
    EXPECT_EQ(socket.error().kind, ErrorKind::usage) << address;
  }
  const Result<UniqueFd> first = listen_loopback("127.0.0.1:0", port);
  ASSERT_TRUE(first.has_value());
  const Result<UniqueFd> second = listen_loopback(fmt::format("127.0.0.1:{}", port), port);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind, ErrorKind::conflict);
}

}  // namespace
}  // namespace sb::http
