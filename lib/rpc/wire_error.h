// How an Error travels in the `data` member of a JSON-RPC error, and comes out the same at the other end.
#pragma once

#include <optional>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace sb::rpc {

// Codes of JSON-RPC 2.0, section 5.1; kFailed is ours, for every Error that a method returned.
inline constexpr int kParseError = -32700;
inline constexpr int kInvalidRequest = -32600;
inline constexpr int kMethodNotFound = -32601;
inline constexpr int kFailed = -32000;

// {kind, what, while_doing, expected, found, log, next}: every key always present.
[[nodiscard]] nlohmann::json error_to_json(const Error& error);
// The `error` member of a response. Takes what is there and of the right type: a peer of another version, or
// one that is not ours, still yields an Error that can be read.
[[nodiscard]] Error error_from_json(const nlohmann::json& rpc_error);

[[nodiscard]] std::optional<ErrorKind> kind_from_string(std::string_view text);

}  // namespace sb::rpc
