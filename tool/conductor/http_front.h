// The sockets of HTTP: state/http.sock always, and the loopback where $SELFBUILD_HTTP (`conductor run
// --http`) says so. Both are kept by the keeper, as those of services are, so that no client is refused while
// one conductor takes over from another.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/server.h"
#include "os/event_loop.h"
#include "os/home.h"
#include "supervise/surroundings.h"

namespace sb::tool {

inline constexpr const char* kHttpVariable = "SELFBUILD_HTTP";

// Without a route yet. What the loopback refuses is logged: a port that somebody else has must not keep the
// conductor down. environment for the Unix socket, and for the token's file.
[[nodiscard]] Result<std::unique_ptr<http::Server>> open_http(
    os::EventLoop& loop, const os::Home& home, supervise::SocketVault& vault,
    const std::function<void(const std::string&)>& log);

}  // namespace sb::tool
