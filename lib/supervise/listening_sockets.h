// ListeningSockets: the sockets of one service. Bound once, kept across its versions and across the
// conductor's own death (in the vault), so that no connection is refused while nobody accepts: the backlog
// holds. Where connections can be steered (steering.h) each is a pair: one for the live instance, one for the
// next.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "supervise/bind_match.h"
#include "supervise/probe.h"
#include "supervise/steering.h"
#include "supervise/surroundings.h"

namespace sb::supervise {

class ListeningSockets {
 public:
  ListeningSockets(Surroundings& around, std::string service)
      : around_(around), service_(std::move(service)) {}

  // After a restart of the conductor: gets back from the vault what the table says was bound; what is not
  // there is taken from the running process (which has it as descriptor 3, 4, … or where its bind put it),
  // when the kernel allows, or else is lost.
  void recover(const std::vector<SocketRow>& rows, const os::Process* holder, const ServiceSpec& holder_spec,
               Side live);

  // Every socket of the spec, bound now when it was not before, for an instance on this side. conflict when
  // somebody else has the address; also when that is our own instance, since the socket was lost with the
  // keeper.
  struct Passed {
    std::vector<int> fds;  // still ours
    std::vector<std::string> names;
    std::vector<BoundAddress> addresses;
  };
  [[nodiscard]] Result<Passed> for_spec(const ServiceSpec& spec, Side side);
  // The one that a call of bind means, when it is open and may be taken so. A Unix socket whose
  // file is gone is there again.
  struct Taken {
    int fd = -1;  // still ours
    std::string name;
  };
  [[nodiscard]] std::optional<Taken> for_bind(const ServiceSpec& spec, Side side, const AskedAddress& asked);
  // The descriptor is one of these sockets.
  [[nodiscard]] bool has(int fd) const;
  // The addresses as far as they are known, and from where this side is asked; binds nothing.
  [[nodiscard]] std::vector<BoundAddress> addresses(const ServiceSpec& spec, Side side) const;
  // Those of the spec that are open, of both sides; still ours.
  [[nodiscard]] std::vector<int> open_ones(const ServiceSpec& spec) const;
  // Every socket of the spec is a pair, and there is one.
  [[nodiscard]] bool can_steer(const ServiceSpec& spec) const;
  // Sends new connections to this side, but for percent of them. At most 10 µs a socket; writes nothing.
  [[nodiscard]] Status steer(Side side, int percent_to_other = 0);
  // Other hosts may reach one of them.
  [[nodiscard]] bool reach_far() const;
  // Connections in the backlogs of this side.
  [[nodiscard]] int waiting(Side side) const;
  // Resets them, when nobody is left who could accept them; how many there were.
  int reset(Side side);
  // Closes what this spec does not use.
  void keep_only(const ServiceSpec& spec);
  void close_all();
  [[nodiscard]] const std::string& lost() const { return lost_; }  // one line for the status, or empty

 private:
  struct Entry {
    SocketSpec spec;
    std::string address;
    UniqueFd fd;      // none: lost
    UniqueFd side_b;  // none: fd is shared by both sides
    [[nodiscard]] const UniqueFd& of(Side side) const { return side_b && side == Side::b ? side_b : fd; }
    [[nodiscard]] bool used_by(const ServiceSpec& wanted) const;
  };
  [[nodiscard]] Entry* find(const SocketSpec& spec);
  [[nodiscard]] std::string vault_name(const SocketSpec& spec) const;
  [[nodiscard]] static UniqueFd from_process(const os::Process& process, const ServiceSpec& spec,
                                             const Entry& entry);
  Status bind(Entry& entry, Side side);
  Status share(Entry& entry, const Entry& other);
  void keep(const Entry& entry);
  void forget(const Entry& entry);

  Surroundings& around_;
  std::string service_;
  std::vector<Entry> entries_;
  std::string lost_;
};

}  // namespace sb::supervise
