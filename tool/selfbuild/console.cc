#include "tool/selfbuild/console.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/ioctl.h>
#include <unistd.h>

#include "os/process.h"

namespace sb::tool {

Console Console::detect() {
  Console console;
  console.out_is_terminal = ::isatty(STDOUT_FILENO) == 1;
  console.err_is_terminal = ::isatty(STDERR_FILENO) == 1 && os::environment_variable("TERM") != "dumb";
  console.colour =
      console.err_is_terminal && console.out_is_terminal && os::environment_variable("NO_COLOR").empty();
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) console.columns = size.ws_col;
  return console;
}

void Console::data(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void Console::json(const Json& value) {
  data(value.dump(2, ' ', false, Json::error_handler_t::replace));
  data("\n");
}

void Console::say(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fputc('\n', stderr);
}

void Console::error(const Error& error) {
  const std::string text = format_error(error);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

std::string Console::styled(Style style, std::string_view text) const {
  if (!colour) return std::string(text);
  const char* code = [&] {
    switch (style) {
      case Style::bold:
        return "1";
      case Style::dim:
        return "2";
      case Style::red:
        return "31";
      case Style::green:
        return "32";
      case Style::yellow:
        return "33";
    }
    return "0";
  }();
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

}  // namespace sb::tool
