// Exposition: metrics in Prometheus's text format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace sb::http {

class Exposition {
 public:
  static constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

  enum class Type { counter, gauge };
  // All samples of one metric follow its family; names are [a-zA-Z_:][a-zA-Z0-9_:]*, and their caller's duty.
  void family(std::string_view name, Type type, std::string_view help);
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  void sample(Labels labels, std::int64_t value);
  void sample(std::int64_t value) { sample({}, value); }

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string name_;
  std::string text_;
};

}  // namespace sb::http
