// selfbuild audit and logs, on records that are there.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "audit/audit_log.h"
#include "base/json.h"
#include "command_line.h"
#include "os/home.h"
#include "support/result_matchers.h"

namespace sb::tool {
namespace {

using testing::HasSubstr;

class AuditCommand : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(os::Home home, os::Home::at(line_.home()));
    home_.emplace(std::move(home));
    ASSERT_OK(sqlite::Database database, audit::open_audit_database(home_->audit_database()));
    database_.emplace(std::move(database));
  }
  void append(int count) {
    const std::vector<audit::Entry> entries(static_cast<std::size_t>(count), {.at_ms = 0,
                                                                              .uid = 7,
                                                                              .pid = 8,
                                                                              .via = "rpc",
                                                                              .act = "service.stop",
                                                                              .subject = "name=web",
                                                                              .outcome = "ok"});
    ASSERT_GOOD(database_->transaction([&] { return audit::AuditLog(*database_).append(entries); }));
  }
  tests::CommandLine line_;
  std::optional<os::Home> home_;
  std::optional<sqlite::Database> database_;
};

TEST_F(AuditCommand, shows_who_did_what) {
  append(3);
  const tests::Ran ran = line_.run({"audit"});
  EXPECT_EQ(ran.code, kDone) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("1970-01-01 00:00:00"));
  EXPECT_THAT(ran.out, HasSubstr("service.stop"));
  const Json all = parse_json(line_.run({"audit", "--limit", "2", "--json"}).out).value_or(Json());
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].at("seq"), 2);
  EXPECT_EQ(all[0].at("uid"), 7);
}

TEST_F(AuditCommand, verify_names_the_first_bad_row_and_fails) {
  append(3);
  EXPECT_EQ(line_.run({"audit", "verify"}).code, kDone);
  ASSERT_GOOD(database_->execute("UPDATE audit SET outcome = 'denied' WHERE seq = 2"));
  const tests::Ran ran = line_.run({"audit", "verify"});
  EXPECT_EQ(ran.code, kRefused);
  EXPECT_THAT(ran.err, HasSubstr("row 2 of the audit log is bad"));
  const tests::Ran json = line_.run({"audit", "verify", "--json"});
  EXPECT_EQ(json.code, kRefused);
  EXPECT_EQ(parse_json(json.out).value_or(Json()).value("bad_row", 0), 2);
}

TEST_F(AuditCommand, logs_are_labelled_when_there_are_several_services) {
  for (const char* name : {"web", "worker"}) {
    std::filesystem::create_directories(home_->service(name));
    std::ofstream(home_->service(name) / "log") << "from " << name << "\n";
  }
  EXPECT_EQ(line_.run({"logs", "web"}).out, "from web\n");
  EXPECT_EQ(line_.run({"logs"}).out, "web     from web\nworker  from worker\n");
  const tests::Ran wrong = line_.run({"logs", "wep"});
  EXPECT_EQ(wrong.code, kRefused);
  EXPECT_THAT(wrong.err, HasSubstr("did you mean \"web\"?"));
  const Json all = parse_json(line_.run({"logs", "--json"}).out).value_or(Json());
  EXPECT_EQ(all.at(1).at("log"), "from worker\n");
}

}  // namespace
}  // namespace sb::tool
