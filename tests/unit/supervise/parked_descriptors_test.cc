// What a service parks is there for its next process, and for no other.
#include "supervise/parked_descriptors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/result_matchers.h"
#include "unit/supervise/fake_world.h"

namespace sb::supervise {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

UniqueFd memory(const std::string& content) {
  UniqueFd fd(::memfd_create("state", MFD_CLOEXEC));
  EXPECT_EQ(::write(fd.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  return fd;
}

std::string content_of(int fd) {
  std::array<char, 100> bytes{};
  const ssize_t got = ::pread(fd, bytes.data(), bytes.size(), 0);
  return got < 0 ? "unreadable" : std::string(bytes.data(), static_cast<std::size_t>(got));
}

class Parked : public ::testing::Test {
 protected:
  void SetUp() override { begin("web"); }
  Service* begin(const std::string& name) {
    Result<Service*> made = world_.supervisor->ensure(world_.deployment(1, name), true);
    EXPECT_TRUE(made.has_value());
    (*made)->start([](const Status&) {});
    world_.ready(world_.newest());
    return *made;
  }
  void says(const std::string& datagram) { says(datagram, UniqueFd()); }
  void says(const std::string& datagram, UniqueFd fd) {
    std::vector<UniqueFd> fds;
    if (fd) fds.push_back(std::move(fd));
    world_.supervisor->notify(world_.newest(), parse_notification(datagram), std::move(fds));
  }
  void park(const std::string& name, const std::string& content) {
    says("FDSTORE=1\nFDNAME=" + name, memory(content));
  }
  void restart_service() {
    world_.processes.end(world_.newest());
    world_.settle();
    world_.ready(world_.newest());
  }
  [[nodiscard]] std::vector<std::string> names() const {
    return world_.processes.started.back().spec.socket_names;
  }
  // Of those behind the one socket.
  [[nodiscard]] std::vector<std::string> contents() {
    const std::vector<int>& fds = world_.processes.started.back().spec.sockets;
    std::vector<std::string> all;
    for (std::size_t i = 1; i < fds.size(); ++i) all.push_back(content_of(fds[i]));
    return all;
  }

  tests::FakeWorld world_;
};

TEST_F(Parked, are_given_back_after_a_crash_behind_the_sockets) {
  park("sessions", "alice");
  park("cache", "42");
  restart_service();
  EXPECT_THAT(names(), ElementsAre("http", "sessions", "cache"));
  EXPECT_THAT(contents(), ElementsAre("alice", "42"));
  restart_service();
  EXPECT_THAT(contents(), ElementsAre("alice", "42")) << "given back only once";
}

TEST_F(Parked, are_given_to_the_next_version) {
  park("sessions", "alice");
  world_.supervisor->find("web")->bring_up(world_.deployment(2), [](const Status&) {});
  EXPECT_THAT(names(), ElementsAre("http", "sessions"));
  EXPECT_THAT(contents(), ElementsAre("alice"));
}

TEST_F(Parked, outlive_the_conductor) {
  park("sessions", "alice");
  world_.restart();
  world_.supervisor->resume();
  park("cache", "42");
  restart_service();
  EXPECT_THAT(contents(), ElementsAre("alice", "42"));
}

TEST_F(Parked, are_lost_with_the_keeper_and_forgotten) {
  park("sessions", "alice");
  world_.restart(/*keep_vault=*/false);
  world_.supervisor->resume();
  EXPECT_THAT(world_.log, HasSubstr("the descriptor \"sessions\" that it had parked is lost"));
  restart_service();
  EXPECT_THAT(names(), ElementsAre("http"));
}

TEST_F(Parked, are_dropped_by_name) {
  park("a", "1");
  park("b", "2");
  park("a", "3");
  says("FDSTOREREMOVE=1\nFDNAME=a");
  restart_service();
  EXPECT_THAT(contents(), ElementsAre("2"));
  EXPECT_THAT(world_.vault.held, SizeIs(2));
}

TEST_F(Parked, are_the_same_when_they_are_parked_again) {
  const UniqueFd state = memory("alice");
  for (int i = 0; i < 3; ++i) says("FDSTORE=1\nFDNAME=s", UniqueFd(::dup(state.get())));
  restart_service();
  EXPECT_THAT(contents(), ElementsAre("alice"));
}

TEST_F(Parked, need_no_name_and_no_nonsense_for_one) {
  says("FDSTORE=1", memory("1"));
  park("a:b", "2");
  park(std::string(256, 'x'), "3");
  restart_service();
  EXPECT_THAT(names(), ElementsAre("http", "stored", "stored", "stored"));
}

TEST_F(Parked, are_sixteen_at_most_and_the_log_names_what_was_refused) {
  for (std::size_t i = 0; i < ParkedDescriptors::kMost; ++i) park("n" + std::to_string(i), "x");
  EXPECT_THAT(world_.log, Not(HasSubstr("not parked")));
  park("one-more", "x");
  EXPECT_THAT(world_.log, HasSubstr("web: the descriptor \"one-more\" is not parked: 16 are already"));
  restart_service();
  EXPECT_THAT(contents(), SizeIs(16));
}

TEST_F(Parked, leave_room_for_the_sockets_of_others) {
  for (const char* service : {"a", "b", "c", "d"}) {
    begin(service);
    for (std::size_t i = 0; i < ParkedDescriptors::kMost; ++i) park("n" + std::to_string(i), "x");
  }
  begin("e");
  park("one-more", "x");
  EXPECT_THAT(world_.log, HasSubstr("e: the descriptor \"one-more\" is not parked"));
}

TEST_F(Parked, are_given_up_when_the_service_is_stopped) {
  park("sessions", "alice");
  world_.supervisor->find("web")->stop([] {});
  world_.settle();
  EXPECT_THAT(world_.vault.held, SizeIs(1)) << "the socket alone";
  ASSERT_OK(const std::vector<ParkedRow> rows, world_.table->parked("web"));
  EXPECT_THAT(rows, IsEmpty());
}

TEST_F(Parked, are_kept_when_the_conductor_stops_with_its_services) {
  park("sessions", "alice");
  world_.supervisor->stop_all([] {});
  world_.settle();
  world_.restart();
  world_.supervisor->resume();
  EXPECT_THAT(contents(), ElementsAre("alice"));
}

}  // namespace
}  // namespace sb::supervise
