// A service for candidate runs. Says first what it was given, then behaves as its argument says.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void notify(const std::string& text) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", variable("NOTIFY_SOCKET").c_str());
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ::sendto(fd, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::close(fd);
}

// Answers requests on descriptor 3: `good` times with 200, afterwards with 500.
[[noreturn]] void serve(int good) {
  while (true) {
    const int client = ::accept(3, nullptr, nullptr);
    if (client < 0) {
      ::usleep(1000);  // our socket may be non-blocking
      continue;
    }
    char request[4096];
    (void)!::read(client, request, sizeof request);
    const char* answer = good-- > 0 ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                                    : "HTTP/1.1 500 Bad\r\nContent-Length: 4\r\n\r\nsick";
    (void)!::write(client, answer, std::strlen(answer));
    ::close(client);
  }
}

// Answers one request, whenever the rest of it comes, and ends once it was told to; or ends at once.
int serve_until_told(bool drains) {
  static volatile std::sig_atomic_t told = 0;
  struct sigaction action{};
  action.sa_handler = [](int) { told = 1; };
  ::sigaction(SIGTERM, &action, nullptr);
  while (told == 0) {
    const int client = ::accept(3, nullptr, nullptr);
    if (client < 0) {
      ::usleep(1000);
      continue;
    }
    std::string request;
    char byte = 0;
    while (request.find("\r\n\r\n") == std::string::npos && (drains || told == 0)) {
      const ssize_t got = ::read(client, &byte, 1);
      if (got == 0) break;
      if (got > 0) request += byte;
    }
    const char* answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    if (request.ends_with("\r\n\r\n")) (void)!::write(client, answer, std::strlen(answer));
    ::close(client);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  std::cout << "candidate=" << variable("SELFBUILD_CANDIDATE") << " fds=" << variable("LISTEN_FDS")
            << " names=" << variable("LISTEN_FDNAMES") << "\nhome=" << variable("HOME")
            << " state=" << variable("SELFBUILD_HOME") << " tmp=" << variable("TMPDIR") << std::endl;
  if (mode == "die") return 3;
  if (mode == "crash") ::abort();
  if (mode == "ready") notify("READY=1\nSTATUS=fine");
  if (mode == "busy") notify("STATUS=still reading the index");
  if (mode == "watchdog") notify("WATCHDOG=1");
  if (mode == "deaf") std::signal(SIGTERM, SIG_IGN);
  if (mode == "drain") return serve_until_told(true);
  if (mode == "cut") return serve_until_told(false);
  if (mode == "serve") serve(1 << 30);
  if (mode == "serve-once") serve(1);
  if (mode == "sick") serve(0);
  while (true) ::pause();
}
