// The event loop with real pipes, processes and signals: level-triggered, re-entrant, ordered.
#include "os/event_loop.h"

#include <array>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "os/process.h"
#include "support/fake_timers.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::os {
namespace {

using testing::ElementsAre;
using namespace std::chrono_literals;

struct Pipe {
  UniqueFd reader;
  UniqueFd writer;
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::abort();
    reader = UniqueFd(ends[0]);
    writer = UniqueFd(ends[1]);
  }
  void put(const std::string& bytes) const {
    ASSERT_EQ(::write(writer.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  [[nodiscard]] char get() const {
    char byte = '\0';
    EXPECT_EQ(::read(reader.get(), &byte, 1), 1);
    return byte;
  }
};

class Loop : public testing::Test {
 protected:
  Loop() : loop_(std::move(*EventLoop::make())) {}
  std::unique_ptr<EventLoop> loop_;
};

TEST_F(Loop, calls_again_while_bytes_are_left) {
  const Pipe pipe;
  pipe.put("abc");
  std::string got;
  const Watch watch = loop_->on_readable(pipe.reader.get(), [&] {
    got += pipe.get();
    if (got.size() == 3) loop_->stop();
  });
  loop_->run();
  EXPECT_EQ(got, "abc");
}

TEST_F(Loop, leaves_the_descriptor_blocking) {
  const Pipe pipe;
  pipe.put("x");
  const Watch watch = loop_->on_readable(pipe.reader.get(), [&] { loop_->stop(); });
  loop_->run();
  EXPECT_EQ(::fcntl(pipe.reader.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(Loop, watches_one_descriptor_for_reading_and_writing) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const UniqueFd near(ends[0]);
  const UniqueFd far(ends[1]);
  std::vector<std::string> seen;
  Watch writable = loop_->on_writable(near.get(), [&] {
    seen.emplace_back("writable");
    writable.reset();
    ASSERT_EQ(::write(far.get(), "x", 1), 1);
  });
  const Watch readable = loop_->on_readable(near.get(), [&] {
    seen.emplace_back("readable");
    loop_->stop();
  });
  loop_->run();
  EXPECT_THAT(seen, ElementsAre("writable", "readable"));
}

TEST_F(Loop, lets_a_callback_end_its_own_watch_and_others) {
  const Pipe one;
  const Pipe two;
  one.put("x");
  two.put("x");
  int calls = 0;
  Watch first;
  Watch second;
  const auto end_both = [&] {
    ++calls;
    first.reset();
    second.reset();
    loop_->post([&] { loop_->stop(); });
  };
  first = loop_->on_readable(one.reader.get(), end_both);
  second = loop_->on_readable(two.reader.get(), end_both);
  loop_->run();
  EXPECT_EQ(calls, 1);
}

TEST_F(Loop, forgets_an_event_of_a_descriptor_whose_number_was_reused) {
  Pipe one;
  Pipe two;
  Pipe quiet;
  one.put("x");
  two.put("x");
  int surprises = 0;
  Watch first;
  Watch second;
  Watch reused;
  // Whichever is called first closes the other's descriptor, and puts a quiet one at its number.
  const auto replace = [&](Watch& watch, Pipe& other) {
    watch.reset();
    ASSERT_EQ(::dup2(quiet.reader.get(), other.reader.get()), other.reader.get());
    reused = loop_->on_readable(other.reader.get(), [&] { ++surprises; });
    loop_->post([&] { loop_->stop(); });
  };
  first = loop_->on_readable(one.reader.get(), [&] {
    first.reset();
    replace(second, two);
  });
  second = loop_->on_readable(two.reader.get(), [&] {
    second.reset();
    replace(first, one);
  });
  loop_->run();
  EXPECT_EQ(surprises, 0);
}

TEST_F(Loop, reports_the_end_of_a_process) {
  SpawnSpec spec;
  spec.argv = {"/bin/sh", "-c", "exit 7"};
  ASSERT_OK(const Process process, spawn(spec));
  std::optional<Exit> exit;
  const Watch watch = loop_->on_readable(process.pidfd.get(), [&] {
    exit = reap(process);
    loop_->stop();
  });
  loop_->run();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->to_string(), "exit code 7");
}

TEST_F(Loop, says_that_a_regular_file_cannot_be_watched) {
  const TemporaryFolder folder = tests::temporary_folder();
  tests::write(folder.path() / "file", "x");
  const UniqueFd file(::open((folder.path() / "file").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(static_cast<bool>(loop_->on_readable(file.get(), [] {})));
  EXPECT_FALSE(static_cast<bool>(loop_->on_readable(-1, [] {})));
}

TEST_F(Loop, runs_timers_in_the_order_of_their_times) {
  std::vector<int> order;
  std::vector<Watch> timers;
  Milliseconds start{};
  // Again when the machine stalled between them: then their times have another order.
  do {
    timers.clear();
    start = loop_->clock().monotonic();
    timers.push_back(loop_->after(30ms, [&] {
      order.push_back(3);
      loop_->stop();
    }));
    timers.push_back(loop_->after(10ms, [&] { order.push_back(1); }));
    timers.push_back(loop_->after(10ms, [&] { order.push_back(2); }));
    timers.push_back(loop_->after(0ms, [&] { order.push_back(0); }));
    Watch never = loop_->after(20ms, [&] { order.push_back(-1); });
    never.reset();
  } while (loop_->clock().monotonic() - start >= 10ms);
  loop_->run();
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3));
}

TEST_F(Loop, never_calls_a_timer_early) {
  const Milliseconds start = loop_->clock().monotonic();
  Milliseconds end{};
  const Watch watch = loop_->after(20ms, [&] {
    end = loop_->clock().monotonic();
    loop_->stop();
  });
  loop_->run();
  EXPECT_GE((end - start).count(), 20);
}

TEST_F(Loop, serves_descriptors_between_timers_that_set_themselves_again) {
  const Pipe pipe;
  pipe.put("x");
  Watch timer;
  std::function<void()> again = [&] { timer = loop_->after(0ms, again); };
  again();
  const Watch watch = loop_->on_readable(pipe.reader.get(), [&] { loop_->stop(); });
  loop_->run();
  SUCCEED();
}

TEST_F(Loop, delivers_signals_to_all_who_watch_them) {
  std::vector<std::string> seen;
  ASSERT_OK(Watch first,
            loop_->on_signal(SIGUSR1, [&](int signal) { seen.push_back("a" + signal_name(signal)); }));
  ASSERT_OK(const Watch second, loop_->on_signal(SIGUSR1, [&](int) { seen.emplace_back("b"); }));
  ASSERT_OK(const Watch other, loop_->on_signal(SIGUSR2, [&](int) { loop_->stop(); }));
  ::kill(::getpid(), SIGUSR1);
  ::kill(::getpid(), SIGUSR2);
  loop_->run();
  EXPECT_THAT(seen, ElementsAre("aSIGUSR1", "b"));
  first.reset();
  ::kill(::getpid(), SIGUSR1);
  ::kill(::getpid(), SIGUSR2);
  loop_->run();
  EXPECT_THAT(seen, ElementsAre("aSIGUSR1", "b", "b"));
}

TEST_F(Loop, refuses_a_signal_that_does_not_exist) {
  EXPECT_ERROR(ErrorKind::environment, loop_->on_signal(4711, [](int) {}));
}

TEST_F(Loop, takes_work_from_another_thread) {
  std::thread::id ran_on;
  std::jthread other([&] {
    loop_->post([&] {
      ran_on = std::this_thread::get_id();
      loop_->stop();
    });
  });
  loop_->run();
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST_F(Loop, ends_at_a_stop_that_came_before) {
  loop_->stop();
  loop_->run();
  std::jthread other([&] { loop_->stop(); });
  loop_->run();
  SUCCEED();
}

TEST_F(Loop, frees_callbacks_that_own_watches_when_it_ends) {
  const Pipe pipe;
  auto own = std::make_shared<Watch>();
  *own = loop_->on_readable(pipe.reader.get(), [own] {});
  auto timer = std::make_shared<Watch>();
  *timer = loop_->after(1h, [timer] {});
  loop_->post([own, timer] {});
  own.reset();
  timer.reset();
  loop_.reset();
  SUCCEED();
}

TEST(FakeTimers, run_callbacks_in_order_and_move_the_clock_with_them) {
  tests::FakeTimers timers;
  std::vector<long long> at;
  const auto note = [&] { at.push_back(timers.clock().monotonic().count()); };
  const Milliseconds start = timers.clock().monotonic();
  const Watch late = timers.after(30ms, note);
  Watch inner;
  const Watch early = timers.after(10ms, [&] {
    note();
    inner = timers.after(5ms, note);
  });
  Watch never = timers.after(1ms, note);
  never.reset();
  EXPECT_EQ(timers.pending(), 2U);
  timers.advance(20ms);
  timers.advance(20ms);
  EXPECT_THAT(at, ElementsAre(start.count() + 10, start.count() + 15, start.count() + 30));
  EXPECT_EQ((timers.clock().monotonic() - start).count(), 40);
}

}  // namespace
}  // namespace sb::os
