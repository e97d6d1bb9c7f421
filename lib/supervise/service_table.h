// ServiceTable: services, their sockets and their running instances, on disk, so that a conductor that was
// killed finds them again.
//
// A row about a process means nothing after a power cut, and a sync has no place between a crash and the
// restart: the conductor leaves the syncs to sqlite::CommitSync.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "sqlite/database.h"
#include "supervise/service_spec.h"
#include "supervise/steering.h"

namespace sb::supervise {

// One version of a service: where its files are and how it is run. Version 0: not a version of any project.
struct Deployment {
  std::string project;
  int version = 0;
  std::filesystem::path directory;
  ServiceSpec spec;
  [[nodiscard]] bool is(const Deployment& other) const;  // in every respect
};

// resting: it was live until a moment ago, is alive and idle, and may become live again by steering alone.
// standby: of the live version, booted and without users, for the live one's crash.
enum class Role { live, incoming, draining, resting, standby };

// Who may move a service to another version.
struct Pin {
  enum class Kind {
    none,
    pinned,  // by a person: nobody, until it is unpinned
    frozen,  // taken back by itself: a person, but nothing that runs unattended
  };
  Kind kind = Kind::none;
  std::string reason{};  // one line
};
[[nodiscard]] std::string_view to_string(Pin::Kind kind);  // "pinned", "frozen" or ""

struct InstanceRow {
  std::int64_t id = 0;
  std::string service;
  Role role = Role::live;
  Deployment deployment;
  pid_t pid = 0;  // 0: its start was announced, perhaps long before, but not recorded
  std::uint64_t start_ticks = 0;
  bool ready = false;
  std::int64_t started_ms = 0;
  Side side = Side::a;
};
struct ServiceRow {
  Deployment deployment;
  bool wanted = true;
  bool paused = false;  // drained together with the conductor, to be started again with it
  Side side = Side::a;  // where new connections go
  Pin pin{};
};
struct SocketRow {
  std::string service;
  SocketSpec spec;
  std::string address;
};

struct ParkedRow {
  std::string service;
  std::int64_t number = 0;
  std::string name;
};

class ServiceTable {
 public:
  // Migrates its tables. The database outlives it.
  [[nodiscard]] static Result<ServiceTable> open(sqlite::Database& database);

  [[nodiscard]] Status put_service(const ServiceRow& row);
  [[nodiscard]] Status erase_service(const std::string& name);  // with all that belongs to it
  [[nodiscard]] Result<std::vector<ServiceRow>> services();

  [[nodiscard]] Status put_socket(const SocketRow& row);
  [[nodiscard]] Status erase_socket(const SocketRow& row);
  [[nodiscard]] Result<std::vector<SocketRow>> sockets(const std::string& service);

  [[nodiscard]] Status put_parked(const ParkedRow& row);
  [[nodiscard]] Status erase_parked(const std::string& service, std::int64_t number);
  [[nodiscard]] Result<std::vector<ParkedRow>> parked(const std::string& service);  // oldest first

  [[nodiscard]] Result<std::int64_t> announce(const InstanceRow& row);  // returns its id
  [[nodiscard]] Status set_process(std::int64_t id, pid_t pid, std::uint64_t start_ticks,
                                   std::int64_t started_ms);
  [[nodiscard]] Status set_ready(std::int64_t id);
  [[nodiscard]] Status set_role(std::int64_t id, Role role);
  // One instance takes over from another (0: none): the service's row and both roles, all of it or nothing.
  // Anything in between would have the next conductor take the wrong one for live.
  [[nodiscard]] Status hand_over(const ServiceRow& row, std::int64_t to, std::int64_t from,
                                 Role role_of_from = Role::draining);
  [[nodiscard]] Status erase_instance(std::int64_t id);
  [[nodiscard]] Result<std::vector<InstanceRow>> instances(const std::string& service);

 private:
  explicit ServiceTable(sqlite::Database& database) : database_(&database) {}
  sqlite::Database* database_;
};

}  // namespace sb::supervise
