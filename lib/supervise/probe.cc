// Sockets, probes, notifications: what the candidate run (before a swap) and the conductor (after it) do
// alike.
#include "supervise/probe.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <limits>
#include <memory>

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "os/curl.h"
#include "os/process.h"
#include "os/unix_socket.h"
#include "supervise/address.h"

namespace sb::supervise {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int kBacklog = 65535;  // the kernel cuts it down to net.core.somaxconn
constexpr std::size_t kExcerpt = 400;

Result<UniqueFd> bind_internet(const Address& address, Sharing sharing) {
  SB_TRY(const SocketAddress where, socket_address(address));
  UniqueFd fd(::socket(where.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(errno_error(fmt::format("cannot create a socket for {}", address.to_string())));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (sharing == Sharing::joins) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (::bind(fd.get(), where.get(), where.size) != 0) {
    Error error = errno_error(fmt::format("cannot listen on {}", address.to_string()));
    if (errno == EADDRINUSE) {
      error.kind = ErrorKind::conflict;
      error.next = fmt::format("ss -ltnp 'sport = :{}'", address.port);
    }
    return fail(std::move(error));
  }
  if (sharing == Sharing::joinable) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  return fd;
}

Result<int> port_of(int fd) {
  SocketAddress bound;
  bound.size = sizeof bound.storage;
  std::array<char, 16> port{};
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&bound.storage), &bound.size) != 0 ||
      ::getnameinfo(bound.get(), bound.size, nullptr, 0, port.data(), port.size(), NI_NUMERICSERV) != 0) {
    return fail(ErrorKind::environment, "cannot find out which port was bound");
  }
  int number = 0;
  std::from_chars(port.data(), port.data() + port.size(), number);
  return number;
}

std::unexpected<Error> unhealthy(std::string what, std::string expected = {}, std::string found = {}) {
  Error error = make_error(ErrorKind::unhealthy, std::move(what));
  error.expected = std::move(expected);
  error.found = std::move(found);
  return fail(std::move(error));
}

Result<Address> probe_address(const ProbeSpec& spec, const std::vector<BoundSocket>& sockets) {
  for (const BoundSocket& socket : sockets) {
    if (socket.name == spec.address) {
      SB_TRY(Address address, parse_address(socket.address));
      return reachable(std::move(address));
    }
  }
  return parse_address(spec.address);
}

// Where to ask from, when that decides who answers; empty: from anywhere.
std::string probe_source_of(const ProbeSpec& spec, const Address& asked,
                            const std::vector<BoundSocket>& sockets) {
  for (const BoundSocket& socket : sockets) {
    if (socket.name == spec.address) return socket.source;
  }
  for (const BoundSocket& socket : sockets) {
    const Result<Address> bound = parse_address(socket.address);
    if (bound && reachable(*bound).to_string() == asked.to_string()) return socket.source;
  }
  return {};
}

// -- http
// ------------------------------------------------------------------------------------------------------

struct CurlCleanup {
  void operator()(CURL* handle) const { os::curl().easy_cleanup(handle); }
};

std::size_t keep_excerpt(const char* bytes, std::size_t, std::size_t count, void* into) {
  auto& text = *static_cast<std::string*>(into);
  text.append(bytes, std::min(count, kExcerpt - std::min(kExcerpt, text.size())));
  return count;
}

Status ask_http(const ProbeSpec& spec, const Address& address, const std::string& source) {
  SB_CHECK(os::load_curl());
  const std::unique_ptr<CURL, CurlCleanup> handle(os::curl().easy_init());
  if (!handle) return fail(ErrorKind::environment, "cannot start an HTTP client");

  const std::string url =
      address.is_unix() ? "http://localhost" + spec.path : "http://" + address.to_string() + spec.path;
  const std::string shown = address.is_unix() ? address.to_string() + " " + spec.path : url;
  std::string body;
  std::array<char, CURL_ERROR_SIZE> why{};
  CURL* const curl = handle.get();
  os::curl().easy_setopt(curl, CURLOPT_URL, url.c_str());
  if (address.is_unix()) os::curl().easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, address.unix_path.c_str());
  if (!source.empty()) os::curl().easy_setopt(curl, CURLOPT_INTERFACE, source.c_str());
  os::curl().easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
  os::curl().easy_setopt(curl, CURLOPT_PROXY, "");  // a proxy of the host's environment is not the service
  os::curl().easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  os::curl().easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(spec.timeout.count()));
  os::curl().easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(spec.timeout.count()));
  os::curl().easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
  os::curl().easy_setopt(curl, CURLOPT_USERAGENT, "selfbuild-probe");
  os::curl().easy_setopt(curl, CURLOPT_ERRORBUFFER, why.data());
  os::curl().easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_excerpt);
  os::curl().easy_setopt(curl, CURLOPT_WRITEDATA, &body);
  const CURLcode code = os::curl().easy_perform(curl);
  if (code != CURLE_OK) {
    return unhealthy(
        fmt::format("GET {}: {}", shown, why[0] == '\0' ? os::curl().easy_strerror(code) : why.data()));
  }
  long status = 0;
  os::curl().easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status >= 200 && status < 400) return {};
  const std::string_view line = body.empty() ? std::string_view() : split_lines(body).front();
  return unhealthy(fmt::format("GET {} answered {}", shown, status), "2xx or 3xx",
                   line.empty() ? std::to_string(status) : fmt::format("{}: {}", status, line));
}

// -- tcp
// -------------------------------------------------------------------------------------------------------

Status ask_tcp(const ProbeSpec& spec, const Address& address, const std::string& source) {
  if (address.is_unix()) {
    const Result<UniqueFd> connected = os::connect_unix(address.unix_path);
    return connected ? Status() : unhealthy(one_line(connected.error()));
  }
  SB_TRY(const SocketAddress where, socket_address(address));
  const UniqueFd fd(::socket(where.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(errno_error("cannot create a socket"));
  if (!source.empty()) {
    SB_TRY(const SocketAddress from, socket_address(Address{.unix_path = {}, .host = source, .port = 0}));
    if (::bind(fd.get(), from.get(), from.size) != 0) {
      return fail(errno_error(fmt::format("cannot ask from {}", source)));
    }
  }
  int code = ::connect(fd.get(), where.get(), where.size) == 0 ? 0 : errno;
  if (code == EINPROGRESS) {
    pollfd wait{.fd = fd.get(), .events = POLLOUT, .revents = 0};
    if (::poll(&wait, 1, static_cast<int>(spec.timeout.count())) <= 0) {
      return unhealthy(
          fmt::format("no answer from {} within {}", address.to_string(), human_duration(spec.timeout)));
    }
    socklen_t size = sizeof code;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &code, &size);
  }
  if (code == 0) return {};
  return unhealthy(one_line(errno_error(fmt::format("cannot connect to {}", address.to_string()), code)));
}

// -- command
// ---------------------------------------------------------------------------------------------------

struct Account {
  std::string home;
  std::string user;
};

// Asked once: it may be a server on the network that knows, and a restart does not wait for that.
const Account& account() {
  static const Account kOwn = [] {
    std::array<char, 4096> space{};
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwuid_r(::getuid(), &entry, space.data(), space.size(), &found) != 0 || found == nullptr) {
      return Account{.home = "/", .user = std::to_string(::getuid())};
    }
    return Account{.home = found->pw_dir, .user = found->pw_name};
  }();
  return kOwn;
}

std::vector<std::string> basics() {
  const auto or_else = [](std::string value, const auto& fallback) {
    return value.empty() ? std::string(fallback()) : value;
  };
  return {"PATH=" + or_else(os::environment_variable("PATH"),
                            [] { return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; }),
          "LANG=" + or_else(os::environment_variable("LANG"), [] { return "C.UTF-8"; }),
          "HOME=" + or_else(os::environment_variable("HOME"), [] { return account().home; }),
          "USER=" + or_else(os::environment_variable("USER"), [] { return account().user; })};
}

bool ends_within(const os::Process& process, milliseconds timeout) {
  pollfd wait{.fd = process.pidfd.get(), .events = POLLIN, .revents = 0};
  int got = 0;
  do {
    got = ::poll(&wait, 1, static_cast<int>(timeout.count()));
  } while (got < 0 && errno == EINTR);
  return got > 0;
}

Status ask_command(const ProbeSpec& spec, const std::vector<BoundSocket>& sockets,
                   const fs::path& directory) {
  const UniqueFd output(::memfd_create("probe-output", MFD_CLOEXEC));
  os::SpawnSpec what;
  what.argv = resolved_command(spec.command, directory);
  what.environment = basics();
  for (const BoundSocket& socket : sockets) what.environment.push_back(listen_variable(socket));
  what.directory = directory;
  what.output = output.get();
  const std::string shown = join(spec.command, " ");
  const Result<os::Process> process = os::spawn(what);
  if (!process) return unhealthy(fmt::format("`{}`: {}", shown, one_line(process.error())));
  const bool in_time = ends_within(*process, spec.timeout);
  if (!in_time) {
    os::send_signal(*process, SIGKILL, /*whole_group=*/true);
    (void)ends_within(*process, milliseconds(-1));
  }
  const std::optional<os::Exit> exit = os::reap(*process);
  if (!in_time) {
    return unhealthy(fmt::format("`{}` did not end within {}", shown, human_duration(spec.timeout)));
  }
  if (exit && exit->known && exit->signal == 0 && exit->code == 0) return {};
  std::array<char, kExcerpt> text{};
  const ssize_t size = ::pread(output.get(), text.data(), text.size(), 0);
  Error error = make_error(ErrorKind::unhealthy, fmt::format("`{}` says no", shown));
  error.expected = "exit code 0";
  error.found = exit ? exit->to_string() : "no exit code";
  if (size > 0) error.log = std::string(trim(std::string_view(text.data(), static_cast<std::size_t>(size))));
  return fail(std::move(error));
}

std::optional<long long> positive(std::string_view text) {
  long long number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size() || number <= 0) return std::nullopt;
  return number;
}

}  // namespace

Result<BoundSocket> bind_socket(const SocketSpec& spec, Sharing sharing) {
  SB_TRY(Address address, parse_address(spec.listen));
  BoundSocket bound{.name = spec.name, .address = {}, .fd = {}};
  if (address.is_unix()) {
    // A file that nobody listens on is what an earlier program left behind, and is replaced.
    if (os::connect_unix(address.unix_path)) {
      return fail(ErrorKind::conflict, fmt::format("cannot listen on {}: somebody else does", spec.listen));
    }
    SB_TRY(bound.fd, os::listen_unix(address.unix_path));
  } else {
    SB_TRY(bound.fd, bind_internet(address, sharing));
  }
  if (::listen(bound.fd.get(), kBacklog) != 0) {
    Error error = errno_error(fmt::format("cannot listen on {}", spec.listen));
    if (errno == EADDRINUSE) error.kind = ErrorKind::conflict;
    return fail(std::move(error));
  }
  if (!address.is_unix()) {
    SB_TRY(address.port, port_of(bound.fd.get()));
  }
  bound.address = address.to_string();
  return bound;
}

Status probe_once(const ProbeSpec& spec, const std::vector<BoundSocket>& sockets, const fs::path& directory) {
  switch (spec.kind) {
    case ProbeSpec::Kind::none:
    case ProbeSpec::Kind::notify:
    case ProbeSpec::Kind::watchdog:
      return {};
    case ProbeSpec::Kind::command:
      return ask_command(spec, sockets, directory);
    case ProbeSpec::Kind::http:
    case ProbeSpec::Kind::tcp: {
      SB_TRY(const Address address, probe_address(spec, sockets));
      const std::string source = probe_source_of(spec, address, sockets);
      return spec.kind == ProbeSpec::Kind::http ? ask_http(spec, address, source)
                                                : ask_tcp(spec, address, source);
    }
  }
  return fail(ErrorKind::bug, "unknown kind of probe");
}

Notification parse_notification(std::string_view datagram) {
  Notification notification;
  for (const std::string_view line : split_lines(datagram)) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, equals);
    const std::string_view value = line.substr(equals + 1);
    const bool yes = value == "1";
    if (name == "READY") notification.ready = notification.ready || yes;
    if (name == "RELOADING") notification.reloading = notification.reloading || yes;
    if (name == "STOPPING") notification.stopping = notification.stopping || yes;
    if (name == "WATCHDOG") {
      notification.watchdog = notification.watchdog || yes;
      notification.watchdog_trigger = notification.watchdog_trigger || value == "trigger";
    }
    if (name == "FDSTORE") notification.park = notification.park || yes;
    if (name == "FDSTOREREMOVE") notification.drop_parked = notification.drop_parked || yes;
    if (name == "FDNAME") notification.fd_name = std::string(value);
    if (name == "STATUS") notification.status = std::string(value.substr(0, 500));
    if (name == "EXTEND_TIMEOUT_USEC") notification.extend_timeout_usec = positive(value);
    if (name == "WATCHDOG_USEC") notification.watchdog_usec = positive(value);
    if (name == "MAINPID") {
      const std::optional<long long> pid = positive(value);
      if (pid && *pid <= std::numeric_limits<pid_t>::max()) notification.main_pid = static_cast<pid_t>(*pid);
    }
  }
  return notification;
}

std::vector<std::string> service_environment(const ServiceSpec& spec, const std::string& notify_socket) {
  std::vector<std::string> environment;
  const auto set = [&environment](std::string variable) {
    const std::string_view name = std::string_view(variable).substr(0, variable.find('=') + 1);
    std::erase_if(environment, [&](const std::string& other) { return other.starts_with(name); });
    environment.push_back(std::move(variable));
  };
  for (std::string& variable : basics()) set(std::move(variable));
  for (const std::string& variable : spec.environment) set(variable);
  if (!notify_socket.empty()) set("NOTIFY_SOCKET=" + notify_socket);
  if (spec.health.kind == ProbeSpec::Kind::watchdog) {
    set(fmt::format("WATCHDOG_USEC={}", std::chrono::microseconds(spec.health.interval).count()));
  }
  return environment;
}

std::vector<std::string> resolved_command(std::vector<std::string> command, const fs::path& directory) {
  const fs::path program = command.front();
  if (program.is_absolute()) return command;
  std::error_code ignored;
  const fs::path inside = directory / program;
  if (program.has_parent_path() || fs::exists(inside, ignored)) command.front() = inside.string();
  return command;
}

std::string listen_variable(const BoundSocket& socket) {
  std::string name = socket.name;
  for (char& c : name) {
    const bool capital = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    const bool small = c >= 'a' && c <= 'z';
    if (!capital) c = small ? static_cast<char>(c - 'a' + 'A') : '_';
  }
  const Result<Address> address = parse_address(socket.address);
  return fmt::format("SELFBUILD_LISTEN_{}={}", name,
                     address ? reachable(*address).to_string() : socket.address);
}

}  // namespace sb::supervise
