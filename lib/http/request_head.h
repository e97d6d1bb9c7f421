// RequestHead: reads the head of one HTTP/1 request (RFC 9112, sections 2 to 5) as its bytes come, strictly
// and in bounded space. Where the RFC leaves a choice between mending and refusing, it refuses: a bare CR or
// LF, a folded line, a blank before a colon, an empty line before the request.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sb::http {

struct Field {
  std::string name;   // in lower case
  std::string value;  // without blanks around it; no control characters, maybe bytes above 0x7f
};

class RequestHead {
 public:
  static constexpr std::size_t kMaxBytes = 8192;
  static constexpr std::size_t kMaxRequestLine = 4096;
  static constexpr std::size_t kMaxFields = 64;

  enum class State {
    incomplete,
    complete,
    not_http,   // no request line of HTTP/1: whoever speaks there does not understand an answer
    malformed,  // 400
    too_long,   // 414: the request line
    too_large,  // 431: the fields
  };
  // The next bytes of the connection, of which `used` were taken: what follows a complete head is not its.
  State take(std::string_view bytes, std::size_t& used);
  State take(std::string_view bytes);
  [[nodiscard]] bool begun() const { return size_ > 0; }

  // -- once complete --------------------------------------------------------------------------------------
  [[nodiscard]] const std::string& method() const { return method_; }
  [[nodiscard]] const std::string& target() const { return target_; }
  [[nodiscard]] bool is_1_1() const { return is_1_1_; }
  [[nodiscard]] const std::vector<Field>& fields() const { return fields_; }

 private:
  [[nodiscard]] State take_one(char c);
  [[nodiscard]] State read_line(std::string_view line);
  [[nodiscard]] State read_request_line(std::string_view line);
  [[nodiscard]] State read_field(std::string_view line);
  [[nodiscard]] State end_of_head() const;

  std::string line_;  // without its end, as far as it has come
  std::size_t size_ = 0;
  bool return_seen_ = false;  // the last byte was "\r"
  bool has_request_line_ = false;
  bool is_1_1_ = false;
  std::string method_;
  std::string target_;
  std::vector<Field> fields_;
};

// The value of the only field of this name; null when there is none. Name in lower case.
[[nodiscard]] const std::string* field(const std::vector<Field>& fields, std::string_view name);
[[nodiscard]] std::size_t count_of(const std::vector<Field>& fields, std::string_view name);

}  // namespace sb::http
