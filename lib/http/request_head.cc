#include "http/request_head.h"

#include <algorithm>

#include "base/text.h"

namespace sb::http {
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

std::string_view without_blanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// What has come of the first line cannot become one any more.
bool cannot_be_http(std::string_view begun) {
  const std::size_t blank = begun.find(' ');
  const std::string_view method = begun.substr(0, blank);
  if (method.size() > kLongestMethod) return true;
  if (blank == std::string_view::npos) return !is_upper(begun.back()) && begun.back() != '-';
  return blank == 0 || (!is_visible(begun.back()) && begun.back() != ' ');
}

}  // namespace

RequestHead::State RequestHead::take(std::string_view bytes, std::size_t& used) {
  used = 0;
  for (const char c : bytes) {
    ++used;
    const State state = take_one(c);
    if (state != State::incomplete) return state;
  }
  return State::incomplete;
}

RequestHead::State RequestHead::take(std::string_view bytes) {
  std::size_t used = 0;
  return take(bytes, used);
}

RequestHead::State RequestHead::take_one(char c) {
  ++size_;
  if (!has_request_line_ && size_ > kMaxRequestLine) return State::too_long;
  if (size_ > kMaxBytes) return State::too_large;
  const State broken = has_request_line_ ? State::malformed : State::not_http;
  if (return_seen_ != (c == '\n')) return broken;  // neither stands alone
  return_seen_ = c == '\r';
  if (return_seen_) return State::incomplete;
  if (c != '\n') {
    if (c == '\0') return broken;
    line_ += c;
    return !has_request_line_ && cannot_be_http(line_) ? State::not_http : State::incomplete;
  }
  const State state = read_line(line_);
  line_.clear();
  return state;
}

RequestHead::State RequestHead::read_line(std::string_view line) {
  if (!has_request_line_) return read_request_line(line);
  return line.empty() ? end_of_head() : read_field(line);
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
  target_ = line.substr(first + 1, last - first - 1);
  return target_.find(' ') == std::string::npos ? State::incomplete : State::malformed;
}

RequestHead::State RequestHead::read_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return State::malformed;
  const std::string_view value = line.substr(colon + 1);
  const auto is_control = [](char c) { return (c >= '\0' && c < ' ' && c != '\t') || c == '\x7f'; };
  if (std::ranges::any_of(value, is_control)) return State::malformed;
  if (fields_.size() == kMaxFields) return State::too_large;
  fields_.push_back({.name = lower_case(line.substr(0, colon)), .value = std::string(without_blanks(value))});
  return State::incomplete;
}

RequestHead::State RequestHead::end_of_head() const {
  const std::size_t hosts = count_of(fields_, "host");
  const bool good = is_1_1_ ? hosts == 1 : hosts <= 1;
  return good ? State::complete : State::malformed;
}

const std::string* field(const std::vector<Field>& fields, std::string_view name) {
  const auto found = std::ranges::find(fields, name, &Field::name);
  return found == fields.end() ? nullptr : &found->value;
}

std::size_t count_of(const std::vector<Field>& fields, std::string_view name) {
  return static_cast<std::size_t>(std::ranges::count(fields, name, &Field::name));
}

}  // namespace sb::http
