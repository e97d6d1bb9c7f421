#include "rpc/wire_error.h"

#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sb::rpc {
namespace {

using Json = nlohmann::json;

std::string text_member(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::optional<ErrorKind> kind_from_string(std::string_view text) {
  using enum ErrorKind;
  for (const ErrorKind kind : {usage, not_found, conflict, environment, refused, build_failed, test_failed,
                               unhealthy, corrupt, interrupted, bug}) {
    if (to_string(kind) == text) return kind;
  }
  return std::nullopt;
}

Json error_to_json(const Error& error) {
  return {{"kind", to_string(error.kind)},
          {"what", error.what},
          {"while_doing", error.while_doing},
          {"expected", error.expected},
          {"found", error.found},
          {"log", error.log},
          {"next", error.next}};
}

Error error_from_json(const Json& rpc_error) {
  if (!rpc_error.is_object()) return make_error(ErrorKind::bug, "the conductor sent an error without words");
  const auto data = rpc_error.find("data");
  if (data == rpc_error.end() || !data->is_object()) {
    return make_error(ErrorKind::bug,
                      fmt::format("the conductor says: {}", text_member(rpc_error, "message")));
  }
  Error error = make_error(kind_from_string(text_member(*data, "kind")).value_or(ErrorKind::bug),
                           text_member(*data, "what"), text_member(*data, "next"));
  if (error.what.empty()) error.what = text_member(rpc_error, "message");
  if (const auto lines = data->find("while_doing"); lines != data->end() && lines->is_array()) {
    for (const Json& line : *lines) {
      if (line.is_string()) error.while_doing.push_back(line.get<std::string>());
    }
  }
  error.expected = text_member(*data, "expected");
  error.found = text_member(*data, "found");
  error.log = text_member(*data, "log");
  return error;
}

}  // namespace sb::rpc
