// ServiceSpec: what a manifest of kind Service says. Written by people as YAML (lib/project reads it), sent
// to the conductor and kept with every version as JSON.
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"

namespace sb::supervise {

// How a service comes by a socket of the conductor's.
enum class Take {
  inherit,   // LISTEN_FDS, sd_listen_fds(3)
  bind,      // it calls bind(2) itself, and gets that socket in place of its own: see bind_answers.h
  automatic  // whichever it does
};

// One listening socket that the conductor owns.
struct SocketSpec {
  std::string name;    // LISTEN_FDNAMES
  std::string listen;  // "127.0.0.1:8080", "[::1]:8080", "unix:/path"
  // Of this instance's version: the socket is the same however it is taken.
  Take take = Take::inherit;
  friend bool operator==(const SocketSpec& one, const SocketSpec& other) {
    return one.name == other.name && one.listen == other.listen;
  }
};

// One way to ask whether a service is well.
struct ProbeSpec {
  enum class Kind { none, notify, http, tcp, command, watchdog };
  Kind kind = Kind::none;
  std::string address;     // http, tcp: "127.0.0.1:8080" or the name of a socket above; "unix:/path"
  std::string path = "/";  // http: 2xx and 3xx are healthy
  std::vector<std::string> command;  // command: exit 0 is healthy; run in the version's folder
  std::chrono::milliseconds interval{1000};
  std::chrono::milliseconds timeout{2000};
  int failures = 3;   // in a row, until it counts as unhealthy
  int successes = 1;  // in a row, until it counts as good
  // There is something to ask, over and over.
  [[nodiscard]] bool asks() const { return kind == Kind::http || kind == Kind::tcp || kind == Kind::command; }
};

enum class SwapMode {
  overlap,      // the new one starts beside the old on the same sockets, then the old drains
  drain_first,  // for services that cannot run twice: the backlog holds while the old one goes and the new
                // one boots
};

// What the conductor answers on the sockets of a service of which no version can be started.
enum class SafeModeKind {
  details,  // what is wrong and what helps, to who asks from this host; else as brief
  brief,    // that it does not work
  none,     // nothing: who connects waits, as long as the backlog has room
};

// In what a version on probation is compared with the one before; see activation/comparison.h.
struct Compare {
  bool errors = false;
  bool latency = false;
  bool memory = false;
  [[nodiscard]] bool any() const { return errors || latency || memory; }
};
struct CompareWord {
  std::string_view word;
  bool Compare::* what;
};
inline constexpr std::array<CompareWord, 3> kCompareWords{
    {{"errors", &Compare::errors}, {"latency", &Compare::latency}, {"memory", &Compare::memory}}};

struct ServiceSpec {
  std::string name;
  std::vector<std::string> command;      // argv[0] relative to the version's folder, or absolute
  std::vector<std::string> environment;  // "NAME=value" beyond the clean basics
  std::vector<SocketSpec> sockets;
  ProbeSpec start;   // asked until it is good, and never again; none: it is
  ProbeSpec ready;   // none: ready as soon as it runs; notify: READY=1; what can be asked is asked on
  ProbeSpec health;  // none: alive is healthy; watchdog: WATCHDOG=1 at least every interval
  SwapMode swap = SwapMode::overlap;
  bool standby = false;  // a second process of the live version is kept booted, for the first one's crash
  SafeModeKind safe_mode = SafeModeKind::details;
  std::chrono::milliseconds start_timeout{10'000};  // until ready and healthy
  std::chrono::milliseconds drain_timeout{10'000};  // from SIGTERM to SIGKILL
  std::chrono::milliseconds probation{10'000};      // ill health, or the third crash within it, rolls back
  Compare compare{};  // worse than the version before in one of these rolls back
  // It may call bind for one of its sockets.
  [[nodiscard]] bool may_bind() const;
};

[[nodiscard]] nlohmann::json to_json(const ServiceSpec& spec);
// Strict: unknown keys, wrong types and impossible values are ErrorKind::usage.
[[nodiscard]] Result<ServiceSpec> service_from_json(const nlohmann::json& value);
// A version's: an array of them.
[[nodiscard]] Result<std::vector<ServiceSpec>> services_from_json(const nlohmann::json& value);

}  // namespace sb::supervise
