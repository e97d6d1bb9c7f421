#include "build/cmake_trace_line.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"

namespace sb::build {
namespace {

std::string_view value_of(std::string_view line, std::string_view key) {
  const std::size_t at = line.find(key);
  return at == std::string_view::npos ? std::string_view() : line.substr(at + key.size());
}

std::size_t number(std::string_view text) {
  std::size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

std::optional<TraceLine> read_trace_line(std::string_view text) {
  constexpr std::string_view kBegin = R"({"args":[)";
  constexpr std::string_view kCommand = R"(],"cmd":")";
  if (!text.starts_with(kBegin)) return std::nullopt;
  const std::size_t end = text.find(kCommand);
  if (end == std::string_view::npos) return std::nullopt;
  TraceLine line;
  line.arguments = text.substr(kBegin.size(), end - kBegin.size());
  const std::string_view rest = text.substr(end + kCommand.size());
  line.command = lower_case(rest.substr(0, rest.find('"')));
  const std::string_view file = value_of(rest, R"("file":")");
  line.file = std::string(file.substr(0, file.find('"')));
  line.frame = number(value_of(rest, R"("global_frame":)"));
  line.first = number(value_of(rest, R"("line":)"));
  line.last = std::max(line.first, number(value_of(rest, R"("line_end":)")));
  return line;
}

Result<std::vector<std::string>> TraceLine::parsed_arguments() const {
  std::vector<std::string> parsed;
  const Result<Json> json = parse_json(fmt::format("[{}]", arguments));
  if (!json) return fail(ErrorKind::corrupt, json.error().what);
  for (const Json& argument : *json) {
    if (!argument.is_string()) return fail(ErrorKind::corrupt, "an argument that is no text");
    parsed.push_back(argument.get<std::string>());
  }
  return parsed;
}

bool is_one_of(std::string_view word, std::span<const std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return is_one_of(word, std::span(words.begin(), words.size()));
}

}  // namespace sb::build
