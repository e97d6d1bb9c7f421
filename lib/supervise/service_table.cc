#include "supervise/service_table.h"

#include <array>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "supervise/schema.h"

namespace sb::supervise {
namespace {

constexpr std::array kMigrations{sqlite::Migration{.number = 1, .sql = schema::k001_supervise},
                                 sqlite::Migration{.number = 2, .sql = schema::k002_paused},
                                 sqlite::Migration{.number = 3, .sql = schema::k003_parked},
                                 sqlite::Migration{.number = 4, .sql = schema::k004_side},
                                 sqlite::Migration{.number = 5, .sql = schema::k005_pinned}};

std::string_view to_string(Role role) {
  switch (role) {
    case Role::live:
      return "live";
    case Role::incoming:
      return "incoming";
    case Role::draining:
      return "draining";
    case Role::resting:
      return "resting";
    case Role::standby:
      return "standby";
  }
  return "live";
}

Role role_from(std::string_view text) {
  if (text == "incoming") return Role::incoming;
  if (text == "resting") return Role::resting;
  if (text == "standby") return Role::standby;
  return text == "draining" ? Role::draining : Role::live;
}

Side side_from(const std::string& text) {
  return text == to_string(Side::b) ? Side::b : Side::a;
}

Pin::Kind pin_from(const std::string& text) {
  if (text == "pinned") return Pin::Kind::pinned;
  return text == "frozen" ? Pin::Kind::frozen : Pin::Kind::none;
}

Result<ServiceSpec> spec_from(const std::string& text) {
  SB_TRY(const Json value, parse_json(text));
  return doing("reading a service from the database", service_from_json(value));
}

}  // namespace

std::string_view to_string(Pin::Kind kind) {
  return kind == Pin::Kind::pinned ? "pinned" : kind == Pin::Kind::frozen ? "frozen" : "";
}

bool Deployment::is(const Deployment& other) const {
  return project == other.project && version == other.version && directory == other.directory &&
         to_json(spec) == to_json(other.spec);
}

Result<ServiceTable> ServiceTable::open(sqlite::Database& database) {
  SB_CHECK(doing("opening the table of services", database.migrate("supervise", kMigrations)));
  return ServiceTable(database);
}

Status ServiceTable::put_service(const ServiceRow& row) {
  SB_TRY(sqlite::Statement put,
         database_->prepare(
             "INSERT INTO service(name, project, version, directory, spec, wanted, paused, side, pin, "
             "pin_reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(name) DO UPDATE SET "
             "project = excluded.project, version = excluded.version, directory = excluded.directory, "
             "spec = excluded.spec, wanted = excluded.wanted, paused = excluded.paused, "
             "side = excluded.side, pin = excluded.pin, pin_reason = excluded.pin_reason"));
  const Deployment& deployment = row.deployment;
  put.bind(1, deployment.spec.name).bind(2, deployment.project).bind(3, deployment.version);
  put.bind(4, deployment.directory.string())
      .bind(5, dump_json(to_json(deployment.spec)))
      .bind(6, row.wanted ? 1 : 0)
      .bind(7, row.paused ? 1 : 0);
  put.bind(8, to_string(row.side)).bind(9, to_string(row.pin.kind)).bind(10, row.pin.reason);
  return put.run();
}

Status ServiceTable::erase_service(const std::string& name) {
  return database_->transaction([&]() -> Status {
    for (const char* sql :
         {"DELETE FROM service WHERE name = ?", "DELETE FROM service_socket WHERE service = ?",
          "DELETE FROM instance WHERE service = ?", "DELETE FROM parked_descriptor WHERE service = ?"}) {
      SB_TRY(sqlite::Statement erase, database_->prepare(sql));
      SB_CHECK(erase.bind(1, name).run());
    }
    return {};
  });
}

Result<std::vector<ServiceRow>> ServiceTable::services() {
  std::vector<ServiceRow> rows;
  SB_TRY(sqlite::Statement all,
         database_->prepare(
             "SELECT project, version, directory, spec, wanted, paused, side, pin, pin_reason FROM service "
             "ORDER BY rowid"));
  while (true) {
    SB_TRY(const bool more, all.step());
    if (!more) return rows;
    ServiceRow row;
    row.deployment.project = all.text(0);
    row.deployment.version = static_cast<int>(all.integer(1));
    row.deployment.directory = all.text(2);
    SB_TRY(row.deployment.spec, spec_from(all.text(3)));
    row.wanted = all.integer(4) != 0;
    row.paused = all.integer(5) != 0;
    row.side = side_from(all.text(6));
    row.pin = {.kind = pin_from(all.text(7)), .reason = all.text(8)};
    rows.push_back(std::move(row));
  }
}

Status ServiceTable::put_socket(const SocketRow& row) {
  SB_TRY(sqlite::Statement put,
         database_->prepare(
             "INSERT OR REPLACE INTO service_socket(service, name, listen, address) VALUES (?, ?, ?, ?)"));
  return put.bind(1, row.service).bind(2, row.spec.name).bind(3, row.spec.listen).bind(4, row.address).run();
}

Status ServiceTable::erase_socket(const SocketRow& row) {
  SB_TRY(sqlite::Statement erase,
         database_->prepare("DELETE FROM service_socket WHERE service = ? AND name = ? AND listen = ?"));
  return erase.bind(1, row.service).bind(2, row.spec.name).bind(3, row.spec.listen).run();
}

Result<std::vector<SocketRow>> ServiceTable::sockets(const std::string& service) {
  std::vector<SocketRow> rows;
  SB_TRY(sqlite::Statement all,
         database_->prepare(
             "SELECT name, listen, address FROM service_socket WHERE service = ? ORDER BY rowid"));
  all.bind(1, service);
  while (true) {
    SB_TRY(const bool more, all.step());
    if (!more) return rows;
    rows.push_back(SocketRow{
        .service = service, .spec = {.name = all.text(0), .listen = all.text(1)}, .address = all.text(2)});
  }
}

Status ServiceTable::put_parked(const ParkedRow& row) {
  SB_TRY(sqlite::Statement put,
         database_->prepare("INSERT INTO parked_descriptor(service, number, name) VALUES (?, ?, ?)"));
  return put.bind(1, row.service).bind(2, row.number).bind(3, row.name).run();
}

Status ServiceTable::erase_parked(const std::string& service, std::int64_t number) {
  SB_TRY(sqlite::Statement erase,
         database_->prepare("DELETE FROM parked_descriptor WHERE service = ? AND number = ?"));
  return erase.bind(1, service).bind(2, number).run();
}

Result<std::vector<ParkedRow>> ServiceTable::parked(const std::string& service) {
  std::vector<ParkedRow> rows;
  SB_TRY(sqlite::Statement all,
         database_->prepare("SELECT number, name FROM parked_descriptor WHERE service = ? ORDER BY number"));
  all.bind(1, service);
  while (true) {
    SB_TRY(const bool more, all.step());
    if (!more) return rows;
    rows.push_back({.service = service, .number = all.integer(0), .name = all.text(1)});
  }
}

Result<std::int64_t> ServiceTable::announce(const InstanceRow& row) {
  SB_TRY(sqlite::Statement put,
         database_->prepare(
             "INSERT INTO instance(service, role, project, version, directory, spec, pid, start_ticks, "
             "ready, started_ms, side) VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?)"));
  const Deployment& deployment = row.deployment;
  put.bind(1, row.service)
      .bind(2, to_string(row.role))
      .bind(3, deployment.project)
      .bind(4, deployment.version);
  put.bind(5, deployment.directory.string())
      .bind(6, dump_json(to_json(deployment.spec)))
      .bind(7, row.started_ms)
      .bind(8, to_string(row.side));
  SB_CHECK(put.run());
  return database_->last_insert_id();
}

Status ServiceTable::set_process(std::int64_t id, pid_t pid, std::uint64_t start_ticks,
                                 std::int64_t started_ms) {
  SB_TRY(sqlite::Statement set,
         database_->prepare("UPDATE instance SET pid = ?, start_ticks = ?, started_ms = ? WHERE id = ?"));
  return set.bind(1, static_cast<std::int64_t>(pid))
      .bind(2, static_cast<std::int64_t>(start_ticks))
      .bind(3, started_ms)
      .bind(4, id)
      .run();
}

Status ServiceTable::set_ready(std::int64_t id) {
  SB_TRY(sqlite::Statement set, database_->prepare("UPDATE instance SET ready = 1 WHERE id = ?"));
  return set.bind(1, id).run();
}

Status ServiceTable::set_role(std::int64_t id, Role role) {
  SB_TRY(sqlite::Statement set, database_->prepare("UPDATE instance SET role = ? WHERE id = ?"));
  return set.bind(1, to_string(role)).bind(2, id).run();
}

Status ServiceTable::hand_over(const ServiceRow& row, std::int64_t to, std::int64_t from, Role role_of_from) {
  return database_->transaction([&]() -> Status {
    SB_CHECK(put_service(row));
    if (to != 0) SB_CHECK(set_role(to, Role::live));
    if (from != 0) SB_CHECK(set_role(from, role_of_from));
    return {};
  });
}

Status ServiceTable::erase_instance(std::int64_t id) {
  SB_TRY(sqlite::Statement erase, database_->prepare("DELETE FROM instance WHERE id = ?"));
  return erase.bind(1, id).run();
}

Result<std::vector<InstanceRow>> ServiceTable::instances(const std::string& service) {
  std::vector<InstanceRow> rows;
  SB_TRY(sqlite::Statement all,
         database_->prepare(
             "SELECT id, role, project, version, directory, spec, pid, start_ticks, ready, started_ms, side "
             "FROM instance WHERE service = ? ORDER BY id"));
  all.bind(1, service);
  while (true) {
    SB_TRY(const bool more, all.step());
    if (!more) return rows;
    InstanceRow row;
    row.id = all.integer(0);
    row.service = service;
    row.role = role_from(all.text(1));
    row.deployment.project = all.text(2);
    row.deployment.version = static_cast<int>(all.integer(3));
    row.deployment.directory = all.text(4);
    SB_TRY(row.deployment.spec, spec_from(all.text(5)));
    row.pid = static_cast<pid_t>(all.integer(6));
    row.start_ticks = static_cast<std::uint64_t>(all.integer(7));
    row.ready = all.integer(8) != 0;
    row.started_ms = all.integer(9);
    row.side = side_from(all.text(10));
    rows.push_back(std::move(row));
  }
}

}  // namespace sb::supervise
