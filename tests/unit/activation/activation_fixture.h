// A world in which versions go in and out of service, with a fake clock and fake processes; the journal, the
// pointer and the sockets are real.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "activation/activator.h"
#include "support/result_matchers.h"
#include "unit/supervise/fake_world.h"

namespace sb::activation {

// The real one, until a test says that it fails.
class FaultyFiles final : public os::FileSystem {
 public:
  bool broken = false;      // nothing moves
  bool lost_fsync = false;  // the rename happens, then the fsync of the folder fails
  [[nodiscard]] Status write_durably(const os::fs::path& path, std::string_view bytes,
                                     unsigned mode) override {
    return real_.write_durably(path, bytes, mode);
  }
  [[nodiscard]] Status point_durably(const os::fs::path& link, const os::fs::path& target) override {
    if (broken) return fail(ErrorKind::environment, "cannot rename: No space left on device");
    SB_CHECK(real_.point_durably(link, target));
    if (std::exchange(lost_fsync, false))
      return fail(ErrorKind::environment, "cannot fsync: Input/output error");
    return {};
  }
  [[nodiscard]] Status rename_durably(const os::fs::path& from, const os::fs::path& to) override {
    return real_.rename_durably(from, to);
  }

 private:
  os::RealFileSystem real_;
};

class Activation : public ::testing::Test {
 protected:
  // steers: services have two sockets on each address.
  explicit Activation(bool steers = false) : world_(steers) { open(); }

  void open() {
    Result<history::History> opened = history::History::open(world_.home.database(), world_.timers.clock());
    ASSERT_TRUE(opened.has_value());
    history_ = std::make_unique<history::History>(std::move(*opened));
    activator_ = std::make_unique<Activator>(Surroundings{.history = *history_,
                                                          .supervisor = *world_.supervisor,
                                                          .files = files_,
                                                          .timers = world_.timers,
                                                          .probe = world_.probe,
                                                          .home = world_.home,
                                                          .log = world_.around->log,
                                                          .check_version = check_version_});
  }
  // kill -9 and the next start, as the conductor does it.
  void crash() {
    activator_.reset();
    world_.restart();
    open();
    ASSERT_GOOD(activator_->recover());
    world_.supervisor->resume();
    world_.settle();
  }

  // conductor stop --services
  void stop_all() {
    bool gone = false;
    const std::size_t started = world_.processes.started.size();
    world_.supervisor->stop_all([&] { gone = true; });
    world_.pass(10'000);
    ASSERT_TRUE(gone);
    ASSERT_EQ(world_.processes.started.size(), started);
    ASSERT_THAT(world_.processes.alive, ::testing::IsEmpty());
  }

  [[nodiscard]] supervise::Deployment version(int number, const std::string& service = "web") const {
    supervise::Deployment deployment = world_.deployment(number, service);
    deployment.spec.swap = mode_;
    return deployment;
  }
  [[nodiscard]] Request request(int number, std::vector<std::string> services = {"web"}) {
    Request request;
    request.project = "p";
    request.version = number;
    request.directory = version(number).directory;
    for (const std::string& service : services) request.services.push_back(version(number, service).spec);
    return request;
  }
  // Begins a swap in a cycle of its own.
  void begin(const Request& wanted, history::CycleKind kind = history::CycleKind::promote) {
    history::Cycle cycle;
    cycle.project = "p";
    cycle.kind = kind;
    Result<std::int64_t> id = history_->begin_cycle(cycle, "{}");
    ASSERT_TRUE(id.has_value());
    cycle_ = *id;
    Request complete = wanted;
    complete.cycle = cycle_;
    ASSERT_GOOD(activator_->begin(complete));
    wait();
    world_.settle();
  }
  void wait() {
    outcome_ = Outcome{};
    activator_->wait(cycle_, [this](const Result<Outcome>& outcome) {
      outcome_ = outcome ? *outcome : Outcome{.outcome = "error", .cause = outcome.error().what};
    });
  }
  // Every process that waits for it says READY=1.
  void all_ready() {
    for (const auto& [pid, spec] : std::map(world_.processes.alive)) world_.ready(pid);
  }
  void keep_first_version(std::vector<std::string> services = {"web"}) {
    begin(request(1, std::move(services)));
    for (int i = 0; i < 5; ++i) all_ready();
    world_.pass(10'000);
    ASSERT_EQ(outcome_.outcome, "kept") << world_.log;
  }
  // v2 is pointed at and in probation.
  void verify_second() {
    begin(request(2));
    all_ready();
    world_.settle();
    ASSERT_EQ(last_step(), history::Step::verifying) << world_.log;
  }
  // Three times in a row; it is started again after the first two.
  void die_in_probation(int number, os::Exit exit = {.known = true, .code = 1, .signal = 0}) {
    for (int i = 0; i < 3; ++i) {
      if (i > 0) world_.settle();
      ASSERT_THAT(running(number), ::testing::SizeIs(1)) << world_.log;
      world_.processes.end(running(number).front(), exit);
    }
  }
  [[nodiscard]] history::Step last_step() const {
    return history_->last_record(cycle_)->value_or(history::JournalRecord{}).step;
  }
  [[nodiscard]] std::vector<std::string> steps() const {
    std::vector<std::string> steps;
    const std::vector<history::JournalRecord> journal = history_->journal(cycle_).value();
    for (const history::JournalRecord& record : journal) {
      steps.emplace_back(history::to_string(record.step));
    }
    return steps;
  }
  [[nodiscard]] std::string pointer() const {
    const Result<os::fs::path> target = os::read_link(world_.home.pointer("p"));
    return target ? target->string() : "";
  }
  [[nodiscard]] std::vector<pid_t> running(int number) const {
    return world_.processes.alive_in(world_.folder(number));
  }
  // From now on the database refuses this, as a full disk would; until allow_writes().
  void refuse_writes(const std::string& what) {
    ASSERT_GOOD(history_->database().execute("CREATE TRIGGER refused BEFORE " + what +
                                             " BEGIN SELECT RAISE(ABORT, 'disk full'); END"));
  }
  void allow_writes() { ASSERT_GOOD(history_->database().execute("DROP TRIGGER refused")); }
  [[nodiscard]] history::Cycle row() const { return history_->cycle(cycle_).value(); }

  tests::FakeWorld world_;
  FaultyFiles files_;
  CheckVersion check_version_;  // none: files are believed
  supervise::SwapMode mode_ = supervise::SwapMode::overlap;
  std::unique_ptr<history::History> history_;
  std::unique_ptr<Activator> activator_;
  std::int64_t cycle_ = 0;
  Outcome outcome_;
};

}  // namespace sb::activation
