#include "tool/conductor/lost_services.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "os/process.h"
#include "supervise/process_runner.h"
#include "tool/conductor/state_repair.h"

namespace sb::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = "SELFBUILD_INSTANCE=";
constexpr std::string_view kSideB = "SELFBUILD_SIDE=b";
// What the conductor gives to every service by itself.
constexpr std::string_view kOurs[] = {"SELFBUILD_", "LISTEN_", "NOTIFY_SOCKET=", "WATCHDOG_",
                                      "XDG_",       "TMPDIR=", "PATH=",          "HOME="};

struct Lost {
  std::string service;
  std::string instance;  // its row's number, when it was started
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;
  supervise::Deployment deployment;
  supervise::Side side = supervise::Side::a;
};

// The texts of a /proc file that ends each with a zero byte.
std::vector<std::string> texts_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> texts;
  for (std::string text; std::getline(file, text, '\0');) texts.push_back(text);
  return texts;
}

// projects/P/versions/vN below the state folder; version 0 of no project elsewhere.
void name_version(const os::Home& home, supervise::Deployment& deployment) {
  const fs::path inside = deployment.directory.lexically_relative(home.state());
  std::vector<std::string> names;
  for (const fs::path& name : inside) names.push_back(name.string());
  if (names.size() != 4 || names[0] != "projects" || names[2] != "versions" || !names[3].starts_with('v'))
    return;
  deployment.project = names[1];
  std::from_chars(names[3].data() + 1, names[3].data() + names[3].size(), deployment.version);
}

// "127.0.0.1:8080" for what listens there, or the text that it was bound by.
std::string address_of(int fd, const std::string& listen) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return listen;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto& ip4 = reinterpret_cast<const sockaddr_in&>(storage);
    ::inet_ntop(AF_INET, &ip4.sin_addr, text.data(), text.size());
    return fmt::format("{}:{}", text.data(), ntohs(ip4.sin_port));
  }
  if (storage.ss_family == AF_INET6) {
    const auto& ip6 = reinterpret_cast<const sockaddr_in6&>(storage);
    ::inet_ntop(AF_INET6, &ip6.sin6_addr, text.data(), text.size());
    return fmt::format("[{}]:{}", text.data(), ntohs(ip6.sin6_port));
  }
  return listen;
}

// A process that leads its session and was started by a conductor of this home.
std::optional<Lost> service_process(const os::Home& home, pid_t pid) {
  if (supervise::session_of(pid) != pid) return std::nullopt;
  const fs::path proc = fmt::format("/proc/{}", pid);
  const std::vector<std::string> environment = texts_of(proc / "environ");
  const auto mark =
      std::ranges::find_if(environment, [](const std::string& one) { return one.starts_with(kMark); });
  const std::string socket = "SELFBUILD_SOCKET=" + home.conductor_socket().string();
  if (mark == environment.end() || std::ranges::find(environment, socket) == environment.end())
    return std::nullopt;
  const std::optional<std::uint64_t> ticks = os::start_ticks_of(pid);
  std::error_code code;
  const std::size_t colon = mark->rfind(':');
  Lost lost{.service = mark->substr(kMark.size(), colon - kMark.size()),
            .instance = mark->substr(colon + 1),
            .pid = pid,
            .start_ticks = ticks.value_or(0),
            .deployment = {
                .project = "", .version = 0, .directory = fs::read_symlink(proc / "cwd", code), .spec = {}}};
  if (!ticks || code) return std::nullopt;
  name_version(home, lost.deployment);
  lost.side =
      std::ranges::find(environment, kSideB) != environment.end() ? supervise::Side::b : supervise::Side::a;
  lost.deployment.spec.name = lost.service;
  lost.deployment.spec.command = texts_of(proc / "cmdline");
  std::ranges::copy_if(
      environment, std::back_inserter(lost.deployment.spec.environment), [](const std::string& one) {
        return std::ranges::none_of(kOurs, [&](std::string_view ours) { return one.starts_with(ours); });
      });
  return lost;
}

// Newest first: that one is live.
std::vector<Lost> service_processes(const os::Home& home) {
  std::vector<Lost> all;
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", code)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr != name.data() + name.size())
      continue;
    if (std::optional<Lost> found = service_process(home, pid)) all.push_back(std::move(*found));
  }
  std::ranges::sort(all, std::greater<>(), &Lost::start_ticks);
  return all;
}

// The sockets of a service that the keeper held: SERVICE/NAME/LISTEN.
Status write_sockets(const KeeperVault& vault, supervise::ServiceTable& table, Lost& lost) {
  for (const auto& [key, fd] : vault.held()) {
    const std::string prefix = lost.service + "/";
    const std::size_t slash = key.find('/', prefix.size());
    if (!key.starts_with(prefix) || slash == std::string::npos) continue;
    const supervise::SocketSpec spec{.name = key.substr(prefix.size(), slash - prefix.size()),
                                     .listen = key.substr(slash + 1)};
    lost.deployment.spec.sockets.push_back(spec);
    SB_CHECK(table.put_socket(
        {.service = lost.service, .spec = spec, .address = address_of(fd.get(), spec.listen)}));
  }
  return {};
}

}  // namespace

Status find_lost_services(const os::Home& home, supervise::ServiceTable& table, const KeeperVault& vault,
                          const std::function<void(const std::string&)>& log) {
  for (Lost& lost : service_processes(home)) {
    SB_TRY(const std::vector<supervise::InstanceRow> known, table.instances(lost.service));
    const bool is_known = std::ranges::any_of(known, [&](const supervise::InstanceRow& row) {
      // One that was announced and whose start was not recorded is found by its mark.
      return row.pid == lost.pid || (row.pid == 0 && std::to_string(row.id) == lost.instance);
    });
    if (is_known) continue;
    SB_TRY(const std::vector<supervise::ServiceRow> services, table.services());
    const auto service = std::ranges::find_if(
        services, [&](const supervise::ServiceRow& row) { return row.deployment.spec.name == lost.service; });
    if (service != services.end()) {
      lost.deployment.spec = service->deployment.spec;
    } else {
      SB_CHECK(write_sockets(vault, table, lost));
    }
    const bool first = std::ranges::none_of(known, [](const supervise::InstanceRow& row) {
      return row.role == supervise::Role::live && os::start_ticks_of(row.pid) == row.start_ticks;
    });
    if (first) SB_CHECK(table.put_service({.deployment = lost.deployment, .side = lost.side}));
    supervise::InstanceRow row{.service = lost.service,
                               .role = first ? supervise::Role::live : supervise::Role::draining,
                               .deployment = lost.deployment,
                               .side = lost.side};
    SB_TRY(const std::int64_t id, table.announce(row));
    SB_CHECK(table.set_process(id, lost.pid, lost.start_ticks, row.started_ms));
    SB_CHECK(table.set_ready(id));
    log(fmt::format("{}: found pid {} (v{}), which the database does not know", lost.service, lost.pid,
                    lost.deployment.version));
  }
  return {};
}

bool has_damaged_database(const os::Home& home, pid_t pid) {
  const std::string aside = home.database().string() + kDamaged;
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator(fmt::format("/proc/{}/fd", pid), code)) {
    if (fs::read_symlink(entry.path(), code).string().starts_with(aside)) return true;
  }
  return false;
}

}  // namespace sb::tool
