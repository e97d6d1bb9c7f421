// Console: standard output is data, standard error is talk. Colour and rewriting lines only on a terminal.
#pragma once

#include <cstdio>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace sb::tool {

struct Console {
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool colour = false;  // of what goes to a terminal; off with NO_COLOR (https://no-color.org) and TERM=dumb
  int columns = 80;

  [[nodiscard]] static Console detect();

  static void data(std::string_view text);  // to standard output, as it is
  static void json(const Json& value);      // one document, indented, to standard output
  static void say(std::string_view line);   // a line to standard error
  static void error(const Error& error);

  // Wraps text in an ANSI style when colour is on.
  enum class Style { bold, dim, red, green, yellow };
  [[nodiscard]] std::string styled(Style style, std::string_view text) const;
};

}  // namespace sb::tool
