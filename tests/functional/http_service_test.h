// An HTTP service that is live as v1, and a client that asks it without pause.
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "support/installation.h"
#include "support/load_client.h"
#include "support/result_matchers.h"

namespace sb {

class HttpServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    host_.copy_project("http_project");
    const tests::Finished first = host_.selfbuild({"update"});
    ASSERT_EQ(first.code, 0) << first.all();
    ASSERT_EQ(host_.live("http-service"), "v1");
  }

  Json status() {
    const tests::Finished finished = host_.selfbuild({"conductor", "status", "--json"});
    return parse_json(finished.out).value_or(Json::object());
  }
  Json service() {
    const Json now = status();
    for (const Json& candidate : now.at("services")) {
      if (candidate.at("name") == "http-service") return candidate;
    }
    return Json::object();
  }
  std::unique_ptr<tests::LoadClient> load() {
    tests::LoadSpec spec;
    spec.address = service().at("sockets").at(0).get<std::string>();
    auto client = tests::LoadClient::start(spec);
    EXPECT_TRUE(client.has_value());
    // The old version answers before anything is changed.
    EXPECT_TRUE((*client)->wait_until([](const tests::LoadReport& report) { return report.ok >= 200; }));
    return std::move(*client);
  }

  static void expect_no_failure(const tests::LoadReport& report) {
    EXPECT_EQ(report.failed, 0U) << to_json(report).dump(2);
    EXPECT_GE(report.sent, 1000U) << "too little load to prove anything";
  }
  tests::Installation host_;
};

}  // namespace sb
