// ListeningSockets: the sockets of one service. Bound once, kept across its versions and across the
// conductor's own death (in the vault), so that no connection is refused while nobody accepts: the backlog
// holds.
#pragma once

#include <string>
#include <vector>

#include "supervise/probe.h"
#include "supervise/surroundings.h"

namespace sb::supervise {

class ListeningSockets {
 public:
  ListeningSockets(Surroundings& around, std::string service)
      : around_(around), service_(std::move(service)) {}

  // After a restart of the conductor: gets back from the vault what the table says was bound; what is not
  // there is taken from the running process (which has it as descriptor 3, 4, …), when the kernel allows, or
  // else is lost.
  void recover(const std::vector<SocketRow>& rows, const os::Process* holder, const ServiceSpec& holder_spec);

  // Every socket of the spec, bound now when it was not before. conflict when somebody else has the address;
  // also when that is our own instance, since the socket was lost with the keeper.
  struct Passed {
    std::vector<int> fds;  // still ours
    std::vector<std::string> names;
    std::vector<BoundAddress> addresses;
  };
  [[nodiscard]] Result<Passed> for_spec(const ServiceSpec& spec);
  // The addresses as far as they are known; binds nothing.
  [[nodiscard]] std::vector<BoundAddress> addresses(const ServiceSpec& spec) const;
  // Those of the spec that are open; still ours.
  [[nodiscard]] std::vector<int> open_ones(const ServiceSpec& spec) const;
  // Closes what this spec does not use.
  void keep_only(const ServiceSpec& spec);
  void close_all();
  [[nodiscard]] const std::string& lost() const { return lost_; }  // one line for the status, or empty

 private:
  struct Entry {
    SocketSpec spec;
    std::string address;
    UniqueFd fd;  // none: lost
  };
  [[nodiscard]] Entry* find(const SocketSpec& spec);
  [[nodiscard]] std::string vault_name(const SocketSpec& spec) const;
  Status bind(Entry& entry);
  void forget(const Entry& entry);

  Surroundings& around_;
  std::string service_;
  std::vector<Entry> entries_;
  std::string lost_;
};

}  // namespace sb::supervise
