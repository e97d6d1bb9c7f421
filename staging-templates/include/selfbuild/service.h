// selfbuild/service.h: what a program says to the conductor, and how it lets itself be replaced without
// losing a request. C99 or C++, Linux, nothing but the C library (with a strict -std=c99: -D_GNU_SOURCE).
// Copy it into your project; it needs no selfbuild to build or to run, and does nothing where there is none.
//
// Sources: sd_listen_fds(3) for the sockets, sd_notify(3) for the messages; systemd works as well.
// Threads: from any, while none calls setenv(3) or putenv(3); one selfbuild_drain belongs to one thread.
// Errors: -1 and errno, unless it is said otherwise.
//
// The rule: how to drain
//
// The next version is started on the same listening sockets, so nobody ever finds the port closed. It is
// asked for its health and gets the new connections; then this process gets SIGTERM. From there on:
//
//   1. Say selfbuild_stopping(), and do not accept any more. What waits in the backlog is the next version's.
//      close() your listening sockets if you like; shutdown() would end them for the next version, too.
//   2. Answer in full what you have begun to read.
//   3. A kept-alive connection that is silent may have a request under way right now: whoever closes it at
//      once makes that request fail. Leave it open, answer one more request with "Connection: close", then
//      close it.
//   4. Before you close a connection after the last answer, shutdown(fd, SHUT_WR) and read until the peer
//      closes, or unread bytes turn the close into a reset that can take the answer with it.
//   5. End when no connection is left, or when your own patience ends: a second or two for silent ones. The
//      conductor waits `drain_timeout`, then it kills; who needs longer asks for more time by
//      selfbuild_more_time().
//
// clang-format off
//   const int stop = selfbuild_stop_descriptor();  // readable at SIGTERM and SIGINT; before any thread starts
//   const int web = selfbuild_socket("http");      // -1: nobody passed one, listen yourself
//   selfbuild_drain drain = {0, 0};
//   selfbuild_ready();
//   while (!selfbuild_may_end(&drain, busy, silent)) {
//     // poll `stop` (until it said so), `web` (unless drain.began) and the connections
//     poll(polled, count, selfbuild_drain_timeout(&drain, busy));
//     // … answer; with "Connection: close" once drain.began is true
//     if (polled[0].revents != 0) selfbuild_begin_drain(&drain, 2000);  // says STOPPING=1
//   }
// clang-format on
#ifndef SELFBUILD_SERVICE_H
#define SELFBUILD_SERVICE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// ---- Sockets ----

enum { SELFBUILD_FIRST_SOCKET = 3 };  // SD_LISTEN_FDS_START

// How many descriptors this process was given: from SELFBUILD_FIRST_SOCKET on, its sockets in the order of
// selfbuild.yaml, then what it has parked. 0 when they are meant for another process; who sets
// no $LISTEN_PID is believed.
static inline int selfbuild_sockets(void) {
  const char* pid = getenv("LISTEN_PID");
  const char* count = getenv("LISTEN_FDS");
  if (count == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid())) return 0;
  const long number = strtol(count, NULL, 10);
  return number > 0 && number < 1024 ? (int)number : 0;
}

// The descriptor of this name: a socket of selfbuild.yaml, or one that was parked by selfbuild_park(). Ask
// once: it is yours to close, and another file may get its number. None of those that were passed is
// inherited by what you execute from here on, and this one does not block, nor does it for the other version,
// which has the same socket: while two accept from it, the slower one finds nothing. -1 and ENOENT when there
// is none.
static inline int selfbuild_socket(const char* name) {
  const char* names = getenv("LISTEN_FDNAMES");
  const int count = selfbuild_sockets();
  int found = -1;
  for (int i = 0; i < count && names != NULL; ++i) {
    const size_t length = strcspn(names, ":");
    const int fd = SELFBUILD_FIRST_SOCKET + i;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (found < 0 && length == strlen(name) && strncmp(names, name, length) == 0) found = fd;
    names = names[length] == ':' ? names + length + 1 : NULL;
  }
  if (found < 0) {
    errno = ENOENT;
    return -1;
  }
  const int flags = fcntl(found, F_GETFL);
  return flags >= 0 && fcntl(found, F_SETFL, flags | O_NONBLOCK) == 0 ? found : -1;
}

// ---- Messages ----

// One message: lines NAME=VALUE, and a descriptor that goes with it unless it is -1. 0 as well when nobody
// listens ($NOTIFY_SOCKET is not set).
static inline int selfbuild_notify(const char* lines, int descriptor) {
  const char* path = getenv("NOTIFY_SOCKET");
  if (path == NULL || path[0] == '\0') return 0;
  struct sockaddr_un address;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  const size_t length = strlen(path);
  if (length >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';  // the abstract namespace

  struct iovec text;
  text.iov_base = (void*)(uintptr_t)lines;  // sendmsg(2) only reads it
  text.iov_len = strlen(lines);
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message;
  memset(&control, 0, sizeof control);
  memset(&message, 0, sizeof message);
  message.msg_name = &address;
  message.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &descriptor, sizeof descriptor);
  }
  const int out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (out < 0) return -1;
  const ssize_t sent = sendmsg(out, &message, MSG_NOSIGNAL);
  const int error = errno;
  close(out);
  errno = error;
  return sent < 0 ? -1 : 0;
}

// From now on it answers. With `ready: {notify: true}` nobody is sent here before.
static inline int selfbuild_ready(void) {
  return selfbuild_notify("READY=1", -1);
}
// It takes no more work. selfbuild_begin_drain() says it.
static inline int selfbuild_stopping(void) {
  return selfbuild_notify("STOPPING=1", -1);
}
// Still alive, for `health: {watchdog: …}`: at least twice in each $WATCHDOG_USEC.
static inline int selfbuild_alive(void) {
  return selfbuild_notify("WATCHDOG=1", -1);
}
// The time to get ready, or to drain, ends no earlier than so many milliseconds from now.
static inline int selfbuild_more_time(unsigned milliseconds) {
  char lines[64];
  snprintf(lines, sizeof lines, "EXTEND_TIMEOUT_USEC=%llu", milliseconds * 1000ULL);
  return selfbuild_notify(lines, -1);
}
// One line for people, which `selfbuild status` shows; longer ones are cut at 200 bytes, or at a line's end.
static inline int selfbuild_status(const char* text) {
  char lines[256];
  snprintf(lines, sizeof lines, "STATUS=%.*s",
           (int)strcspn(text, "\n") < 200 ? (int)strcspn(text, "\n") : 200, text);
  return selfbuild_notify(lines, -1);
}
// "reading the index: 3 of 10 (30%)", for people; and the time to get ready is as long again from here.
static inline int selfbuild_progress(const char* what, unsigned long done, unsigned long total,
                                     unsigned more_milliseconds) {
  char text[200];
  const unsigned long percent = done < total ? (unsigned long)(100.0 * (double)done / (double)total) : 100;
  snprintf(text, sizeof text, "%.100s: %lu of %lu (%lu%%)", what, done, total, percent);
  if (selfbuild_status(text) != 0) return -1;
  return more_milliseconds > 0 ? selfbuild_more_time(more_milliseconds) : 0;
}

// ---- What outlives the process ----

// 1 to 255 visible ASCII characters, none of them a colon.
static inline int selfbuild_is_name(const char* name) {
  size_t length = 0;
  while (name[length] > ' ' && name[length] < '\x7f' && name[length] != ':') ++length;
  return length > 0 && length <= 255 && name[length] == '\0';
}
static inline int selfbuild_store(const char* what, const char* name, int descriptor) {
  char lines[300];
  if (!selfbuild_is_name(name)) {
    errno = EINVAL;
    return -1;
  }
  snprintf(lines, sizeof lines, "%s=1\nFDNAME=%s", what, name);
  return selfbuild_notify(lines, descriptor);
}

// The conductor keeps a copy of this descriptor (a connection, a memfd) for the service's next process, of
// this version or another, after a crash too; there selfbuild_socket(name) has it. At most 16; of several
// with the same name that finds the first.
static inline int selfbuild_park(const char* name, int descriptor) {
  if (descriptor >= 0) return selfbuild_store("FDSTORE", name, descriptor);
  errno = EBADF;
  return -1;
}
// All of this name.
static inline int selfbuild_unpark(const char* name) {
  return selfbuild_store("FDSTOREREMOVE", name, -1);
}

// ---- Draining ----

// Becomes readable when the process is to end. Blocks SIGTERM and SIGINT in this thread and in those that it
// starts from here on: so call it first. A child keeps them blocked over exec, and has to unblock them in
// between (sigprocmask(2)). -1: nothing is blocked, and SIGTERM ends the process as ever.
static inline int selfbuild_stop_descriptor(void) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  const int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd >= 0) sigprocmask(SIG_BLOCK, &signals, NULL);
  return fd;
}

typedef struct selfbuild_drain {
  int began;         // not 0: accept nothing, and end each connection with its next answer
  int64_t until_ms;  // of the clock below
} selfbuild_drain;

static inline int64_t selfbuild_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
// Says STOPPING=1. Silent connections are not waited for any more after `patience_ms`. The second time:
// nothing.
static inline void selfbuild_begin_drain(selfbuild_drain* drain, unsigned patience_ms) {
  if (drain->began) return;
  drain->began = 1;
  drain->until_ms = selfbuild_now_ms() + patience_ms;
  selfbuild_stopping();
}
// `busy` connections have sent a part of a request, or have not got all of an answer; the others are silent.
static inline int selfbuild_may_end(const selfbuild_drain* drain, size_t busy, size_t silent) {
  return drain->began && busy == 0 && (silent == 0 || selfbuild_now_ms() >= drain->until_ms);
}
// For poll(2): how long nothing but a connection, or the stop descriptor, can be a reason to go on.
static inline int selfbuild_drain_timeout(const selfbuild_drain* drain, size_t busy) {
  if (!drain->began) return -1;
  const int64_t left = drain->until_ms - selfbuild_now_ms();
  if (left <= 0) return busy > 0 ? -1 : 0;
  return left < INT_MAX ? (int)left : INT_MAX;
}

#endif  // SELFBUILD_SERVICE_H
