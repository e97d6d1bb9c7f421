// Cooperation: how a service takes being replaced, as its candidate run showed it. A swap asks nothing of a
// service, but what it costs the service's users depends on what the service does.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "supervise/service_spec.h"

namespace sb::testrun {

struct Cooperation {
  // From what costs nobody anything to what costs a gap.
  enum class Level {
    drains,     // takes our socket; answers what it has begun, and ends
    unknown,    // takes our socket and ends by itself; what it does with what it has begun could not be asked
    ends,       // takes our socket; SIGTERM ends it, and cuts what it has begun
    dies,       // the same, since it does not know the signal
    stays,      // ignores SIGTERM, and has to be killed
    binds,      // binds by itself, and gets our socket then; has no candidate run
    exclusive,  // cannot run twice
  };
  std::string service;
  Level level = Level::binds;
  // Of the candidate run, if it had one: from its start until it was ready, and from SIGTERM until it had
  // ended.
  std::chrono::milliseconds boot{0};
  std::chrono::milliseconds drain{0};
  std::string end{};               // "exit code 0", "killed by SIGTERM"
  std::optional<bool> answered{};  // a request that was half sent at SIGTERM; none: it could not be asked
};

// What a candidate run saw of its end.
struct SeenEnd {
  int signal = 0;       // that killed it
  bool in_time = true;  // within its drain_timeout
  std::optional<bool> answered{};
};
[[nodiscard]] Cooperation::Level level_of(const supervise::ServiceSpec& service, const SeenEnd& end);
// Of a service that has no candidate run.
[[nodiscard]] Cooperation unseen(const supervise::ServiceSpec& service);

[[nodiscard]] std::string_view to_string(Cooperation::Level level);  // "drains"
// What it does, and what a swap costs its users. `steered`: new connections can be sent to the new version
// while the old one ends.
[[nodiscard]] std::string behaviour(const Cooperation& cooperation);
[[nodiscard]] std::string cost(const Cooperation& cooperation, const supervise::ServiceSpec& service,
                               bool steered);

[[nodiscard]] nlohmann::json to_json(const Cooperation& cooperation);
[[nodiscard]] Result<Cooperation> cooperation_from_json(const nlohmann::json& value);

}  // namespace sb::testrun
