// The conductor by HTTP: what it shows, what it follows, what it lets be done; across its own restarts.
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>

#include "audit/audit_log.h"
#include "base/text.h"
#include "http/access.h"
#include "support/conversation.h"
#include "support/result_matchers.h"
#include "support/wait.h"
#include "unit/conductor/conductor_process.h"
#include "unit/conductor/test_versions.h"

namespace sb::tests {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ConductorHttp : public testing::Test {
 protected:
  [[nodiscard]] std::string address() const { return "unix:" + conductor_.home().http_socket().string(); }
  [[nodiscard]] std::string ask(const std::string& line, const std::string& fields = "") const {
    return talk(address(),
                fmt::format("{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}\r\n", line, fields));
  }
  [[nodiscard]] static std::string body_of(const std::string& answer) {
    return answer.substr(answer.find("\r\n\r\n") + 4);
  }
  [[nodiscard]] std::string bearer() const {
    return fmt::format("Authorization: Bearer {}\r\n", http::token_of(conductor_.home()).value_or("none"));
  }
  [[nodiscard]] UniqueFd follow(const std::string& fields = "") const {
    UniqueFd reader = connect_to(address());
    say(reader, fmt::format("GET /events HTTP/1.1\r\nHost: localhost\r\n{}\r\n", fields));
    return reader;
  }
  // What comes until a text has come.
  static std::string hear_until(const UniqueFd& reader, const std::string& text) {
    std::string heard;
    char bytes[4096];
    while (heard.find(text) == std::string::npos) {
      const ssize_t got = ::recv(reader.get(), bytes, sizeof bytes, 0);
      if (got <= 0) return heard + "\n--- the stream ended ---";
      heard.append(bytes, static_cast<std::size_t>(got));
    }
    return heard;
  }
  static std::vector<std::int64_t> ids_in(const std::string& stream) {
    std::vector<std::int64_t> ids;
    for (const std::string_view line : split_lines(stream)) {
      if (line.starts_with("id: ")) ids.push_back(std::stoll(std::string(line.substr(4))));
    }
    return ids;
  }

  ConductorProcess conductor_;
};

TEST_F(ConductorHttp, shows_its_status) {
  conductor_.start();
  const TestVersions versions(conductor_.home(), "web");
  const Json service = conductor_.call("service.ensure", versions.ensure(1));
  const std::string answer = ask("GET /status");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  ASSERT_OK(const Json status, parse_json(body_of(answer)));
  EXPECT_EQ(status.at("services").at(0).at("pid"), service.at("pid"));
}

TEST_F(ConductorHttp, shows_metrics_of_which_every_line_is_as_prometheus_wants_it) {
  conductor_.start();
  const TestVersions versions(conductor_.home(), "web");
  (void)conductor_.call("service.ensure", versions.ensure(1));
  wait_until([&] { return conductor_.service("web").at("state") == "running"; });
  const std::string answer = ask("GET /metrics");
  EXPECT_THAT(answer, HasSubstr("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  const std::regex comment(R"(# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+))");
  const std::regex sample(
      R"(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\.)*"(,[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\.)*")*\})? (-?[0-9]+))");
  std::set<std::string> families;
  std::set<std::string> seen;
  std::string family;
  const std::string body = body_of(answer);
  for (const std::string_view view : split_lines(body)) {
    const std::string line(view);
    std::smatch parts;
    if (line.starts_with('#')) {
      ASSERT_TRUE(std::regex_match(line, parts, comment)) << line;
      if (parts[1] == "HELP") {
        EXPECT_TRUE(families.insert(parts[2]).second) << line;
      } else {
        EXPECT_TRUE(parts[3] == "counter" || parts[3] == "gauge") << line;
        EXPECT_EQ(parts[3] == "counter", parts[2].str().ends_with("_total")) << line;
      }
      family = parts[2];
    } else {
      ASSERT_TRUE(std::regex_match(line, parts, sample)) << line;
      EXPECT_EQ(parts[1], family) << "samples follow their family";
      EXPECT_TRUE(seen.insert(line.substr(0, line.rfind(' '))).second) << "twice: " << line;
    }
  }
  EXPECT_GE(families.size(), 12U);
  EXPECT_THAT(body, HasSubstr("selfbuild_service_up{service=\"web\",project=\"p\"} 1\n"));
  EXPECT_THAT(body, HasSubstr("selfbuild_service_state{service=\"web\",state=\"running\"} 1\n"));
  EXPECT_THAT(body, HasSubstr("selfbuild_service_version{service=\"web\",project=\"p\"} 1\n"));
  EXPECT_FALSE(std::regex_search(body, std::regex("resident_memory_bytes\\{.*\\} 0\n")));
}

TEST_F(ConductorHttp, restarts_a_service_for_who_has_the_token_and_records_who_it_was) {
  conductor_.start();
  const TestVersions versions(conductor_.home(), "web");
  const Json before = conductor_.call("service.ensure", versions.ensure(1));
  EXPECT_THAT(ask("POST /services/web/restart"), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(ask("POST /services/nobody/restart", bearer()), StartsWith("HTTP/1.1 404 "));
  EXPECT_EQ(conductor_.service("web").at("pid"), before.at("pid"));
  EXPECT_THAT(ask("POST /services/web/restart", bearer()), StartsWith("HTTP/1.1 200 "));
  EXPECT_NE(conductor_.service("web").at("pid"), before.at("pid"));
  EXPECT_THAT(ask("POST /services/web/rollback", bearer()), StartsWith("HTTP/1.1 409 "));
  conductor_.stop(true);

  ASSERT_OK(sqlite::Database database, audit::open_audit_database(conductor_.home().audit_database()));
  ASSERT_OK(const std::vector<audit::Row> rows, audit::AuditLog(database).newest(100));
  std::vector<std::string> acts;
  for (const audit::Row& row : rows) {
    acts.push_back(
        fmt::format("{} {} {} {}", row.entry.via, row.entry.act, row.entry.subject, row.entry.outcome));
    EXPECT_EQ(row.entry.uid, ::geteuid());
    EXPECT_GT(row.entry.pid, 0);
  }
  EXPECT_THAT(acts, testing::ElementsAre(StartsWith("rpc service.ensure "),
                                         StartsWith("http service.restart name=nobody not_found: "),
                                         "http service.restart name=web ok",
                                         StartsWith("http cycle.begin name=web conflict: "),
                                         "rpc conductor.stop services=true ok"));
  ASSERT_OK(const audit::Verdict verdict, audit::AuditLog(database).verify());
  EXPECT_FALSE(verdict.bad.has_value());
}

TEST_F(ConductorHttp, gives_a_reader_that_was_away_what_it_has_missed_also_after_the_death_of_the_conductor) {
  conductor_.start();
  const TestVersions versions(conductor_.home(), "web");
  UniqueFd first = follow();
  (void)hear_until(first, "retry: ");
  (void)conductor_.call("service.ensure", versions.ensure(1));
  const std::string heard = hear_until(first, R"("state":"running")");
  const std::vector<std::int64_t> before = ids_in(heard);
  ASSERT_FALSE(before.empty());
  first.reset();

  (void)conductor_.call("service.restart", Json{{"name", "web"}});
  // What it was asked is recorded in their order: when this is on disk, so are the events before it.
  wait_until([&] {
    Result<sqlite::Database> database = audit::open_audit_database(conductor_.home().audit_database());
    if (!database) return false;
    const auto rows = audit::AuditLog(*database).newest(100);
    return rows && !rows->empty() && rows->back().entry.act == "service.restart";
  });
  conductor_.kill_and_wait();
  const UniqueFd second = follow(fmt::format("Last-Event-ID: {}\r\n", before.back()));
  const std::string missed = hear_until(second, "event: conductor");
  EXPECT_THAT(missed, HasSubstr("web: started v1 as pid")) << "from before its death";
  std::int64_t last = before.back();
  for (const std::int64_t id : ids_in(missed)) {
    EXPECT_GT(id, last);
    last = id;
  }
}

TEST_F(ConductorHttp, keeps_its_port_while_one_conductor_follows_another) {
  conductor_.start({{"SELFBUILD_HTTP", "127.0.0.1:0"}});
  // Which port it is, nobody but the conductor knows: it is the one that only its process listens on.
  const auto metrics = [&](const std::string& where) {
    return talk(where, fmt::format("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", where));
  };
  ASSERT_OK(const Json status, parse_json(body_of(ask("GET /status"))));
  const std::string where = status.at("http");
  EXPECT_THAT(metrics(where), StartsWith("HTTP/1.1 200 "));
  const UniqueFd waiting = connect_to(where);
  conductor_.kill_and_wait();
  EXPECT_THAT(metrics(where), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(ask("GET /status"), StartsWith("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace sb::tests
