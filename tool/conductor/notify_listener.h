// NotifyListener: the socket behind NOTIFY_SOCKET, state/notify.sock. The kernel says who sent each datagram.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "os/event_loop.h"
#include "supervise/probe.h"
#include "supervise/surroundings.h"

namespace sb::tool {

class NotifyListener {
 public:
  // The socket of the conductor before, when the vault has it: a READY=1 that came while no conductor ran
  // waits in it. environment when the path is too long for sockaddr_un, which services have to use.
  [[nodiscard]] static Result<NotifyListener> open(const std::filesystem::path& path,
                                                   supervise::SocketVault& vault);

  using Handler =
      std::function<void(pid_t sender, const supervise::Notification&, std::vector<UniqueFd> fds)>;
  void start(os::EventLoop& loop, Handler handler);

 private:
  explicit NotifyListener(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  os::Watch readable_;
};

// Tells the service manager above us, when there is one ($NOTIFY_SOCKET), that methods are answered from now
// on.
void tell_service_manager(std::string_view state);

}  // namespace sb::tool
