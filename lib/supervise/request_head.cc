#include "supervise/request_head.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace sb::supervise {
namespace {

constexpr std::size_t kLongestMethod = 16;

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

bool is_visible(char c) {
  return c > ' ' && c < '\x7f';
}

// RFC 9110, 5.6.2
bool is_token(std::string_view text) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [kOthers](char c) {
    return (c >= 'a' && c <= 'z') || is_upper(c) || (c >= '0' && c <= '9') ||
           kOthers.find(c) != std::string_view::npos;
  });
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (is_upper(c)) c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

// What has come of the first line cannot become one any more.
bool cannot_be_http(std::string_view begun) {
  const std::size_t blank = begun.find(' ');
  const std::string_view method = begun.substr(0, blank);
  if (method.size() > kLongestMethod) return true;
  if (blank == 0 || !std::ranges::all_of(method, [](char c) { return is_upper(c) || c == '-'; })) return true;
  if (blank == std::string_view::npos) return false;
  return !std::ranges::all_of(begun.substr(blank), [](char c) { return is_visible(c) || c == ' '; });
}

}  // namespace

RequestHead::State RequestHead::take(std::string_view bytes) {
  for (const char c : bytes) {
    if (++size_ > kMaxBytes) return has_request_line_ ? State::too_large : State::not_http;
    const State broken = has_request_line_ ? State::malformed : State::not_http;
    if (return_seen_ != (c == '\n')) return broken;  // neither stands alone
    return_seen_ = c == '\r';
    if (return_seen_) continue;
    if (c != '\n') {
      if (c == '\0') return broken;
      line_ += c;
      if (!has_request_line_ && cannot_be_http(line_)) return State::not_http;
      continue;
    }
    const State state = read_line(line_);
    if (state != State::incomplete) return state;
    line_.clear();
  }
  return State::incomplete;
}

RequestHead::State RequestHead::read_line(std::string_view line) {
  if (!has_request_line_) return read_request_line(line);
  return line.empty() ? end_of_head() : read_header(line);
}

RequestHead::State RequestHead::read_request_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last <= first + 1) return State::not_http;
  const std::string_view version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return State::not_http;
  method_ = line.substr(0, first);
  is_1_1_ = version == "HTTP/1.1";
  has_request_line_ = true;
  const std::string_view target = line.substr(first + 1, last - first - 1);
  return target.find(' ') == std::string_view::npos ? State::incomplete : State::malformed;
}

RequestHead::State RequestHead::read_header(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return State::malformed;
  const std::string_view value = line.substr(colon + 1);
  const auto is_control = [](char c) { return (c >= '\0' && c < ' ' && c != '\t') || c == '\x7f'; };
  if (std::ranges::any_of(value, is_control)) return State::malformed;

  constexpr std::array<std::string_view, 4> kOfProxies{"forwarded", "via", "x-forwarded-for", "x-real-ip"};
  const std::string name = lower(line.substr(0, colon));
  if (name == "host") ++hosts_;
  if (std::ranges::find(kOfProxies, name) != kOfProxies.end()) forwarded_ = true;
  if (name == "accept") {
    const std::string accepted = lower(value);
    wants_json_ = accepted.find("application/json") < accepted.find("text/html");  // npos is the largest
  }
  return State::incomplete;
}

RequestHead::State RequestHead::end_of_head() const {
  const bool good = is_1_1_ ? hosts_ == 1 : hosts_ <= 1;
  return good ? State::complete : State::malformed;
}

}  // namespace sb::supervise
