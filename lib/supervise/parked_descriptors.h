// ParkedDescriptors: what a service has put aside with us (FDSTORE=1 of sd_notify(3)) for its next process,
// of this version or another: connections, memfds with its state. They outlive the conductor in the vault.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "supervise/surroundings.h"

namespace sb::supervise {

class ParkedDescriptors {
 public:
  static constexpr std::size_t kMost = 16;  // per service

  ParkedDescriptors(Surroundings& around, std::string service)
      : around_(around), service_(std::move(service)) {}

  // After a restart of the conductor. What the vault has lost is lost.
  void recover(const std::vector<ParkedRow>& rows);

  // One that is parked under this name already is closed again. conflict when there are kMost.
  [[nodiscard]] Status park(const std::string& name, UniqueFd fd);
  void drop(const std::string& name);  // all of this name
  void drop_all();

  [[nodiscard]] std::size_t count() const { return entries_.size(); }
  // For the next process, behind its sockets; still ours.
  void pass(std::vector<int>& fds, std::vector<std::string>& names) const;

 private:
  struct Entry {
    std::int64_t number;
    std::string name;
    UniqueFd fd;
  };
  [[nodiscard]] std::string vault_name(std::int64_t number) const;
  void forget(const Entry& entry);

  Surroundings& around_;
  std::string service_;
  std::vector<Entry> entries_;  // oldest first
  std::int64_t next_ = 1;
};

// A name that LISTEN_FDNAMES can hold; "stored" when it cannot, or there is none.
[[nodiscard]] std::string parked_name(const std::string& wanted);

}  // namespace sb::supervise
