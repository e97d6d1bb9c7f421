// What a complete head asks for, and the bytes of an answer (RFC 9110, RFC 9112).
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "http/request_head.h"

namespace sb::http {

struct Refusal {
  int status = 400;
  std::string why;  // one line
};

// How the message goes on after its head.
struct Framing {
  std::size_t body = 0;           // bytes
  bool keep_alive = false;        // as far as the client is concerned
  bool expects_continue = false;  // waits for "100 Continue" before it sends the body
};
// Refuses whatever two readers could understand in two ways: more than one Content-Length or one that is no
// plain number, Transfer-Encoding beside it, in HTTP/1.0, or of a coding that we do not know (501). A chunked
// body is asked to come with its length instead (411; RFC 9112, 6.3 allows it). Targets are paths, or "*" for
// OPTIONS: we are no proxy.
[[nodiscard]] std::expected<Framing, Refusal> framing_of(const RequestHead& head, std::size_t max_body);

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body{};
  std::vector<std::pair<std::string, std::string>> fields{};  // beyond what every answer has
};
[[nodiscard]] Response refusal_response(const Refusal& refusal);
[[nodiscard]] int status_of(ErrorKind kind);
[[nodiscard]] std::string_view reason_of(int status);

enum class BodyKind { whole, none_for_head, stream };
// stream: no Content-Length; the body goes on until the connection ends.
[[nodiscard]] std::string to_bytes(const Response& response, BodyKind kind, bool keep_alive);

// The value of a key of "a=1&b=%20" (query or form); empty without it. "+" is a blank.
[[nodiscard]] std::string form_value(std::string_view form, std::string_view key);

}  // namespace sb::http
