// The head of a request, however its bytes come and whatever they are.
#include "http/request_head.h"

#include <vector>

#include <gtest/gtest.h>

namespace sb::http {
namespace {

using State = RequestHead::State;

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

TEST(RequestHead, is_complete_with_its_empty_line_however_its_bytes_come) {
  RequestHead at_once;
  EXPECT_EQ(at_once.take(kRequest), State::complete);
  RequestHead piecemeal;
  for (std::size_t i = 0; i + 1 < kRequest.size(); ++i) {
    ASSERT_EQ(piecemeal.take(kRequest.substr(i, 1)), State::incomplete) << i;
  }
  EXPECT_EQ(piecemeal.take("\n"), State::complete);
  EXPECT_EQ(piecemeal.method(), "GET");
  EXPECT_EQ(piecemeal.target(), "/");
}

struct Refused {
  std::string bytes;
  State state;
};

TEST(RequestHead, takes_nothing_but_HTTP_by_the_book) {
  const std::string line = "GET / HTTP/1.1\r\n";
  const std::vector<Refused> cases{
      {"SSH-2.0-OpenSSH_9.2\r\n", State::not_http},
      {"\x16\x03\x01\x02", State::not_http},  // TLS
      {"\r\n", State::not_http},
      {" GET / HTTP/1.1\r\n", State::not_http},
      {"get / HTTP/1.1\r\n", State::not_http},
      {"GET\t/ HTTP/1.1\r\n", State::not_http},
      {"GET /\r\n", State::not_http},
      {"GET / HTTP/1.2\r\n", State::not_http},
      {"GET / HTTP/2.0\r\n", State::not_http},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", State::not_http},
      {"GET / http/1.1\r\n", State::not_http},
      {"GET  HTTP/1.1\r\n", State::not_http},
      {"GET / HTTP/1.1\n", State::not_http},
      {"GET /\r HTTP/1.1\r\n", State::not_http},
      {"GET /\x01 HTTP/1.1\r\n", State::not_http},
      {"GET /\x80 HTTP/1.1\r\n", State::not_http},
      {std::string("GET /\0 HTTP/1.1\r\n", 17), State::not_http},
      {"ABSURDLYLONGMETHODS / HTTP/1.1\r\n", State::not_http},
      {"GET " + std::string(RequestHead::kMaxBytes, 'a'), State::too_long},
      {"GET /a b HTTP/1.1\r\n", State::malformed},
      {line + "Host: x\n\n", State::malformed},
      {line + "Host: x\rY: z\r\n", State::malformed},
      {line + "Host : x\r\n", State::malformed},
      {line + ": x\r\n", State::malformed},
      {line + "Host\r\n", State::malformed},
      {line + " Host: x\r\n", State::malformed},
      {line + "Host: x\r\n folded\r\n", State::malformed},
      {line + "Host: \x01\r\n", State::malformed},
      {line + std::string("Host: \0\r\n", 9), State::malformed},
      {line + "H\x80st: x\r\n", State::malformed},
      {line + "\r\n", State::malformed},                        // no Host
      {line + "Host: x\r\nHost: y\r\n\r\n", State::malformed},  // two
      {line + "Host: " + std::string(RequestHead::kMaxBytes, 'a'), State::too_large},
      {line + "Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n",
       State::complete},  // the first is answered, and the connection ends
      {"M-SEARCH * HTTP/1.1\r\nHost: x\r\n\r\n", State::complete},
  };
  for (const Refused& one : cases) {
    RequestHead head;
    EXPECT_EQ(head.take(one.bytes), one.state) << one.bytes.substr(0, 200);
  }
}

TEST(RequestHead, takes_no_byte_of_what_follows) {
  RequestHead head;
  std::size_t used = 0;
  EXPECT_EQ(head.take(std::string(kRequest) + "GET", used), State::complete);
  EXPECT_EQ(used, kRequest.size());
}

TEST(RequestHead, keeps_fields_in_lower_case_and_without_the_blanks_around) {
  RequestHead head;
  ASSERT_EQ(head.take("GET /a?b HTTP/1.0\r\nX-Thing: \t two  words \r\nEMPTY:\r\n\r\n"), State::complete);
  EXPECT_EQ(*field(head.fields(), "x-thing"), "two  words");
  EXPECT_EQ(*field(head.fields(), "empty"), "");
  EXPECT_EQ(field(head.fields(), "host"), nullptr);
  EXPECT_FALSE(head.is_1_1());
}

}  // namespace
}  // namespace sb::http
