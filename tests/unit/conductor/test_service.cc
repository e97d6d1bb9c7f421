// A service for tests: HTTP/1.0 on the socket that it is given, one request after the other. What it does is
// said by the file "behaviour" of its folder, so that each version folder behaves as its test wants:
//
//   ok           READY=1, answers
//   never_ready  runs, but says nothing
//   lingers      the same, and ignores SIGTERM
//   dies         ends with code 7 at once
// GET / answers "<text of the file version> <pid>", GET /health 200 (503 when the file "sick" is there), GET
// /die ends with code 9, GET /events is what happened to it.
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

volatile std::sig_atomic_t stopping = 0;

std::string read_file(const char* path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void notify(const std::string& state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == nullptr || std::strlen(path) >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, std::strlen(path));
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ::sendto(fd, state.data(), state.size(), 0, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::close(fd);
}

// One line per start and stop, in a file that both versions share: the order of a drain-first swap can be
// seen.
void record(const char* what) {
  const char* path = std::getenv("EVENTS");
  if (path == nullptr) return;
  std::FILE* file = std::fopen(path, "a");
  std::fprintf(file, "%s %s\n", read_file("version").c_str(), what);
  std::fclose(file);
}

void answer(int connection) {
  std::string request;
  std::array<char, 4096> part{};
  while (request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = ::read(connection, part.data(), part.size());
    if (got <= 0) return;
    request.append(part.data(), static_cast<std::size_t>(got));
  }
  if (request.starts_with("GET /die")) std::_Exit(9);
  const bool sick = request.starts_with("GET /health") && ::access("sick", F_OK) == 0;
  const std::string body = read_file("version") + " " + std::to_string(::getpid());
  const std::string text = std::string(sick ? "HTTP/1.0 503 Sick\r\n" : "HTTP/1.0 200 OK\r\n") +
                           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  (void)!::write(connection, text.data(), text.size());
}

}  // namespace

int main() {
  const std::string behaviour = read_file("behaviour");
  record("started");
  if (behaviour == "dies") return 7;
  struct sigaction action{};
  action.sa_handler = [](int) { stopping = 1; };
  ::sigaction(SIGTERM, &action, nullptr);
  // SIGTERM only comes through while waiting, so that none is lost between a look at the flag and the wait.
  sigset_t terminate;
  sigset_t before;
  ::sigemptyset(&terminate);
  ::sigaddset(&terminate, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &terminate, &before);
  if (behaviour != "never_ready") notify("READY=1\nSTATUS=at your service");
  const bool has_socket = std::getenv("LISTEN_FDS") != nullptr;
  while (stopping == 0 || behaviour == "lingers") {
    pollfd wait{.fd = has_socket ? 3 : -1, .events = POLLIN, .revents = 0};
    if (::ppoll(&wait, 1, nullptr, &before) <= 0) continue;
    const int connection = ::accept4(3, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    answer(connection);
    ::close(connection);
  }
  record("stopped");
  return 0;
}
