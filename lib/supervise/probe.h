// The sockets, probes and notifications that the conductor and the candidate run share.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"
#include "supervise/service_spec.h"

namespace sb::supervise {

// A listening socket that we own.
struct BoundSocket {
  std::string name;
  std::string address;   // as bound: "127.0.0.1:43117", "unix:/path"
  UniqueFd fd;           // CLOEXEC, non-blocking, listening with the host's full backlog
  std::string source{};  // the address to ask from, when that decides who answers; see steering.h
};
// Whether a socket lets others listen on its address beside it (SO_REUSEPORT): never; from when it has it for
// itself; or it is such an other one.
enum class Sharing { alone, joinable, joins };
// Port 0 takes a free one. conflict when the address is taken by somebody else.
[[nodiscard]] Result<BoundSocket> bind_socket(const SocketSpec& spec, Sharing sharing = Sharing::alone);

// Asks once and blocks for at most spec.timeout: http (by libcurl), tcp and command; the other kinds have
// nothing to ask and are good. A socket's name in spec.address stands for its bound address. unhealthy says
// what came back. A command finds the bound addresses in SELFBUILD_LISTEN_<NAME> ("127.0.0.1:43117"; the name
// in capitals, other characters than letters and digits as "_"), since the candidate run has other ports than
// the live service. Thread-safe.
[[nodiscard]] Status probe_once(const ProbeSpec& spec, const std::vector<BoundSocket>& sockets,
                                const std::filesystem::path& directory);

// One datagram of sd_notify(3).
struct Notification {
  bool ready = false;
  bool reloading = false;
  bool stopping = false;
  bool watchdog = false;
  bool watchdog_trigger = false;  // it knows itself that it is ill
  std::optional<std::string> status;
  std::optional<long long> extend_timeout_usec;
  std::optional<long long> watchdog_usec;  // how often it reports from now on
  std::optional<pid_t> main_pid;
  bool park = false;         // FDSTORE: the descriptors that came with it
  bool drop_parked = false;  // FDSTOREREMOVE: those of this name
  std::string fd_name;
};
[[nodiscard]] Notification parse_notification(std::string_view datagram);

// The environment of a service: clean basics (PATH, LANG, HOME, USER), the spec's own, NOTIFY_SOCKET,
// WATCHDOG_USEC.
[[nodiscard]] std::vector<std::string> service_environment(const ServiceSpec& spec,
                                                           const std::string& notify_socket);
// The command with argv[0] made absolute: relative to the version's folder. A bare name that is not there
// ("sh") stays as it is, for PATH to find.
[[nodiscard]] std::vector<std::string> resolved_command(std::vector<std::string> command,
                                                        const std::filesystem::path& directory);
// SELFBUILD_LISTEN_<NAME>=<address>, for probe commands; see probe_once.
[[nodiscard]] std::string listen_variable(const BoundSocket& socket);

}  // namespace sb::supervise
