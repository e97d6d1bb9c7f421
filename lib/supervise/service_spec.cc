// ServiceSpec as JSON, and the rules that every service has to obey.
#include "supervise/service_spec.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/suggestion.h"
#include "supervise/address.h"

namespace sb::supervise {
namespace {

using std::chrono::milliseconds;

struct KindName {
  ProbeSpec::Kind kind;
  std::string_view name;
};
constexpr std::array kKinds{
    KindName{ProbeSpec::Kind::none, "none"},       KindName{ProbeSpec::Kind::notify, "notify"},
    KindName{ProbeSpec::Kind::http, "http"},       KindName{ProbeSpec::Kind::tcp, "tcp"},
    KindName{ProbeSpec::Kind::command, "command"}, KindName{ProbeSpec::Kind::watchdog, "watchdog"},
};
constexpr std::array<std::string_view, 3> kSafeModeNames{"details", "brief", "none"};  // as in the enum
constexpr std::array<std::string_view, 3> kTakeNames{"inherit", "bind", "auto"};       // as in the enum
// A day: longer waits are a unit that was forgotten.
constexpr milliseconds kLongest{24LL * 3600 * 1000};

std::unexpected<Error> wrong(const std::string& where, std::string_view what) {
  return fail(ErrorKind::usage, fmt::format("{}: {}", where, what));
}

Status only_keys(const Json& object, const std::string& where, std::span<const std::string> known) {
  if (!object.is_object()) return wrong(where, fmt::format("must be an object, not {}", object.type_name()));
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    const std::optional<std::string> meant = nearest(key, known);
    return wrong(where, meant ? fmt::format(R"(unknown key "{}"; did you mean "{}"?)", key, *meant)
                              : fmt::format("unknown key \"{}\"", key));
  }
  return {};
}

Result<std::vector<std::string>> strings(const Json& object, const std::string& where,
                                         const std::string& key) {
  std::vector<std::string> values;
  const auto found = object.find(key);
  if (found == object.end()) return values;
  if (!found->is_array()) return wrong(where, fmt::format("\"{}\" must be an array of strings", key));
  for (const Json& item : *found) {
    if (!item.is_string()) return wrong(where, fmt::format("\"{}\" must be an array of strings", key));
    values.push_back(item.get<std::string>());
    if (values.back().find('\0') != std::string::npos) {
      return wrong(where, fmt::format("\"{}\" holds a NUL byte", key));
    }
  }
  return values;
}

Result<milliseconds> duration(const Json& object, const std::string& where, const std::string& key,
                              milliseconds fallback, milliseconds shortest) {
  SB_TRY(const long long value, doing(where, json_integer_or(object, key, fallback.count())));
  if (value < shortest.count() || value > kLongest.count()) {
    return wrong(where, fmt::format("\"{}\" must be between {} and {}, not {}", key, shortest.count(),
                                    kLongest.count(), value));
  }
  return milliseconds(value);
}

Json probe_to_json(const ProbeSpec& probe) {
  const auto* const name = std::ranges::find(kKinds, probe.kind, &KindName::kind);
  return Json{{"kind", name->name},
              {"address", probe.address},
              {"path", probe.path},
              {"command", probe.command},
              {"interval_ms", probe.interval.count()},
              {"timeout_ms", probe.timeout.count()},
              {"failures", probe.failures},
              {"successes", probe.successes}};
}

Status check_probe_address(const ProbeSpec& probe, const std::string& where, const ServiceSpec& service) {
  if (probe.address.empty()) return wrong(where, "needs an address or the name of a socket");
  for (const SocketSpec& socket : service.sockets) {
    if (socket.name == probe.address) return {};
  }
  const Result<Address> address = parse_address(probe.address);
  if (address) return {};
  std::vector<std::string> names;
  names.reserve(service.sockets.size());
  for (const SocketSpec& socket : service.sockets) names.push_back(socket.name);
  const std::optional<std::string> meant = nearest(probe.address, names);
  return wrong(where, fmt::format("\"{}\" is neither an address nor a socket of this service{}",
                                  probe.address, meant ? fmt::format("; did you mean \"{}\"?", *meant) : ""));
}

Result<ProbeSpec> probe_from_json(const Json& object, const std::string& where, const ServiceSpec& service) {
  static const std::array<std::string, 8> kKeys{"kind",        "address",    "path",     "command",
                                                "interval_ms", "timeout_ms", "failures", "successes"};
  SB_CHECK(only_keys(object, where, kKeys));
  ProbeSpec probe;
  SB_TRY(const std::string kind, doing(where, json_string_or(object, "kind", "none")));
  const auto* const found = std::ranges::find(kKinds, kind, &KindName::name);
  if (found == kKinds.end()) return wrong(where, fmt::format("unknown kind \"{}\"", kind));
  probe.kind = found->kind;
  SB_TRY(probe.address, doing(where, json_string_or(object, "address", probe.address)));
  SB_TRY(probe.path, doing(where, json_string_or(object, "path", probe.path)));
  SB_TRY(probe.command, strings(object, where, "command"));
  SB_TRY(probe.interval, duration(object, where, "interval_ms", probe.interval, milliseconds(10)));
  SB_TRY(probe.timeout, duration(object, where, "timeout_ms", probe.timeout, milliseconds(10)));
  SB_TRY(const long long failures, doing(where, json_integer_or(object, "failures", probe.failures)));
  if (failures < 1 || failures > 1000) return wrong(where, "\"failures\" must be between 1 and 1000");
  probe.failures = static_cast<int>(failures);
  SB_TRY(const long long successes, doing(where, json_integer_or(object, "successes", probe.successes)));
  if (successes < 1 || successes > 1000) return wrong(where, "\"successes\" must be between 1 and 1000");
  probe.successes = static_cast<int>(successes);

  if (probe.kind == ProbeSpec::Kind::http || probe.kind == ProbeSpec::Kind::tcp) {
    SB_CHECK(check_probe_address(probe, where, service));
  }
  if (probe.kind == ProbeSpec::Kind::http && !probe.path.starts_with('/')) {
    return wrong(where, fmt::format("the path \"{}\" must begin with /", probe.path));
  }
  if (probe.kind == ProbeSpec::Kind::command && (probe.command.empty() || probe.command.front().empty())) {
    return wrong(where, "needs a command");
  }
  return probe;
}

bool good_name(std::string_view name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  // It becomes a folder's name and stands in LISTEN_FDNAMES: no "..", no hidden folder, no ":".
  return !name.empty() && name.size() <= 64 && name.front() != '.' && name.front() != '-' &&
         std::ranges::all_of(name, good);
}

Result<std::vector<SocketSpec>> sockets_from_json(const Json& object, const std::string& where) {
  std::vector<SocketSpec> sockets;
  const auto found = object.find("sockets");
  if (found == object.end()) return sockets;
  if (!found->is_array()) return wrong(where, "\"sockets\" must be an array");
  static const std::array<std::string, 3> kKeys{"name", "listen", "take"};
  for (const Json& item : *found) {
    SB_CHECK(only_keys(item, where + ": socket", kKeys));
    SocketSpec socket;
    SB_TRY(socket.name, doing(where, json_string(item, "name")));
    SB_TRY(socket.listen, doing(where, json_string(item, "listen")));
    if (!good_name(socket.name))
      return wrong(where, fmt::format("\"{}\" is no name for a socket", socket.name));
    SB_TRY([[maybe_unused]] const Address address, doing(where, parse_address(socket.listen)));
    SB_TRY(const std::string take, doing(where, json_string_or(item, "take", "inherit")));
    const auto* const way = std::ranges::find(kTakeNames, take);
    if (way == kTakeNames.end()) {
      return wrong(where, fmt::format(R"("take" must be inherit, bind or auto, not "{}")", take));
    }
    socket.take = static_cast<Take>(way - kTakeNames.begin());
    for (const SocketSpec& other : sockets) {
      if (other.name == socket.name)
        return wrong(where, fmt::format("two sockets named \"{}\"", socket.name));
    }
    sockets.push_back(std::move(socket));
  }
  if (sockets.size() > 16) return wrong(where, "at most 16 sockets");
  return sockets;
}

}  // namespace

bool ServiceSpec::may_bind() const {
  return std::ranges::any_of(sockets, [](const SocketSpec& one) { return one.take != Take::inherit; });
}

Json to_json(const ServiceSpec& spec) {
  Json sockets = Json::array();
  for (const SocketSpec& socket : spec.sockets) {
    sockets.push_back({{"name", socket.name}, {"listen", socket.listen}});
    // Only where it is said: conductors from before it had a meaning read the others, too.
    if (socket.take != Take::inherit) {
      sockets.back()["take"] = kTakeNames[static_cast<std::size_t>(socket.take)];
    }
  }
  Json value{{"name", spec.name},
             {"command", spec.command},
             {"environment", spec.environment},
             {"sockets", std::move(sockets)},
             {"start", probe_to_json(spec.start)},
             {"ready", probe_to_json(spec.ready)},
             {"health", probe_to_json(spec.health)},
             {"swap", spec.swap == SwapMode::overlap ? "overlap" : "drain-first"},
             {"safe_mode", kSafeModeNames[static_cast<std::size_t>(spec.safe_mode)]},
             {"start_timeout_ms", spec.start_timeout.count()},
             {"drain_timeout_ms", spec.drain_timeout.count()},
             {"probation_ms", spec.probation.count()}};
  // Only where it is said, as above.
  if (spec.standby) value["standby"] = true;
  for (const auto& [word, what] : kCompareWords) {
    if (spec.compare.*what) value["compare"].push_back(word);
  }
  return value;
}

Result<ServiceSpec> service_from_json(const Json& value) {
  static const std::array<std::string, 14> kKeys{
      "name",         "command",   "environment",      "sockets",
      "start",        "ready",     "health",           "swap",
      "standby",      "safe_mode", "start_timeout_ms", "drain_timeout_ms",
      "probation_ms", "compare"};
  SB_CHECK(only_keys(value, "service", kKeys));
  ServiceSpec spec;
  SB_TRY(spec.name, doing("service", json_string(value, "name")));
  if (!good_name(spec.name)) {
    return wrong("service",
                 fmt::format("\"{}\" is no name for a service (letters, digits, - _ .)", spec.name));
  }
  const std::string where = "service " + spec.name;
  SB_TRY(spec.command, strings(value, where, "command"));
  if (spec.command.empty() || spec.command.front().empty()) return wrong(where, "needs a command");
  SB_TRY(spec.environment, strings(value, where, "environment"));
  for (const std::string& variable : spec.environment) {
    const std::size_t equals = variable.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return wrong(where, fmt::format("\"{}\" in the environment is not NAME=value", variable));
    }
  }
  SB_TRY(spec.sockets, sockets_from_json(value, where));
  if (value.contains("start")) {
    SB_TRY(spec.start, probe_from_json(value["start"], where + ": start", spec));
    if (spec.start.kind == ProbeSpec::Kind::notify || spec.start.kind == ProbeSpec::Kind::watchdog)
      return wrong(where, "\"start\" has to be asked: http, tcp or command");
  }
  if (value.contains("ready")) {
    SB_TRY(spec.ready, probe_from_json(value["ready"], where + ": ready", spec));
    if (spec.ready.kind == ProbeSpec::Kind::watchdog)
      return wrong(where, "a watchdog says nothing about readiness");
  }
  if (value.contains("health")) {
    SB_TRY(spec.health, probe_from_json(value["health"], where + ": health", spec));
    if (spec.health.kind == ProbeSpec::Kind::notify) return wrong(where, "READY=1 says nothing about health");
  }
  SB_TRY(const std::string swap, doing(where, json_string_or(value, "swap", "overlap")));
  if (swap != "overlap" && swap != "drain-first") {
    return wrong(where, fmt::format(R"("swap" must be overlap or drain-first, not "{}")", swap));
  }
  spec.swap = swap == "overlap" ? SwapMode::overlap : SwapMode::drain_first;
  SB_TRY(spec.standby, doing(where, json_bool_or(value, "standby", false)));
  if (spec.standby && spec.swap == SwapMode::drain_first) {
    return wrong(where, R"(with "standby" it runs twice, and "swap": drain-first says that it cannot)");
  }
  SB_TRY(const std::vector<std::string> compare, strings(value, where, "compare"));
  for (const std::string& word : compare) {
    const auto* const known = std::ranges::find(kCompareWords, word, &CompareWord::word);
    if (known == kCompareWords.end())
      return wrong(where, fmt::format(R"("compare" knows errors, latency and memory, not "{}")", word));
    spec.compare.*(known->what) = true;
  }
  SB_TRY(const std::string safe_mode, doing(where, json_string_or(value, "safe_mode", "details")));
  const auto* const kind = std::ranges::find(kSafeModeNames, safe_mode);
  if (kind == kSafeModeNames.end()) {
    return wrong(where, fmt::format(R"("safe_mode" must be details, brief or none, not "{}")", safe_mode));
  }
  spec.safe_mode = static_cast<SafeModeKind>(kind - kSafeModeNames.begin());
  SB_TRY(spec.start_timeout, duration(value, where, "start_timeout_ms", spec.start_timeout, milliseconds(1)));
  SB_TRY(spec.drain_timeout, duration(value, where, "drain_timeout_ms", spec.drain_timeout, milliseconds(0)));
  SB_TRY(spec.probation, duration(value, where, "probation_ms", spec.probation, milliseconds(0)));
  return spec;
}

Result<std::vector<ServiceSpec>> services_from_json(const Json& value) {
  if (!value.is_array()) return fail(ErrorKind::usage, "\"services\" must be an array");
  std::vector<ServiceSpec> services;
  for (const Json& one : value) {
    SB_TRY(ServiceSpec spec, service_from_json(one));
    services.push_back(std::move(spec));
  }
  return services;
}

}  // namespace sb::supervise
