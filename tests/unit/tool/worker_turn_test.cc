// What the worker does about a cycle that it cannot close: it leaves the task open, and takes it up again.
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "os/event_loop.h"
#include "rpc/server.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "tool/selfbuild/worker_loop.h"

namespace sb::tool {
namespace {

using history::Step;

// Hands the same cycle out until its task is completed.
class StandInConductor {
 public:
  StandInConductor(const os::Home& home, std::int64_t cycle) : loop_(os::EventLoop::make().value()) {
    server_ = rpc::Server::listen(*loop_, home.conductor_socket()).value();
    server_->on("task.claim", [this, cycle](const rpc::Request&, const rpc::Reply& reply) {
      reply(Json{{"task", 1}, {"cycle", cycle}, {"attempt", ++claims_}, {"payload", ""}});
    });
    server_->on("task.complete", [this](const rpc::Request& request, const rpc::Reply& reply) {
      completed_.push_back(request.params);
      reply(Json::object());
    });
    server_->on("activation.wait", [this](const rpc::Request&, const rpc::Reply& reply) { reply(wait_()); });
    thread_ = std::thread([this] { loop_->run(); });
  }
  StandInConductor(const StandInConductor&) = delete;
  StandInConductor& operator=(const StandInConductor&) = delete;
  ~StandInConductor() {
    loop_->stop();
    thread_.join();
    server_.reset();
  }

  // Only between two turns: each of the worker's calls has been answered then.
  void answer_wait_with(std::function<Result<Json>()> wait) { wait_ = std::move(wait); }
  [[nodiscard]] const std::vector<Json>& completed() const { return completed_; }

 private:
  std::unique_ptr<os::EventLoop> loop_;
  std::unique_ptr<rpc::Server> server_;
  std::function<Result<Json>()> wait_;
  int claims_ = 0;
  std::vector<Json> completed_;
  std::thread thread_;
};

class WorkerTurn : public testing::Test {
 protected:
  // A cycle that the conductor has begun to swap.
  void SetUp() override {
    history::Cycle cycle;
    cycle.project = "hello";
    cycle.version = 1;
    ASSERT_OK(cycle_, past_.begin_cycle(cycle, "{}"));
    ASSERT_GOOD(past_.append(cycle_, Step::swapping, "{}", {}, 0));
    conductor_.emplace(home_, cycle_);
  }
  Turn turn() {
    const Result<Turn> turn = take_turn(home_, past_, link_, clock_);
    EXPECT_TRUE(turn.has_value()) << format_error(turn.error());
    return turn.value_or(Turn::closed);
  }
  Step last() { return past_.last_record(cycle_).value()->step; }

  os::TemporaryFolder folder_ = sb::tests::temporary_folder();
  os::Home home_ = os::Home::at(folder_.path()).value();
  os::SystemClock clock_;
  history::History past_ = history::History::open(home_.database(), clock_).value();
  update::ConductorLink link_{home_};
  std::int64_t cycle_ = 0;
  std::optional<StandInConductor> conductor_;
};

TEST_F(WorkerTurn, that_could_not_close_its_cycle_leaves_the_task_open_and_takes_it_up_again) {
  conductor_->answer_wait_with([]() -> Result<Json> { return fail(ErrorKind::environment, "not now"); });
  EXPECT_EQ(turn(), Turn::left_open);
  EXPECT_EQ(conductor_->completed().size(), 0U);
  EXPECT_EQ(last(), Step::swapping);

  ASSERT_GOOD(past_.append(cycle_, Step::kept, "{}", {.status = history::BuildStatus::completed}, 0));
  conductor_->answer_wait_with([]() -> Result<Json> { return Json{{"outcome", "kept"}, {"cause", ""}}; });
  EXPECT_EQ(turn(), Turn::closed);
  ASSERT_EQ(conductor_->completed().size(), 1U);
  EXPECT_EQ(conductor_->completed().front().at("ok"), true);
  EXPECT_EQ(conductor_->completed().front().at("attempt"), 2);
  EXPECT_EQ(last(), Step::done);
}

TEST_F(WorkerTurn, closes_a_cycle_of_which_the_conductor_knows_nothing_after_a_few_tries) {
  conductor_->answer_wait_with([]() -> Result<Json> { return fail(ErrorKind::not_found, "never seen"); });
  int tries = 1;
  while (turn() == Turn::left_open && tries < 100) ++tries;
  EXPECT_EQ(tries, 6);
  EXPECT_EQ(conductor_->completed().size(), 1U);
  EXPECT_EQ(last(), Step::done);
  EXPECT_EQ(past_.cycle(cycle_)->status, history::BuildStatus::failed);
}

}  // namespace
}  // namespace sb::tool
