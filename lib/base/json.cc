#include "base/json.h"

#include <cstdint>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sb {
namespace {

// Nesting of the text without parsing it: brackets outside of strings.
int depth_of(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

Result<const Json*> member(const Json& object, std::string_view key) {
  if (!object.is_object()) return fail(ErrorKind::usage, fmt::format("expected an object with \"{}\"", key));
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

Error wrong_type(std::string_view key, std::string_view wanted, const Json& value) {
  return make_error(ErrorKind::usage,
                    fmt::format("\"{}\" must be {}, not {}", key, wanted, value.type_name()));
}

Error missing(std::string_view key) {
  return make_error(ErrorKind::usage, fmt::format("\"{}\" is missing", key));
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
  if (text.size() > kMaxJsonBytes) {
    return fail(ErrorKind::refused,
                fmt::format("JSON text of {} bytes; the limit is {}", text.size(), kMaxJsonBytes));
  }
  if (depth_of(text) > kMaxJsonDepth) {
    return fail(ErrorKind::refused, fmt::format("JSON text nested deeper than {}", kMaxJsonDepth));
  }
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return fail(ErrorKind::usage, "not valid JSON");
  return value;
}

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<std::string> json_string(const Json& object, std::string_view key) {
  SB_TRY(const Json* value, member(object, key));
  if (value == nullptr) return fail(missing(key));
  if (!value->is_string()) return fail(wrong_type(key, "a string", *value));
  return value->get<std::string>();
}

Result<long long> json_integer(const Json& object, std::string_view key) {
  SB_TRY(const Json* value, member(object, key));
  if (value == nullptr) return fail(missing(key));
  // The JSON library would wrap what does not fit around to a negative number.
  const bool too_large =
      value->is_number_unsigned() && value->get<std::uint64_t>() > std::uint64_t{INT64_MAX};
  if (!value->is_number_integer() || too_large) return fail(wrong_type(key, "a 64-bit integer", *value));
  return value->get<long long>();
}

Result<std::string> json_string_or(const Json& object, std::string_view key, std::string fallback) {
  SB_TRY(const Json* value, member(object, key));
  if (value == nullptr) return fallback;
  return json_string(object, key);
}

Result<long long> json_integer_or(const Json& object, std::string_view key, long long fallback) {
  SB_TRY(const Json* value, member(object, key));
  if (value == nullptr) return fallback;
  return json_integer(object, key);
}

Result<bool> json_bool_or(const Json& object, std::string_view key, bool fallback) {
  SB_TRY(const Json* value, member(object, key));
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) return fail(wrong_type(key, "true or false", *value));
  return value->get<bool>();
}

}  // namespace sb
