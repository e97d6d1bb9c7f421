#include "supervise/listening_sockets.h"

#include <algorithm>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervise/address.h"

namespace sb::supervise {
namespace {

// In the vault, before the name of the socket that it belongs to.
const std::string kSideB = "b:";

constexpr int kFirstPassed = 3;    // sd_listen_fds(3)
constexpr int kMostSearched = 64;  // descriptors of a process

bool is_listening(int fd) {
  int on = 0;
  socklen_t size = sizeof on;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on != 0;
}

// The kernel's number of a socket, whatever descriptor stands for it (SO_COOKIE, Linux 4.6).
std::optional<std::uint64_t> cookie_of(int fd) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0) return std::nullopt;
  return cookie;
}

// Programs that bind a path remove what is there first. Our socket can be reached again only by a second name
// that it had all the time.
std::string second_name(const std::string& path) {
  return path + ".selfbuild";
}

void give_second_name(const std::string& listen) {
  const Result<Address> address = parse_address(listen);
  if (!address || !address->is_unix()) return;
  (void)!::link(address->unix_path.c_str(), second_name(address->unix_path).c_str());
}

void restore_path(const Address& address) {
  if (address.is_unix()) (void)!::link(second_name(address.unix_path).c_str(), address.unix_path.c_str());
}

void remove_socket_file(const std::string& path) {
  struct stat there{};
  if (::lstat(path.c_str(), &there) == 0 && S_ISSOCK(there.st_mode)) ::unlink(path.c_str());
}

// A duplicate of the process's descriptor, when it is a listening socket. Refused for processes that are not
// our descendants where Yama says so.
UniqueFd duplicate_of(const os::Process& process, int number) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_getfd, process.pidfd.get(), number, 0)));
  if (fd && !is_listening(fd.get())) fd.reset();
  return fd;
}

// As the table has it; empty when it has none.
std::string address_of(int fd) {
  std::vector<std::byte> bytes(sizeof(sockaddr_storage));
  auto size = static_cast<socklen_t>(bytes.size());
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(bytes.data()), &size) != 0) return {};
  bytes.resize(std::min<std::size_t>(size, bytes.size()));
  const std::optional<Address> address = address_from(bytes, "/");
  return address ? address->to_string() : "";
}

}  // namespace

bool ListeningSockets::Entry::used_by(const ServiceSpec& wanted) const {
  return std::ranges::find(wanted.sockets, spec) != wanted.sockets.end();
}

std::string ListeningSockets::vault_name(const SocketSpec& spec) const {
  return fmt::format("{}/{}/{}", service_, spec.name, spec.listen);
}

ListeningSockets::Entry* ListeningSockets::find(const SocketSpec& spec) {
  const auto found = std::ranges::find_if(entries_, [&](const Entry& entry) { return entry.spec == spec; });
  return found == entries_.end() ? nullptr : &*found;
}

void ListeningSockets::keep(const Entry& entry) {
  around_.vault.put(vault_name(entry.spec), entry.fd.get());
  if (entry.side_b) around_.vault.put(kSideB + vault_name(entry.spec), entry.side_b.get());
}

// From the process that has it, when the kernel allows: where it was passed, or wherever its bind put it.
UniqueFd ListeningSockets::from_process(const os::Process& process, const ServiceSpec& spec,
                                        const Entry& entry) {
  const auto wanted = std::ranges::find(spec.sockets, entry.spec);
  if (wanted == spec.sockets.end()) return {};
  const auto before = std::ranges::count_if(spec.sockets.begin(), wanted,
                                            [](const SocketSpec& one) { return one.take != Take::bind; });
  if (wanted->take != Take::bind) return duplicate_of(process, kFirstPassed + static_cast<int>(before));
  for (int fd = kFirstPassed; fd < kMostSearched; ++fd) {
    UniqueFd found = duplicate_of(process, fd);
    if (found && address_of(found.get()) == entry.address) return found;
  }
  return {};
}

void ListeningSockets::recover(const std::vector<SocketRow>& rows, const os::Process* holder,
                               const ServiceSpec& holder_spec, Side live) {
  for (const SocketRow& row : rows) {
    Entry entry{.spec = row.spec,
                .address = row.address,
                .fd = around_.vault.take(vault_name(row.spec)),
                .side_b = around_.vault.take(kSideB + vault_name(row.spec))};
    if (!entry.fd || !entry.side_b) {
      // The other half may be closed, and then the kernel counts otherwise.
      if (live == Side::b && entry.side_b) entry.fd = std::move(entry.side_b);
      entry.side_b.reset();
    }
    if (!entry.fd && holder != nullptr) entry.fd = from_process(*holder, holder_spec, entry);
    if (entry.fd) {
      keep(entry);
    } else {
      (void)bind(entry, live);  // taken by the instance that runs: then lost_ says so
    }
    if (!entry.fd) {
      lost_ = fmt::format("the conductor has lost the socket {}; it comes back when the service restarts",
                          entry.address);
    }
    entries_.push_back(std::move(entry));
  }
}

Status ListeningSockets::bind(Entry& entry, Side side) {
  // A socket that had a free port (":0") before keeps the port that clients know.
  const SocketSpec spec{.name = entry.spec.name,
                        .listen = entry.address.empty() ? entry.spec.listen : entry.address};
  Result<SteeredPair> pair = fail(ErrorKind::environment, "not steered");
  if (around_.steers && can_be_steered(spec.listen)) pair = bind_steered(spec);
  if (pair) {
    entry.address = pair->address;
    entry.fd = std::move(pair->a);
    entry.side_b = std::move(pair->b);
    SB_CHECK(supervise::steer(entry.fd.get(), side));
  } else {
    SB_TRY(BoundSocket bound, bind_socket(spec));
    entry.address = bound.address;
    entry.fd = std::move(bound.fd);
    // That of an earlier socket.
    if (const Result<Address> address = parse_address(entry.address); address && address->is_unix()) {
      remove_socket_file(second_name(address->unix_path));
    }
  }
  keep(entry);
  return around_.table.put_socket(
      SocketRow{.service = service_, .spec = entry.spec, .address = entry.address});
}

// The same address under another name: it cannot be bound twice, so both entries share the open socket.
Status ListeningSockets::share(Entry& entry, const Entry& other) {
  entry.fd = UniqueFd(::fcntl(other.fd.get(), F_DUPFD_CLOEXEC, 0));
  if (other.side_b) entry.side_b = UniqueFd(::fcntl(other.side_b.get(), F_DUPFD_CLOEXEC, 0));
  entry.address = other.address;
  keep(entry);
  return around_.table.put_socket(
      SocketRow{.service = service_, .spec = entry.spec, .address = entry.address});
}

Result<ListeningSockets::Passed> ListeningSockets::for_spec(const ServiceSpec& spec, Side side) {
  Passed passed;
  for (const SocketSpec& wanted : spec.sockets) {
    Entry* entry = find(wanted);
    if (entry == nullptr) {
      entries_.push_back(Entry{.spec = wanted, .address = {}, .fd = {}, .side_b = {}});
      entry = &entries_.back();
      for (const Entry& other : entries_) {
        if (&other == entry || other.spec.listen != wanted.listen || !other.fd ||
            wanted.listen.ends_with(":0"))
          continue;
        SB_CHECK(share(*entry, other));
        break;
      }
    }
    if (!entry->fd) {
      const Status bound = bind(*entry, side);
      if (!bound) {
        if (entry->address.empty()) entries_.erase(entries_.begin() + (entry - entries_.data()));
        return fail(Error(bound.error())
                        .doing(fmt::format("binding socket {} of service {}", wanted.name, service_)));
      }
      lost_.clear();
    }
    if (wanted.take != Take::inherit) give_second_name(entry->address);
    if (wanted.take == Take::bind) continue;
    passed.fds.push_back(entry->of(side).get());
    passed.names.push_back(wanted.name);
  }
  passed.addresses = addresses(spec, side);
  return passed;
}

std::optional<ListeningSockets::Taken> ListeningSockets::for_bind(const ServiceSpec& spec, Side side,
                                                                  const AskedAddress& asked) {
  std::vector<const Entry*> candidates;
  std::vector<Address> known;
  for (const SocketSpec& wanted : spec.sockets) {
    const Entry* const entry = wanted.take == Take::inherit ? nullptr : find(wanted);
    if (entry == nullptr || !entry->fd) continue;
    Result<Address> address = parse_address(entry->address);
    if (!address) continue;
    candidates.push_back(entry);
    known.push_back(std::move(*address));
  }
  const std::optional<std::size_t> index = match(asked, known);
  if (!index) return std::nullopt;
  const Entry& entry = *candidates[*index];
  restore_path(known[*index]);
  return Taken{.fd = entry.of(side).get(), .name = entry.spec.name};
}

bool ListeningSockets::has(int fd) const {
  const std::optional<std::uint64_t> wanted = cookie_of(fd);
  return wanted && std::ranges::any_of(entries_, [&](const Entry& entry) {
           return cookie_of(entry.fd.get()) == wanted || cookie_of(entry.side_b.get()) == wanted;
         });
}

std::vector<BoundAddress> ListeningSockets::addresses(const ServiceSpec& spec, Side side) const {
  std::vector<BoundAddress> known;
  for (const Entry& entry : entries_) {
    if (!entry.used_by(spec)) continue;
    known.push_back(BoundAddress{
        .name = entry.spec.name, .address = entry.address, .source = entry.side_b ? probe_source(side) : ""});
  }
  return known;
}

bool ListeningSockets::can_steer(const ServiceSpec& spec) const {
  const auto pairs = std::ranges::count_if(
      entries_, [&](const Entry& entry) { return entry.used_by(spec) && entry.side_b; });
  return pairs > 0 && static_cast<std::size_t>(pairs) == spec.sockets.size();
}

Status ListeningSockets::steer(Side side, int percent_to_other) {
  for (const Entry& entry : entries_) {
    if (entry.side_b) SB_CHECK(supervise::steer(entry.fd.get(), side, percent_to_other));
  }
  return {};
}

bool ListeningSockets::reach_far() const {
  return std::ranges::any_of(entries_,
                             [](const Entry& entry) { return entry.address.starts_with("0.0.0.0:"); });
}

int ListeningSockets::waiting(Side side) const {
  int count = 0;
  for (const Entry& entry : entries_) {
    if (entry.side_b) count += connections_waiting(entry.of(side).get());
  }
  return count;
}

int ListeningSockets::reset(Side side) {
  int count = 0;
  for (const Entry& entry : entries_) {
    if (entry.side_b) count += reset_waiting(entry.of(side).get());
  }
  return count;
}

std::vector<int> ListeningSockets::open_ones(const ServiceSpec& spec) const {
  std::vector<int> fds;
  for (const Entry& entry : entries_) {
    if (!entry.used_by(spec) || !entry.fd) continue;
    fds.push_back(entry.fd.get());
    if (entry.side_b) fds.push_back(entry.side_b.get());
  }
  return fds;
}

void ListeningSockets::forget(const Entry& entry) {
  around_.vault.drop(vault_name(entry.spec));
  if (entry.side_b) around_.vault.drop(kSideB + vault_name(entry.spec));
  const Status erased = around_.table.erase_socket(
      SocketRow{.service = service_, .spec = entry.spec, .address = entry.address});
  if (!erased) around_.log(one_line(erased.error()));
  const Result<Address> address = parse_address(entry.address);
  const bool still_used = std::ranges::find(entries_, entry.address, &Entry::address) != entries_.end();
  if (!address || !address->is_unix() || still_used) return;
  remove_socket_file(address->unix_path);
  remove_socket_file(second_name(address->unix_path));
}

void ListeningSockets::keep_only(const ServiceSpec& spec) {
  std::vector<Entry> gone;
  for (Entry& entry : std::exchange(entries_, {})) {
    (entry.used_by(spec) ? entries_ : gone).push_back(std::move(entry));
  }
  for (const Entry& entry : gone) forget(entry);
}

void ListeningSockets::close_all() {
  keep_only(ServiceSpec{});
}

}  // namespace sb::supervise
