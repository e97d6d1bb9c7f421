#include "testrun/cooperation.h"

#include <array>
#include <csignal>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"

namespace sb::testrun {
namespace {

using Level = Cooperation::Level;
using std::chrono::milliseconds;
using supervise::ProbeSpec;
using supervise::ServiceSpec;

constexpr std::array kLevels{Level::drains, Level::unknown, Level::ends,     Level::dies,
                             Level::stays,  Level::binds,   Level::exclusive};

}  // namespace

Level level_of(const ServiceSpec& service, const SeenEnd& end) {
  if (service.swap == supervise::SwapMode::drain_first) return Level::exclusive;
  if (!end.in_time) return Level::stays;
  if (end.answered.value_or(false)) return Level::drains;
  if (end.signal == SIGTERM) return Level::dies;
  return end.answered ? Level::ends : Level::unknown;
}

Cooperation unseen(const ServiceSpec& service) {
  const bool exclusive = service.swap == supervise::SwapMode::drain_first;
  return {.service = service.name, .level = exclusive ? Level::exclusive : Level::binds};
}

std::string_view to_string(Level level) {
  switch (level) {
    case Level::drains:
      return "drains";
    case Level::unknown:
      return "unknown";
    case Level::ends:
      return "ends";
    case Level::dies:
      return "dies";
    case Level::stays:
      return "stays";
    case Level::binds:
      return "binds";
    case Level::exclusive:
      return "exclusive";
  }
  return "binds";
}

std::string behaviour(const Cooperation& cooperation) {
  switch (cooperation.level) {
    case Level::drains:
      return "takes the conductor's socket, and answers what it has begun before it ends";
    case Level::unknown:
      return "takes the conductor's socket, and ends by itself; what it does with what it has begun could "
             "not be asked "
             "by HTTP";
    case Level::ends:
      return "takes the conductor's socket; SIGTERM ends it, and cuts what it has begun";
    case Level::dies:
      return "takes the conductor's socket; does not know SIGTERM, and dies of it";
    case Level::stays:
      return "takes the conductor's socket; does not end at SIGTERM, and has to be killed";
    case Level::binds:
      return "may bind by itself: the conductor answers with its own socket then; so it has no candidate run";
    case Level::exclusive:
      return "cannot run twice: the old version ends before the new one starts";
  }
  return "";
}

std::string cost(const Cooperation& cooperation, const ServiceSpec& service, bool steered) {
  // Who says READY=1 is believed to end well by himself; see supervise::Service::drain_when_accepted.
  const bool waits = steered && service.ready.kind != ProbeSpec::Kind::notify;
  switch (cooperation.level) {
    case Level::drains:
      return "nothing";
    case Level::unknown:
    case Level::binds:
      if (!waits) return "what it does not answer before it ends";
      [[fallthrough]];
    case Level::ends:
    case Level::dies:
      return waits ? "what takes longer than three seconds: it is told to end when nobody waits for an "
                     "answer of it any "
                     "more, after three seconds at the latest; connections that are kept alive are cut"
                   : "what it is just answering, and connections that are kept alive";
    case Level::stays:
      return fmt::format("what is not answered {} after SIGTERM", human_duration(service.drain_timeout));
    case Level::exclusive: {
      const auto gap = cooperation.drain + cooperation.boot;
      return fmt::format(
          "a wait: whoever comes meanwhile is answered after its end and the next one's start{}{}",
          gap.count() > 0 ? fmt::format(", {} as in this run", human_duration(gap)) : "",
          !cooperation.answered   ? ""
          : *cooperation.answered ? "; what it has begun is answered"
                                  : "; what it has begun is cut");
    }
  }
  return "";
}

nlohmann::json to_json(const Cooperation& cooperation) {
  return {
      {"service", cooperation.service},
      {"level", to_string(cooperation.level)},
      {"boot_ms", cooperation.boot.count()},
      {"drain_ms", cooperation.drain.count()},
      {"end", cooperation.end},
      {"answered", cooperation.answered ? nlohmann::json(*cooperation.answered) : nlohmann::json(nullptr)}};
}

Result<Cooperation> cooperation_from_json(const nlohmann::json& value) {
  Cooperation cooperation;
  SB_TRY(cooperation.service, json_string(value, "service"));
  SB_TRY(const std::string level, json_string(value, "level"));
  bool known = false;
  for (const Level one : kLevels) {
    if (level != to_string(one)) continue;
    cooperation.level = one;
    known = true;
  }
  if (!known) return fail(ErrorKind::corrupt, fmt::format("no level of cooperation is called \"{}\"", level));
  SB_TRY(const std::int64_t boot, json_integer_or(value, "boot_ms", 0));
  SB_TRY(const std::int64_t drain, json_integer_or(value, "drain_ms", 0));
  cooperation.boot = milliseconds(boot);
  cooperation.drain = milliseconds(drain);
  SB_TRY(cooperation.end, json_string_or(value, "end", ""));
  const auto answered = value.find("answered");
  if (answered != value.end() && answered->is_boolean()) cooperation.answered = answered->get<bool>();
  return cooperation;
}

}  // namespace sb::testrun
