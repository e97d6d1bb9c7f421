#include "tool/conductor/notify_listener.h"

#include <cstddef>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "os/process.h"
#include "os/unix_socket.h"

namespace sb::tool {
namespace {

namespace fs = std::filesystem;
constexpr const char* kVaultName = "notify";

}  // namespace

Result<NotifyListener> NotifyListener::open(const fs::path& path, supervise::SocketVault& vault) {
  if (path.native().size() >= sizeof(sockaddr_un::sun_path)) {
    return fail(ErrorKind::environment,
                fmt::format("{} has {} bytes; a socket's path may have {}", path.string(),
                            path.native().size(), sizeof(sockaddr_un::sun_path) - 1),
                "export SELFBUILD_HOME=/a/shorter/path");
  }
  std::error_code code;
  UniqueFd kept = vault.take(kVaultName);
  if (kept && fs::is_socket(path, code)) return NotifyListener(std::move(kept));
  SB_TRY(UniqueFd bound, os::bind_unix_datagram(path));
  vault.put(kVaultName, bound.get());
  return NotifyListener(std::move(bound));
}

void NotifyListener::start(os::EventLoop& loop, Handler handler) {
  readable_ = loop.on_readable(fd_.get(), [fd = fd_.get(), handler = std::move(handler)] {
    Result<os::Message> message = os::receive_with_fds(fd);
    if (message && message->sender_pid > 0) {
      handler(message->sender_pid, supervise::parse_notification(message->bytes), std::move(message->fds));
    }
  });
}

void tell_service_manager(std::string_view state) {
  std::string path = os::environment_variable("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return;
  if (path.front() == '@') path.front() = '\0';  // an abstract name
  std::memcpy(address.sun_path, path.data(), path.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
           size);
}

}  // namespace sb::tool
