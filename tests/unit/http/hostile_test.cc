// Requests that are wrong, ambiguous or meant to harm, byte by byte over a real socket: each is refused with
// the right status or hung up on, nothing that follows it on the connection is understood as a request, and
// the server goes on, no larger than before.
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "running_server.h"
#include "support/conversation.h"
#include "support/wait.h"

namespace sb::http {
namespace {

constexpr std::size_t kAtLeast = 100;
constexpr int kHangUp = 0;

struct Hostile {
  std::string bytes;
  int status;  // kHangUp: no answer
};

// What would be served if whatever stands before it were taken for a whole request.
constexpr std::string_view kSmuggled = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

class HostileRequests : public testing::Test {
 protected:
  // A good request but for what the cases add.
  [[nodiscard]] std::string head(const std::string& line, const std::string& fields = "") const {
    return fmt::format("{} HTTP/1.1\r\nHost: {}\r\n{}", line, server_.tcp(), fields);
  }
  [[nodiscard]] std::string post(const std::string& fields, const std::string& rest = "") const {
    return head("POST /act", fmt::format("Authorization: Bearer {}\r\n{}", tests::kToken, fields)) + "\r\n" +
           rest;
  }
  [[nodiscard]] std::vector<Hostile> request_lines() const;
  [[nodiscard]] std::vector<Hostile> fields() const;
  [[nodiscard]] std::vector<Hostile> lengths() const;
  [[nodiscard]] std::vector<Hostile> places() const;

  tests::RunningServer server_;
};

std::vector<Hostile> HostileRequests::request_lines() const {
  const std::string host = fmt::format("Host: {}\r\n\r\n", server_.tcp());
  std::vector<Hostile> cases{
      {"\r\n", kHangUp},
      {"\n", kHangUp},
      {"\r\n\r\n", kHangUp},
      {"   ", kHangUp},
      {std::string("\0", 1), kHangUp},
      {std::string("\x16\x03\x01\x02\0\x01", 6), kHangUp},  // TLS
      {"SSH-2.0-OpenSSH_9.2\r\n", kHangUp},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", kHangUp},
      {"\x80\x80\x80", kHangUp},
      {" GET / HTTP/1.1\r\n" + host, kHangUp},
      {"\tGET / HTTP/1.1\r\n" + host, kHangUp},
      {"get / HTTP/1.1\r\n" + host, kHangUp},
      {"GET\t/ HTTP/1.1\r\n" + host, kHangUp},
      {"GET /\tHTTP/1.1\r\n" + host, kHangUp},
      {"GET / HTTP/1.1\n" + host, kHangUp},
      {"GET / HTTP/1.1\r" + host, kHangUp},
      {"GET / HTTP/1.1\r\r\n" + host, kHangUp},
      {"GET /\r HTTP/1.1\r\n" + host, kHangUp},
      {std::string("GET /\0 HTTP/1.1\r\n", 17) + host, kHangUp},
      {"GET /\x01 HTTP/1.1\r\n" + host, kHangUp},
      {"GET /\x7f HTTP/1.1\r\n" + host, kHangUp},
      {"GET /\xc3\xa4 HTTP/1.1\r\n" + host, kHangUp},
      {"GET /\r\n" + host, kHangUp},  // HTTP/0.9
      {"GET HTTP/1.1\r\n" + host, kHangUp},
      {"GET  HTTP/1.1\r\n" + host, kHangUp},
      {"GET / HTTP/1.1 \r\n" + host, kHangUp},
      {"GET / HTTP/1.2\r\n" + host, kHangUp},
      {"GET / HTTP/2.0\r\n" + host, kHangUp},
      {"GET / HTTP/0.9\r\n" + host, kHangUp},
      {"GET / HTTP/11\r\n" + host, kHangUp},
      {"GET / HTTP/1.10\r\n" + host, kHangUp},
      {"GET / http/1.1\r\n" + host, kHangUp},
      {"GET / XHTTP/1.1\r\n" + host, kHangUp},
      {"G:ET / HTTP/1.1\r\n" + host, kHangUp},
      {"GET\v/ HTTP/1.1\r\n" + host, kHangUp},
      {"ABSURDLYLONGMETHODS / HTTP/1.1\r\n" + host, kHangUp},
      {"GET /a b HTTP/1.1\r\n" + host, 400},
      {"GET  / HTTP/1.1\r\n" + host, 400},
      {"GET /" + std::string(RequestHead::kMaxRequestLine, 'a') + " HTTP/1.1\r\n" + host, 414},
      {"GET / HTTP/1.0\r\n\r\n" + std::string(kSmuggled), 421},  // without a Host
  };
  for (const char* target :
       {"*", "a", "?x", "//evil/", "http://localhost/", "HTTP://localhost/", "localhost:80", "/#a", "/%",
        "/%4", "/%zz", "/a%", "/<b>", "/\"", "/\\..\\", "/{a}", "/a|b", "/a^b", "/`"}) {
    cases.push_back({fmt::format("GET {} HTTP/1.1\r\n{}", target, host), 400});
  }
  for (const char* target :
       {"/nothing", "/../../etc/passwd", "/%2e%2e/", "/./", "/%00", "/things//act", "/things/a/b/act"}) {
    cases.push_back({fmt::format("GET {} HTTP/1.1\r\nConnection: close\r\n{}", target, host), 404});
  }
  for (const char* method : {"BREW", "M-SEARCH", "LINK", "A", "GETGET", "PROPFIND"}) {
    cases.push_back({fmt::format("{} / HTTP/1.1\r\nConnection: close\r\n{}", method, host), 501});
  }
  for (const char* method : {"PUT", "DELETE", "TRACE", "PATCH", "POST", "OPTIONS"}) {
    cases.push_back({fmt::format("{} / HTTP/1.1\r\nConnection: close\r\n{}", method, host), 405});
  }
  cases.push_back({"CONNECT localhost:80 HTTP/1.1\r\n" + host, 400});
  cases.push_back({"OPTIONS * HTTP/1.1\r\nConnection: close\r\n" + host, 404});
  return cases;
}

std::vector<Hostile> HostileRequests::fields() const {
  std::vector<Hostile> cases{
      {head("GET /", "\n"), 400},
      {head("GET /", "A: b\n\r\n"), 400},
      {head("GET /", "A: b\rC: d\r\n\r\n"), 400},
      {head("GET /", "A: b\r\r\n\r\n"), 400},
      {head("GET /", "A : b\r\n\r\n"), 400},
      {head("GET /", "A\t: b\r\n\r\n"), 400},
      {head("GET /", ": b\r\n\r\n"), 400},
      {head("GET /", "A\r\n\r\n"), 400},
      {head("GET /", "A b: c\r\n\r\n"), 400},
      {head("GET /", " A: b\r\n\r\n"), 400},
      {head("GET /", "A: b\r\n c\r\n\r\n"), 400},
      {head("GET /", "A: b\r\n\tc\r\n\r\n"), 400},
      {head("GET /", "A: b\r\n \r\n\r\n"), 400},
      {head("GET /", "A: \x01\r\n\r\n"), 400},
      {head("GET /", "A: \x7f\r\n\r\n"), 400},
      {head("GET /", "A: \x1b[2J\r\n\r\n"), 400},
      {head("GET /", std::string("A: \0b\r\n\r\n", 9)), 400},
      {head("GET /", std::string("A\0: b\r\n\r\n", 9)), 400},
      {head("GET /", "\xc3\xa4: b\r\n\r\n"), 400},
      {head("GET /", "(A): b\r\n\r\n"), 400},
      {head("GET /", "A\"B: c\r\n\r\n"), 400},
      {head("GET /", "A: " + std::string(RequestHead::kMaxBytes, 'a') + "\r\n\r\n"), 431},
      {head("GET /", std::string(RequestHead::kMaxBytes, 'a')), 431},
      {head("GET /", "Expect: the-impossible\r\n\r\n"), 417},
  };
  std::string flood;
  for (std::size_t i = 0; i <= RequestHead::kMaxFields; ++i) flood += "A: b\r\n";
  cases.push_back({head("GET /", flood + "\r\n"), 431});
  return cases;
}

std::vector<Hostile> HostileRequests::lengths() const {
  std::vector<Hostile> cases;
  for (const char* length :
       {"", "-1", "+1", "0x10", "1e2", "1 1", "1,1", "1;", "one", "00000000000000000000", "\"1\"", "1.0",
        "18446744073709551616", "99999999999999999999999999", "\xd9\xa1"}) {
    cases.push_back({post(fmt::format("Content-Length: {}\r\n", length), std::string(kSmuggled)), 400});
  }
  const std::string chunked = "0\r\n\r\n" + std::string(kSmuggled);
  const std::vector<Hostile> more{
      {post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400},
      {post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello" + std::string(kSmuggled)), 400},
      {post("Content-Length: 5\r\ncontent-length: 0\r\n", "hello"), 400},
      {post("Content-Length: 5, 5\r\n", "hello"), 400},
      {post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunked), 400},
      {post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunked), 400},
      {post("Transfer-Encoding: chunked\r\nContent-Length: \r\n", chunked), 400},
      {post("Transfer-Encoding: chunked\r\n", chunked), 411},
      {post("Transfer-Encoding: Chunked\r\n", chunked), 411},
      {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunked), 501},
      {post("Transfer-Encoding: identity\r\n", chunked), 501},
      {post("Transfer-Encoding: gzip, chunked\r\n", chunked), 501},
      {post("Transfer-Encoding: chunked, chunked\r\n", chunked), 501},
      {post("Transfer-Encoding: xchunked\r\n", chunked), 501},
      {post("Transfer-Encoding: chunked;a=b\r\n", chunked), 501},
      {post("Transfer-Encoding: \"chunked\"\r\n", chunked), 501},
      {post("Transfer-Encoding:\r\n", chunked), 501},
      {post("Transfer-Encoding: \vchunked\r\n", chunked), 400},
      {post("Transfer-Encoding : chunked\r\n", chunked), 400},
      {post("Transfer-Encoding\r\n: chunked\r\n", chunked), 400},
      {post("Content-Length: 65537\r\n", "hello"), 413},
      {post("Content-Length: 999999999999999999\r\n"), 413},
      {fmt::format("POST /act HTTP/1.0\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n{}", server_.tcp(),
                   chunked),
       400},
  };
  cases.insert(cases.end(), more.begin(), more.end());
  return cases;
}

std::vector<Hostile> HostileRequests::places() const {
  std::vector<Hostile> cases{
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nConnection: close\r\nHost:\r\n\r\n", 421},
      {head("GET /", "Host: " + server_.tcp() + "\r\n\r\n"), 400},
      {head("GET /", "HOST: evil.example\r\n\r\n"), 400},
      {fmt::format("POST /act HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server_.tcp()), 401},
      {head("POST /act", "Authorization: Bearer\r\nConnection: close\r\n\r\n"), 401},
      {head("POST /act", "Authorization: Bearer wrong\r\nConnection: close\r\n\r\n"), 403},
      {head("POST /act", "Authorization: Basic YTpi\r\nConnection: close\r\n\r\n"), 401},
  };
  for (const char* host :
       {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "localhost:1", "127.0.0.1",
        "127.0.0.2", "0.0.0.0", "[::]", "localhost:", "localhost:http", "a@localhost", "localhost/", "127.1",
        "2130706433", "[::1", "::1", "localhost localhost", "LOCALHOST.", "null"}) {
    cases.push_back({fmt::format("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host), 421});
  }
  for (const char* origin : {"http://evil.example", "null", "https://localhost", "http://localhost:1",
                             "localhost", "", "http://localhost.evil.example", "http://127.0.0.1"}) {
    cases.push_back({head("GET /", fmt::format("Origin: {}\r\nConnection: close\r\n\r\n", origin)), 403});
  }
  cases.push_back({head("GET /", "Sec-Fetch-Site: cross-site\r\nConnection: close\r\n\r\n"), 403});
  cases.push_back({head("GET /", "Sec-Fetch-Site: same-site\r\nConnection: close\r\n\r\n"), 403});
  return cases;
}

// The allocators of the sanitizers keep what is given back.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kKeepsMemory = true;
#else
constexpr bool kKeepsMemory = false;
#endif
#else
constexpr bool kKeepsMemory = false;
#endif

long resident_pages() {
  std::ifstream file("/proc/self/statm");
  long size = 0;
  long resident = 0;
  file >> size >> resident;
  return resident;
}

std::size_t answers_in(const std::string& text) {
  std::size_t count = 0;
  for (std::size_t at = text.find("HTTP/1.1 "); at != std::string::npos; at = text.find("HTTP/1.1 ", at + 1))
    ++count;
  return count;
}

TEST_F(HostileRequests, are_answered_once_with_the_right_status_or_hung_up_on) {
  std::vector<Hostile> all;
  for (std::vector<Hostile> some : {request_lines(), fields(), lengths(), places()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  std::size_t sent = 0;
  for (const Hostile& one : all) {
    const std::string answer = server_.ask(one.bytes);
    EXPECT_EQ(tests::status_of(answer), one.status) << one.bytes.substr(0, 200) << "\n---\n" << answer;
    EXPECT_LE(answers_in(answer), 1U) << one.bytes.substr(0, 200) << "\n---\n" << answer;
    ++sent;
  }
  // The gate: a suite that has lost its cases proves nothing.
  EXPECT_GE(sent, kAtLeast);
  RecordProperty("requests", static_cast<int>(sent));
  EXPECT_EQ(server_.acts(), 0);
  EXPECT_EQ(tests::status_of(server_.get("/")), 200);
  tests::wait_until([&] { return server_.connections() == 0; });
}

TEST_F(HostileRequests, leave_the_server_as_small_as_it_was) {
  std::vector<Hostile> all = lengths();
  for (const Hostile& one : fields()) all.push_back(one);
  const auto send_all = [&](int times) {
    for (int i = 0; i < times; ++i) {
      for (const Hostile& one : all) (void)server_.ask(one.bytes);
    }
  };
  send_all(5);  // what it has once it is warm
  const long before = resident_pages();
  send_all(20);
  const long grown = (resident_pages() - before) * ::sysconf(_SC_PAGESIZE);
  EXPECT_LT(grown, (kKeepsMemory ? 64L : 4L) << 20U);
  tests::wait_until([&] { return server_.connections() == 0; });
}

}  // namespace
}  // namespace sb::http
