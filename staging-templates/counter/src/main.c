// @NAME@: tells each visitor by HTTP which number it has. It takes its socket from the conductor or, started
// by hand, listens on a port of its own.
#include <arpa/inet.h>
#include <poll.h>

#include "selfbuild/service.h"
#include "visits.h"

enum {
  PATIENCE_MS = 2000,  // for a visitor to send its request
  LAST_WAIT_MS = 200   // for it to close after the answer
};

static int listen_on(int port) {
  const int on = 1;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  struct sockaddr_in address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_port = htons((uint16_t)port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (const struct sockaddr*)&address, sizeof address) != 0 || listen(fd, SOMAXCONN) != 0)
    return -1;
  return fd;
}

// Reads until the empty line that ends a request without a body. The status that it deserves; 0: none came.
static int read_request(int fd) {
  char head[4096];
  size_t size = 0;
  const int64_t until = selfbuild_now_ms() + PATIENCE_MS;
  while (size < sizeof head - 1) {
    struct pollfd readable = {fd, POLLIN, 0};
    const int64_t left = until - selfbuild_now_ms();
    if (left <= 0 || poll(&readable, 1, (int)left) <= 0) return 0;
    const ssize_t got = recv(fd, head + size, sizeof head - 1 - size, 0);
    if (got <= 0) return 0;
    size += (size_t)got;
    head[size] = '\0';
    if (strstr(head, "\r\n\r\n") != NULL) return strncmp(head, "GET ", 4) == 0 ? 200 : 405;
  }
  return 431;
}

// The client closes after the last answer; if we did, what we have not read would cut the answer off.
static void finish(int fd) {
  char rest[4096];
  struct pollfd readable = {fd, POLLIN, 0};
  const int64_t until = selfbuild_now_ms() + LAST_WAIT_MS;
  shutdown(fd, SHUT_WR);
  while (selfbuild_now_ms() < until && poll(&readable, 1, LAST_WAIT_MS) > 0) {
    if (recv(fd, rest, sizeof rest, 0) <= 0) return;
  }
}

static void answer(int fd, selfbuild_state* state) {
  char text[256];
  char body[64] = "no\n";
  unsigned long number = 0;
  int status = read_request(fd);
  if (status == 0) return;
  if (status == 200) {
    const int code = visits_count(state, &number);
    if (code != SQLITE_OK) status = 500;
    snprintf(body, sizeof body, "visit %lu\n", number);
    if (code != SQLITE_OK) snprintf(body, sizeof body, "cannot count: %s\n", sqlite3_errstr(code));
  }
  const int length = snprintf(text, sizeof text,
                              "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                              "Connection: close\r\n\r\n%s",
                              status, status == 200 ? "OK" : "Refused", strlen(body), body);
  // So short an answer always fits into the socket's buffer.
  if (send(fd, text, (size_t)length, MSG_NOSIGNAL) == length) finish(fd);
}

int main(int argc, char** argv) {
  const int stop = selfbuild_stop_descriptor();
  selfbuild_drain drain = {0, 0};
  selfbuild_state state;
  const int code = visits_open(&state, NULL);
  if (code != SQLITE_OK) {
    fprintf(stderr, "cannot open the state in $STATE_DIRECTORY: %s\n", sqlite3_errstr(code));
    return 1;
  }
  int listener = selfbuild_socket("http");
  if (listener < 0) listener = listen_on(argc > 1 ? atoi(argv[1]) : 8080);
  if (stop < 0 || listener < 0) {
    perror("cannot listen");
    return 1;
  }
  selfbuild_ready();
  // A visitor is answered before the next one is taken, so there is never one to wait for.
  while (!selfbuild_may_end(&drain, 0, 0)) {
    struct pollfd polled[2] = {{stop, POLLIN, 0}, {listener, POLLIN, 0}};
    poll(polled, 2, selfbuild_drain_timeout(&drain, 0));
    if (polled[0].revents != 0) {
      selfbuild_begin_drain(&drain, 0);
    } else if (polled[1].revents != 0) {
      const int fd = accept(listener, NULL, NULL);
      if (fd < 0) continue;  // it went away
      answer(fd, &state);
      close(fd);
    }
  }
  selfbuild_state_close(&state);
  return 0;
}
