// One conversation with a server, word by word: for answers that no HTTP client would let through.
#pragma once

#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace sb::tests {

// Blocking stream socket to "127.0.0.1:8080" or "unix:/path"; none when nobody listens there.
[[nodiscard]] UniqueFd connect_to(const std::string& address);
void say(const UniqueFd& connection, std::string_view bytes);
// All that comes until the other side closes.
[[nodiscard]] std::string hear(const UniqueFd& connection);
// All three.
[[nodiscard]] std::string talk(const std::string& address, std::string_view bytes);

}  // namespace sb::tests
