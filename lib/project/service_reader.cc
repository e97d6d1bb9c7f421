// A Service: its command, the sockets that the conductor keeps open for it, and the probes that say how it
// is.
#include "project/service_reader.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "project/rules.h"

namespace sb::project {
namespace {

using supervise::ProbeSpec;
using supervise::SafeModeKind;
using supervise::ServiceSpec;
using supervise::SocketSpec;
using supervise::SwapMode;
using supervise::Take;

using namespace std::chrono_literals;

constexpr int kMostAnswers = 1000;
constexpr std::size_t kMostSockets = 16;
constexpr auto kShortestProbe = 10ms;

// What the conductor itself sets for every service.
constexpr std::array<std::string_view, 6> kReserved = {"LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES",
                                                       "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};

void read_socket(Fields& fields, std::vector<SocketSpec>& sockets) {
  SocketSpec socket;
  fields.require("name");
  fields.text("name", socket.name, rule_socket_name);
  fields.require("listen");
  fields.text("listen", socket.listen, rule_address);
  static const std::array<std::pair<std::string, Take>, 3> kTakes = {
      {{"inherit", Take::inherit}, {"bind", Take::bind}, {"auto", Take::automatic}}};
  fields.choice<Take>("take", socket.take, kTakes);
  for (const SocketSpec& other : sockets) {
    if (!socket.name.empty() && other.name == socket.name) {
      fields.wrong("name", fmt::format("two sockets are named \"{}\"", socket.name));
    }
    if (!socket.listen.empty() && other.listen == socket.listen && !socket.listen.ends_with(":0")) {
      fields.wrong("listen", fmt::format("two sockets listen on \"{}\"", socket.listen));
    }
  }
  sockets.push_back(std::move(socket));
}

// An address, or the name of a socket of this service.
std::string rule_target(const std::string& text, const std::vector<SocketSpec>& sockets) {
  if (text.find(':') != std::string::npos) return rule_address(text);
  std::vector<std::string> names;
  names.reserve(sockets.size());
  for (const SocketSpec& socket : sockets) names.push_back(socket.name);
  if (std::ranges::find(names, text) != names.end()) return {};
  return "is no socket of this service" + suggestion(text, names);
}

// "http:/ready" is the path /ready of the socket named http; "127.0.0.1:80/ready" and
// "unix:/run/a.sock:/ready" too.
void read_http(Fields& fields, const std::vector<SocketSpec>& sockets, ProbeSpec& probe) {
  std::string text;
  fields.text("http", text, [&](const std::string& value) -> std::string {
    constexpr std::string_view kForm = "must be SOCKET:/path or ADDRESS:PORT/path";
    if (value.starts_with("http://") || value.starts_with("https://"))
      return "must be written without http://";
    const bool is_unix = value.starts_with("unix:");
    const std::size_t separator = is_unix ? value.find(":/", 6) : value.find('/');
    if (separator == std::string::npos || separator == 0) return std::string(kForm);
    const std::size_t slash = is_unix ? separator + 1 : separator;
    probe.address = value.substr(0, value[slash - 1] == ':' ? slash - 1 : slash);
    probe.path = value.substr(slash);
    if (probe.path.find_first_of(" \t\r\n") != std::string::npos) return "must not have blanks in its path";
    const std::string complaint = rule_target(probe.address, sockets);
    return complaint.empty() ? "" : fmt::format("has no valid target: \"{}\" {}", probe.address, complaint);
  });
}

void read_probe_kind(Fields& fields, const std::vector<SocketSpec>& sockets, ProbeSpec& probe) {
  using enum ProbeSpec::Kind;
  if (const YamlNode* node = fields.find("notify")) {
    probe.kind = notify;
    if (node->text != "true" || node->quoted) fields.wrong(*node, "\"notify\" can only be true");
  }
  if (fields.has("http")) probe.kind = http;
  read_http(fields, sockets, probe);
  if (fields.has("tcp")) probe.kind = tcp;
  fields.text("tcp", probe.address, [&](const std::string& value) { return rule_target(value, sockets); });
  if (fields.has("unix")) probe.kind = tcp;
  fields.text("unix", probe.address, [&](const std::string& value) {
    return value.starts_with('/') ? rule_address("unix:" + value) : rule_target(value, sockets);
  });
  if (probe.address.starts_with('/')) probe.address = "unix:" + probe.address;
  if (fields.has("command")) probe.kind = command;
  fields.list("command", probe.command, rule_not_empty, Fields::Size::filled);
  if (fields.has("watchdog")) probe.kind = watchdog;
  fields.duration("watchdog", probe.interval, kShortestProbe);
}

constexpr std::array kKinds{"notify", "http", "tcp", "unix", "command", "watchdog"};

// A kind that has no meaning for a probe, and what has.
struct Unfit {
  std::string_view kind;
  std::string_view instead;
};

void read_settings(Fields& fields, std::string_view key, ProbeSpec& probe) {
  if (fields.has("notify") || fields.has("watchdog")) return;
  fields.duration("interval", probe.interval, kShortestProbe);
  fields.duration("timeout", probe.timeout, kShortestProbe);
  fields.count("successes", probe.successes, kMostAnswers);
  // What starts may fail as often as there is time for.
  if (key != "start") fields.count("failures", probe.failures, kMostAnswers);
}

// `key` is start, ready or health.
void read_probe(Fields& spec, std::string_view key, std::span<const Unfit> unfit,
                const std::vector<SocketSpec>& sockets, ProbeSpec& probe) {
  const YamlNode* node = spec.find(key);
  if (node == nullptr) return;
  if (node->kind == YamlNode::Kind::scalar && node->text == "none") return;
  if (node->kind != YamlNode::Kind::mapping) {
    spec.wrong(*node, fmt::format(R"("{}" must be none or a mapping like {{http: "http:/health"}})", key));
    return;
  }
  spec.section(key, [&](Fields& fields) {
    read_probe_kind(fields, sockets, probe);
    const auto kinds = std::ranges::count_if(kKinds, [&](const char* kind) { return fields.has(kind); });
    constexpr std::array<std::string_view, 4> kSettings{"interval", "timeout", "failures", "successes"};
    const bool only_settings = std::ranges::all_of(node->keys, [&](const YamlNode::Key& name) {
      return std::ranges::find(kSettings, name.text) != kSettings.end();
    });
    // With an unknown key and no kind, the key is the mistake.
    if (kinds > 1 || (kinds == 0 && only_settings)) {
      fields.wrong(
          "", fmt::format("\"{}\" needs exactly one of notify, http, tcp, unix, command, watchdog", key));
    }
    for (const Unfit& one : unfit) {
      if (!fields.has(one.kind)) continue;
      fields.wrong(one.kind, fmt::format("\"{}\" has no meaning for {}; {}", one.kind, key, one.instead));
    }
    read_settings(fields, key, probe);
  });
}

void read_environment(Fields& spec, std::vector<std::string>& environment) {
  spec.environment("environment", environment);
  for (const std::string& entry : environment) {
    const std::string name = entry.substr(0, entry.find('='));
    if (std::ranges::find(kReserved, name) != kReserved.end()) {
      spec.wrong("environment", fmt::format("\"{}\" is set by the conductor", name));
    }
  }
}

void read_compare(Fields& spec, supervise::Compare& compare) {
  std::vector<std::string> known;
  known.reserve(supervise::kCompareWords.size());
  for (const auto& [word, what] : supervise::kCompareWords) known.emplace_back(word);
  std::vector<std::string> words;
  spec.list("compare", words, [&known](const std::string& word) {
    const bool good = std::ranges::find(known, word) != known.end();
    return good ? std::string() : fmt::format("is nothing to compare{}", suggestion(word, known));
  });
  for (const auto& [word, what] : supervise::kCompareWords)
    compare.*what = std::ranges::find(words, word) != words.end();
}

void check_program(Fields& spec, const std::vector<std::string>& command) {
  if (command.empty()) return;
  const std::string& program = command.front();
  if (program.starts_with('/')) return;
  if (const std::string complaint = rule_relative_path(program); !complaint.empty()) {
    spec.wrong("command", fmt::format("the program \"{}\" {}", program, complaint));
  }
}

}  // namespace

void read_service(Fields& spec, ServiceSpec& service) {
  static const std::array<std::pair<std::string, SwapMode>, 2> kSwapModes = {
      {{"overlap", SwapMode::overlap}, {"drain-first", SwapMode::drain_first}}};
  static const std::array<std::pair<std::string, SafeModeKind>, 3> kSafeModes = {
      {{"details", SafeModeKind::details}, {"brief", SafeModeKind::brief}, {"none", SafeModeKind::none}}};
  spec.require("command");
  spec.list("command", service.command, {}, Fields::Size::filled);
  check_program(spec, service.command);
  read_environment(spec, service.environment);
  spec.each("sockets", [&](Fields& socket) { read_socket(socket, service.sockets); });
  if (service.sockets.size() > kMostSockets) {
    spec.wrong("sockets", fmt::format("at most {} sockets", kMostSockets));
  }
  constexpr std::array kUnfitToStart{Unfit{.kind = "notify", .instead = "use ready"},
                                     Unfit{.kind = "watchdog", .instead = "use health"}};
  constexpr std::array kUnfitForReady{Unfit{.kind = "watchdog", .instead = "use notify"}};
  constexpr std::array kUnfitForHealth{Unfit{.kind = "notify", .instead = "use watchdog"}};
  read_probe(spec, "start", kUnfitToStart, service.sockets, service.start);
  read_probe(spec, "ready", kUnfitForReady, service.sockets, service.ready);
  read_probe(spec, "health", kUnfitForHealth, service.sockets, service.health);
  spec.choice<SwapMode>("swap", service.swap, kSwapModes);
  spec.truth("standby", service.standby);
  if (service.standby && service.swap == SwapMode::drain_first) {
    spec.wrong("standby", R"(with "standby" it runs twice, and "swap: drain-first" says that it cannot)");
  }
  spec.choice<SafeModeKind>("safe_mode", service.safe_mode, kSafeModes);
  spec.duration("start_timeout", service.start_timeout);
  spec.duration("drain_timeout", service.drain_timeout, 0ms);
  spec.duration("probation", service.probation, 0ms);
  read_compare(spec, service.compare);
}

}  // namespace sb::project
