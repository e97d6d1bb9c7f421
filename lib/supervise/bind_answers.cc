#include "supervise/bind_answers.h"

#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "supervise/bind_match.h"

namespace sb::supervise {
namespace {

int option(int fd, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, level, name, &value, &size) == 0 ? value : 0;
}

// O_NONBLOCK belongs to what both descriptors stand for: it is for the service to say, as with LISTEN_FDS.
void block_like(int socket, int other) {
  const int flags = ::fcntl(socket, F_GETFL);
  const int wanted = (flags & ~O_NONBLOCK) | (::fcntl(other, F_GETFL) & O_NONBLOCK);
  if (flags != wanted) ::fcntl(socket, F_SETFL, wanted);
}

Result<AskedAddress> asked_address(const os::BindCall& call, int socket) {
  SB_TRY(const std::vector<std::byte> bytes, os::address_of(call));
  std::error_code code;
  const std::filesystem::path directory =
      std::filesystem::read_symlink(fmt::format("/proc/{}/cwd", call.thread), code);
  std::optional<Address> address = address_from(bytes, directory.string());
  if (!address) return fail(ErrorKind::not_found, "an address of another kind");
  const bool only_v6 =
      option(socket, SOL_SOCKET, SO_DOMAIN) == AF_INET6 && option(socket, IPPROTO_IPV6, IPV6_V6ONLY) != 0;
  return AskedAddress{.address = std::move(*address), .only_v6 = only_v6};
}

}  // namespace

std::string BindAnswers::vault_name(std::int64_t instance) const {
  return fmt::format("binds/{}/{}", service_, instance);
}

void BindAnswers::begin(std::int64_t instance, const ServiceSpec& spec, Side side, UniqueFd listener) {
  if (!listener) {
    return log(
        "this host does not let the conductor answer its bind (seccomp user notification): it has to "
        "take its sockets by LISTEN_FDS");
  }
  // Whoever waits for an answer when the conductor dies gets it from the next one.
  around_.vault.put(vault_name(instance), listener.get());
  watch(instance, Asked{.listener = std::move(listener), .spec = spec, .side = side, .watch = {}});
}

void BindAnswers::recover(std::int64_t instance, const ServiceSpec& spec, Side side) {
  UniqueFd listener = around_.vault.take(vault_name(instance));
  if (!listener) return;
  watch(instance, Asked{.listener = std::move(listener), .spec = spec, .side = side, .watch = {}});
}

void BindAnswers::watch(std::int64_t instance, Asked asked) {
  Asked& kept = asked_.insert_or_assign(instance, std::move(asked)).first->second;
  kept.watch =
      around_.processes.on_bind_calls(kept.listener.get(), [this, instance] { answer_next(instance); });
}

void BindAnswers::drop_all() {
  for (const auto& [instance, asked] : asked_) around_.vault.drop(vault_name(instance));
  asked_.clear();
}

void BindAnswers::answer_next(std::int64_t instance) {
  const auto found = asked_.find(instance);
  if (found == asked_.end()) return;
  const Asked& asked = found->second;
  if (os::is_over(asked.listener.get())) {
    around_.vault.drop(vault_name(instance));
    asked_.erase(found);
    return;
  }
  const std::optional<os::BindCall> call = os::next_bind_call(asked.listener.get());
  if (!call) return;
  if (answer(asked, *call)) {
    os::answer_done(asked.listener.get(), *call);
  } else {
    os::let_pass(asked.listener.get(), *call);
  }
}

// False: it is nothing to us.
bool BindAnswers::answer(const Asked& asked, const os::BindCall& call) {
  const Result<UniqueFd> theirs = os::socket_of(call);
  if (!theirs) {
    if (theirs.error().kind != ErrorKind::not_found) log(one_line(theirs.error()));
    return false;
  }
  if (call.is_listen) return sockets_.has(theirs->get());
  if (option(theirs->get(), SOL_SOCKET, SO_TYPE) != SOCK_STREAM) return false;
  const Result<AskedAddress> wanted = asked_address(call, theirs->get());
  // What was read may have been another process's, when it has gone.
  if (!wanted || !os::still_waits(asked.listener.get(), call)) return false;
  const std::optional<ListeningSockets::Taken> ours = sockets_.for_bind(asked.spec, asked.side, *wanted);
  if (!ours) return false;
  block_like(ours->fd, theirs->get());
  const Status given =
      os::replace_descriptor(asked.listener.get(), call, ours->fd, os::is_close_on_exec(call));
  if (!given) {
    log(one_line(given.error()));
    return false;
  }
  log(fmt::format("its bind of {} was answered with the socket {}", wanted->address.to_string(), ours->name));
  return true;
}

void BindAnswers::log(const std::string& text) const {
  around_.log(fmt::format("{}: {}", service_, text));
}

}  // namespace sb::supervise
