#include "http/message.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "base/text.h"

namespace sb::http {
namespace {

std::unexpected<Refusal> refuse(int status, std::string why) {
  return std::unexpected(Refusal{.status = status, .why = std::move(why)});
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// RFC 3986, 3.3 and 3.4: what a path with a query may consist of.
bool is_path(std::string_view target) {
  constexpr std::string_view kNever = "\"#<>\\^`{|}";
  if (!target.starts_with('/') || target.starts_with("//")) return false;
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (kNever.find(target[i]) != std::string_view::npos) return false;
    if (target[i] != '%') continue;
    if (i + 2 >= target.size() || hex_value(target[i + 1]) < 0 || hex_value(target[i + 2]) < 0) return false;
  }
  return true;
}

std::expected<std::size_t, Refusal> content_length(const RequestHead& head, std::size_t max_body) {
  const std::string* length = field(head.fields(), "content-length");
  if (length == nullptr) return 0;
  if (count_of(head.fields(), "content-length") > 1) return refuse(400, "more than one Content-Length");
  if (length->empty() || length->size() > 18 || !std::ranges::all_of(*length, is_digit)) {
    return refuse(400, "Content-Length is no number of bytes");
  }
  std::size_t bytes = 0;
  std::from_chars(length->data(), length->data() + length->size(), bytes);
  if (bytes > max_body) return refuse(413, fmt::format("a body above {} bytes", max_body));
  return bytes;
}

std::expected<void, Refusal> check_transfer_encoding(const RequestHead& head) {
  const std::string* coding = field(head.fields(), "transfer-encoding");
  if (coding == nullptr) return {};
  if (!head.is_1_1()) return refuse(400, "Transfer-Encoding in HTTP/1.0");
  if (field(head.fields(), "content-length") != nullptr) {
    return refuse(400, "Content-Length beside Transfer-Encoding");
  }
  const bool known = count_of(head.fields(), "transfer-encoding") == 1 && lower_case(*coding) == "chunked";
  if (known) return refuse(411, "a body needs a Content-Length here");
  return refuse(501, "unknown transfer coding");
}

bool has_option(const RequestHead& head, std::string_view option) {
  return std::ranges::any_of(head.fields(), [option](const Field& one) {
    if (one.name != "connection") return false;
    const std::vector<std::string> options = split(lower_case(one.value), ',');
    return std::ranges::any_of(options, [option](const std::string& each) { return trim(each) == option; });
  });
}

std::string decoded(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0;
    if (escape) {
      result += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      result += text[i] == '+' ? ' ' : text[i];
    }
  }
  return result;
}

}  // namespace

std::expected<Framing, Refusal> framing_of(const RequestHead& head, std::size_t max_body) {
  const bool asks_the_server = head.method() == "OPTIONS" && head.target() == "*";
  if (!asks_the_server && !is_path(head.target())) return refuse(400, "the target is no path");
  if (const auto coding = check_transfer_encoding(head); !coding) return std::unexpected(coding.error());
  const auto length = content_length(head, max_body);
  if (!length) return std::unexpected(length.error());
  Framing framing{.body = *length, .keep_alive = head.is_1_1() && !has_option(head, "close")};
  if (const std::string* expected = field(head.fields(), "expect"); expected != nullptr && head.is_1_1()) {
    if (lower_case(*expected) != "100-continue") return refuse(417, "an expectation that is not known");
    framing.expects_continue = framing.body > 0;
  }
  return framing;
}

std::string_view reason_of(int status) {
  static constexpr std::array<std::pair<int, std::string_view>, 20> kReasons{{
      {200, "OK"},
      {202, "Accepted"},
      {204, "No Content"},
      {303, "See Other"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {411, "Length Required"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {417, "Expectation Failed"},
      {421, "Misdirected Request"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {503, "Service Unavailable"},
  }};
  const auto* const found = std::ranges::find(kReasons, status, [](const auto& each) { return each.first; });
  return found == kReasons.end() ? "Status" : found->second;
}

int status_of(ErrorKind kind) {
  if (kind == ErrorKind::usage) return 400;
  if (kind == ErrorKind::not_found) return 404;
  if (kind == ErrorKind::conflict || kind == ErrorKind::refused) return 409;
  return kind == ErrorKind::unhealthy ? 503 : 500;
}

Response refusal_response(const Refusal& refusal) {
  return {.status = refusal.status, .body = fmt::format("{}: {}\n", reason_of(refusal.status), refusal.why)};
}

std::string to_bytes(const Response& response, BodyKind kind, bool keep_alive) {
  std::string text = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\n", response.status,
                                 reason_of(response.status), response.content_type);
  for (const auto& [name, value] : response.fields) text += fmt::format("{}: {}\r\n", name, value);
  if (kind != BodyKind::stream) text += fmt::format("Content-Length: {}\r\n", response.body.size());
  text += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
  text += keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
  if (kind != BodyKind::none_for_head) text += response.body;
  return text;
}

std::string form_value(std::string_view form, std::string_view key) {
  for (const std::string& pair : split(form, '&')) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || decoded(std::string_view(pair).substr(0, equals)) != key) continue;
    return decoded(std::string_view(pair).substr(equals + 1));
  }
  return {};
}

}  // namespace sb::http
