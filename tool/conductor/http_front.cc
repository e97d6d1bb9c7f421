#include "tool/conductor/http_front.h"

#include <utility>

#include "os/process.h"
#include "os/unix_socket.h"

namespace sb::tool {
namespace {

constexpr const char* kUnixName = "http/unix";

Status listen_local(http::Server& server, const os::Home& home, supervise::SocketVault& vault) {
  UniqueFd socket = vault.take(kUnixName);
  if (!socket || !std::filesystem::exists(home.http_socket())) {
    SB_TRY(socket, os::listen_unix(home.http_socket()));
  }
  vault.put(kUnixName, socket.get());
  return server.listen(std::move(socket), {});
}

Status listen_loopback(http::Server& server, const std::string& address, supervise::SocketVault& vault) {
  const std::string name = "http/tcp/" + address;
  UniqueFd socket = vault.take(name);
  int port = http::port_of(socket.get());
  if (!socket) {
    SB_TRY(socket, http::listen_loopback(address, port));
  }
  vault.put(name, socket.get());
  return server.listen(std::move(socket), {.port = port});
}

}  // namespace

Result<std::unique_ptr<http::Server>> open_http(os::EventLoop& loop, const os::Home& home,
                                                supervise::SocketVault& vault,
                                                const std::function<void(const std::string&)>& log) {
  SB_TRY(std::string token, http::token_of(home));
  auto server = std::make_unique<http::Server>(loop, std::move(token));
  SB_CHECK(listen_local(*server, home, vault));
  const std::string address = os::environment_variable(kHttpVariable);
  if (address.empty()) return server;
  const Status listens = listen_loopback(*server, address, vault);
  if (!listens) log("no HTTP at " + address + ": " + one_line(listens.error()));
  return server;
}

}  // namespace sb::tool
