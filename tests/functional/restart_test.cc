// A service that dies is started again without waiting for anybody.
#include <algorithm>
#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "sqlite/database.h"
#include "support/conversation.h"
#include "support/installation.h"
#include "support/result_matchers.h"
#include "support/wait.h"

namespace sb {
namespace {

using tests::Finished;

TEST(Restart, does_not_wait_for_the_database) {
  tests::Installation host;
  host.copy_project("http_project");
  const Finished first = host.selfbuild({"update"});
  ASSERT_EQ(first.code, 0) << first.all();
  const Finished finished = host.selfbuild({"conductor", "status", "--json"});
  ASSERT_OK(const Json status, parse_json(finished.out));
  const auto service = std::ranges::find(status.at("services"), Json("http-service"),
                                         [](const Json& one) { return one.at("name"); });
  ASSERT_NE(service, status.at("services").end());
  const std::string address = service->at("sockets").at(0).get<std::string>();
  const int pid = service->at("pid").get<int>();

  // Somebody else writes, on a disk that never gets done with it.
  ASSERT_OK(sqlite::Database other, sqlite::Database::open(host.home().database()));
  ASSERT_GOOD(other.execute("BEGIN IMMEDIATE"));
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  tests::wait_until([&] {
    const std::string answer =
        tests::talk(address, "GET /pid HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return answer.starts_with("HTTP/1.1 200 ") && !answer.ends_with("\r\n\r\n" + std::to_string(pid) + "\n");
  });
  ASSERT_GOOD(other.execute("COMMIT"));
}

}  // namespace
}  // namespace sb
