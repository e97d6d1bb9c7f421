// Runs the program as the conductor does: with a listening socket as descriptor 3 and a socket to report to.
// Then asks it, stops it with SIGTERM, and expects that an open connection is still answered.
#include <array>
#include <cstdlib>
#include <iostream>
#include <string>

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

[[noreturn]] void fail(const std::string& what) {
  std::cerr << what << "\n";
  std::exit(1);
}

void expect(bool good, const std::string& what) {
  if (!good) fail("failed: " + what);
}

int notify_socket(const std::string& path) {
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  expect(path.size() < sizeof address.sun_path, "a short name for the socket");
  path.copy(address.sun_path, path.size());
  expect(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "bind " + path);
  return socket;
}

std::string receive(int socket) {
  std::array<char, 4096> block{};
  const ssize_t n = ::recv(socket, block.data(), block.size(), 0);
  return {block.data(), static_cast<std::size_t>(n > 0 ? n : 0)};
}

std::string ask(int socket, const std::string& path) {
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n";
  expect(::send(socket, request.data(), request.size(), MSG_NOSIGNAL) > 0, "sending a request");
  std::string text;
  while (text.find("\r\n\r\n") == std::string::npos || !text.ends_with('\n')) {
    const std::string piece = receive(socket);
    if (piece.empty()) break;
    text += piece;
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  expect(argc == 2, "one argument, the program");
  std::string folder = "/tmp/service-test.XXXXXX";
  expect(::mkdtemp(folder.data()) != nullptr, "a folder in /tmp");
  const std::string notify_path = folder + "/notify";
  const int notify = notify_socket(notify_path);

  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  expect(::bind(listener, reinterpret_cast<const sockaddr*>(&address), size) == 0, "bind");
  expect(::listen(listener, 16) == 0, "listen");
  expect(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");

  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("LISTEN_FDS", "1", 1);
    ::setenv("LISTEN_FDNAMES", "http", 1);
    ::setenv("NOTIFY_SOCKET", notify_path.c_str(), 1);
    ::setenv("GREETING", "tested", 1);
    if (listener == 3) ::_exit(126);  // dup2 onto itself would keep CLOEXEC; the notify socket took 3
    ::dup2(listener, 3);
    ::execl(argv[1], argv[1], nullptr);
    ::_exit(127);
  }
  expect(receive(notify) == "READY=1", "READY=1");

  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  expect(::connect(client, reinterpret_cast<const sockaddr*>(&address), size) == 0, "connect");
  expect(ask(client, "/").ends_with("\r\n\r\ntested\n"), "the greeting");
  expect(ask(client, "/health").starts_with("HTTP/1.1 200 OK\r\n"), "health");

  expect(::kill(child, SIGTERM) == 0, "SIGTERM");
  expect(receive(notify) == "STOPPING=1", "STOPPING=1");
  expect(ask(client, "/").find("\r\nConnection: close\r\n") != std::string::npos,
         "one more answer while it drains");
  int status = 0;
  expect(::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0,
         "exit code 0");
  ::unlink(notify_path.c_str());
  ::rmdir(folder.c_str());
  return 0;
}
