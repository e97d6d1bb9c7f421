// RequestHead: reads the head of one HTTP/1 request as its bytes come, strictly and in bounded space. For who
// gives every request the same answer: the target, and a body, are nobody's concern.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sb::supervise {

class RequestHead {
 public:
  static constexpr std::size_t kMaxBytes = 8192;

  enum class State {
    incomplete,
    complete,
    not_http,   // no request line of HTTP/1: whoever speaks there does not understand an answer
    malformed,  // 400
    too_large,  // 431
  };
  // The next bytes of the connection; what follows the head is ignored.
  State take(std::string_view bytes);

  // -- once complete --------------------------------------------------------------------------------------
  [[nodiscard]] bool is_head() const { return method_ == "HEAD"; }
  [[nodiscard]] bool wants_json() const { return wants_json_; }  // rather than HTML, by Accept
  // It came through a proxy that says so: the peer is not who asks.
  [[nodiscard]] bool is_forwarded() const { return forwarded_; }

 private:
  [[nodiscard]] State read_line(std::string_view line);
  [[nodiscard]] State read_request_line(std::string_view line);
  [[nodiscard]] State read_header(std::string_view line);
  [[nodiscard]] State end_of_head() const;

  std::string line_;  // without its end, as far as it has come
  std::size_t size_ = 0;
  bool return_seen_ = false;  // the last byte was "\r"
  bool has_request_line_ = false;
  bool is_1_1_ = false;
  int hosts_ = 0;
  std::string method_;
  bool wants_json_ = false;
  bool forwarded_ = false;
};

}  // namespace sb::supervise
