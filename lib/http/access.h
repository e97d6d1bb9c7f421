// Who may ask. A browser on this host is everybody's tool: a page from anywhere can make it send requests to
// the loopback (DNS rebinding, forms, EventSource), so Host and Origin have to be ours; and what changes
// state needs the token, which only who can read the home has.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/message.h"
#include "os/home.h"

namespace sb::http {

// Where a request came in.
struct Door {
  int port = 0;  // of TCP on the loopback; 0: a Unix socket
};

// 421 for a Host that is neither localhost nor the loopback's address, or has another port than the door;
// 403 for an Origin that is not such a host (with http), and for what the browser calls cross-site.
[[nodiscard]] std::optional<Refusal> wrong_place(const std::vector<Field>& fields, const Door& door);

// "Authorization: Bearer TOKEN" (RFC 6750, 2.1). 401 without it, 403 with another one.
[[nodiscard]] std::optional<Refusal> no_token(const std::vector<Field>& fields, std::string_view token);
// Takes as long whatever they have in common. Never true for an empty token.
[[nodiscard]] bool same_token(std::string_view given, std::string_view token);

// The token of this home, state/http.token, mode 0600: 64 hex digits, made on first use; durable. Errors:
// environment; refused when others can read the file, or when it is no token.
[[nodiscard]] Result<std::string> token_of(const os::Home& home);

}  // namespace sb::http
