// What the conductor answers in the place of a service that cannot be started, and to whom.
#include "supervise/safe_mode.h"

#include <filesystem>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "http/request_head.h"
#include "supervise/probe.h"
#include "support/conversation.h"
#include "support/files.h"
#include "support/result_matchers.h"
#include "support/wait.h"

namespace sb::supervise {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

Diagnosis diagnosis() {
  return {.service = "web",
          .project = "shop",
          .version = 3,
          .trouble = "it ended: exit code 7",
          .last_exit = "exit code 7",
          .restarts = 5,
          .next_start_ms = 0,
          .output = "cannot open <config>\n",
          .versions = {{.number = 3, .state = "candidate"},
                       {.number = 2, .state = "known_good", .is_laid_out = true}},
          .remedy = "selfbuild rollback v2 --project shop",
          .details = true};
}

TEST(Diagnosis, shows_what_a_service_printed_as_text_and_nothing_else) {
  Diagnosis hostile = diagnosis();
  hostile.output = "</pre><script>alert('x')</script>\x1b[2J & \"";
  hostile.trouble = "<img src=x onerror=alert(1)>";
  hostile.service = "<b>";
  const std::string page = as_page(hostile, true).body;
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("<b>")));
  EXPECT_THAT(page, Not(HasSubstr("\x1b")));
  EXPECT_THAT(page,
              HasSubstr("&lt;/pre&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;?[2J &amp; &quot;"));
  hostile.output = "\xff\xfe";
  EXPECT_TRUE(parse_json(as_json(hostile, true).body).has_value()) << "bytes that are not UTF-8";
}

TEST(Diagnosis, tells_strangers_only_that_it_does_not_work) {
  for (const Answer& answer : {as_page(diagnosis(), false), as_json(diagnosis(), false)}) {
    EXPECT_THAT(answer.body, AllOf(Not(HasSubstr("web")), Not(HasSubstr("shop")), Not(HasSubstr("exit code")),
                                   Not(HasSubstr("config")), Not(HasSubstr("v2"))));
  }
}

TEST(Diagnosis, offers_buttons_for_what_can_be_done_and_only_among_the_details) {
  EXPECT_THAT(as_page(diagnosis(), true).body, Not(HasSubstr("<form")));
  EXPECT_THAT(as_page(diagnosis(), false, true).body, Not(HasSubstr("<form")));
  EXPECT_THAT(as_page(diagnosis(), true, true).body,
              AllOf(HasSubstr("Start it again now"), HasSubstr("Put v2 back into service")));
  Diagnosis no_way_back = diagnosis();
  no_way_back.versions = {{.number = 4, .state = "known_good", .is_laid_out = true},
                          {.number = 2, .state = "rolled_back", .is_laid_out = true},
                          {.number = 1, .state = "known_good"}};
  EXPECT_THAT(as_page(no_way_back, true, true).body,
              AllOf(HasSubstr("Start it again now"), Not(HasSubstr("back into service"))));
}

TEST(Diagnosis, names_the_command_that_helps) {
  EXPECT_EQ(remedy_for(diagnosis()), "selfbuild rollback v2 --project shop");
  Diagnosis only_one = diagnosis();
  only_one.versions = {{.number = 3, .state = "known_good"}, {.number = 2, .state = "rolled_back"}};
  EXPECT_THAT(remedy_for(only_one), StartsWith("selfbuild update"));
  only_one.project.clear();
  EXPECT_EQ(remedy_for(only_one), "selfbuild status");
}

// Real sockets; the loop runs on a thread of its own.
class SafeModeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(loop_, os::EventLoop::make());
    start();
    listen({.name = "http", .listen = "127.0.0.1:0"});
    thread_ = std::thread([this] { loop_->run(); });
  }
  void TearDown() override {
    on_loop([this] { safe_mode_.reset(); });
    loop_->stop();
    thread_.join();
  }
  void start(HttpSafeMode::Limits limits = {}) {
    safe_mode_ = std::make_unique<HttpSafeMode>(*loop_, limits);
  }
  void listen(const SocketSpec& spec) {
    Result<BoundSocket> bound = bind_socket(spec);
    ASSERT_TRUE(bound.has_value());
    socket_ = std::move(*bound);
  }
  // Returns when it was done.
  void on_loop(const std::function<void()>& act) {
    std::promise<void> done;
    loop_->post([&] {
      act();
      done.set_value();
    });
    done.get_future().wait();
  }
  void begin(const Diagnosis& what = diagnosis()) {
    on_loop([&] { safe_mode_->begin("web", {socket_.fd.get()}, what); });
  }
  [[nodiscard]] std::string ask(std::string_view request) const {
    return tests::talk(socket_.address, request);
  }
  void make_blocking() const {
    ASSERT_EQ(::fcntl(socket_.fd.get(), F_SETFL, ::fcntl(socket_.fd.get(), F_GETFL) & ~O_NONBLOCK), 0);
  }
  // What the service does, which has the socket again.
  void expect_service_gets(const UniqueFd& client) const {
    make_blocking();
    const UniqueFd accepted(::accept4(socket_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(accepted);
    tests::say(accepted, "hello from the service");
    ::shutdown(accepted.get(), SHUT_WR);
    EXPECT_EQ(tests::hear(client), "hello from the service");
  }

  std::unique_ptr<os::EventLoop> loop_;
  std::unique_ptr<HttpSafeMode> safe_mode_;
  BoundSocket socket_;
  std::thread thread_;
};

TEST_F(SafeModeTest, answers_people_with_a_page) {
  begin();
  const std::string answer = ask(kRequest);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(answer, AllOf(HasSubstr("\r\nRetry-After: 1\r\n"), HasSubstr("\r\nConnection: close\r\n"),
                            HasSubstr("\r\nContent-Type: text/html; charset=utf-8\r\n"),
                            HasSubstr("\r\nCache-Control: no-store\r\n")));
  EXPECT_THAT(answer, AllOf(HasSubstr("web v3 cannot be started"), HasSubstr("it ended: exit code 7"),
                            HasSubstr("cannot open &lt;config&gt;"), HasSubstr("v3 candidate, v2 known_good"),
                            HasSubstr("selfbuild rollback v2 --project shop")));
}

TEST_F(SafeModeTest, answers_programs_with_json) {
  begin();
  const std::string answer = ask("POST /api HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(answer, HasSubstr("\r\nContent-Type: application/json\r\n"));
  ASSERT_OK(const Json body, parse_json(answer.substr(answer.find("\r\n\r\n") + 4)));
  EXPECT_EQ(body["service"], "web");
  EXPECT_EQ(body["trouble"], "it ended: exit code 7");
  EXPECT_EQ(body["next"], "selfbuild rollback v2 --project shop");
  EXPECT_EQ(body["versions"].size(), 2U);
}

TEST_F(SafeModeTest, answers_HEAD_without_a_body_and_in_spite_of_a_body_that_it_does_not_read) {
  begin();
  EXPECT_THAT(ask("HEAD / HTTP/1.0\r\n\r\n"), AllOf(StartsWith("HTTP/1.1 503 "), EndsWith("\r\n\r\n")));
  const std::string upload =
      "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n" + std::string(65536, 'x');
  EXPECT_THAT(ask(upload), AllOf(StartsWith("HTTP/1.1 503 "), EndsWith("</html>\n")));
}

TEST_F(SafeModeTest, tells_the_details_to_nobody_who_comes_through_a_proxy_or_when_it_is_not_to) {
  begin();
  const std::string forwarded = ask("GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
  EXPECT_THAT(forwarded, AllOf(StartsWith("HTTP/1.1 503 "), Not(HasSubstr("web v3"))));
  Diagnosis brief = diagnosis();
  brief.details = false;
  begin(brief);
  EXPECT_THAT(ask(kRequest), AllOf(StartsWith("HTTP/1.1 503 "), Not(HasSubstr("web v3"))));
}

TEST_F(SafeModeTest, refuses_what_is_malformed_or_too_large_and_hangs_up_on_all_else) {
  begin();
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost : x\r\n\r\n"), StartsWith("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(2 * http::RequestHead::kMaxBytes, 'a')),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_EQ(ask("SSH-2.0-x\r\n"), "");
  EXPECT_EQ(ask(std::string("\x16\x03\x01\0\0", 5)), "");
}

// The buttons; what they ask for is written down, and answered by the test.
class SafeModeActs : public SafeModeTest {
 protected:
  void SetUp() override {
    SafeModeTest::SetUp();
    offer();
    begin(with_code());
    code_ = code();
  }
  void offer() {
    on_loop([this] {
      safe_mode_->offer(
          [this](const HttpSafeMode::Press& press, const std::function<void(const Status&)>& done) {
            pressed_.push_back(fmt::format("{} {} {}", press.service, press.act, press.version));
            if (outcome_) return done(*outcome_);
            waiting_ = done;
          });
    });
  }
  [[nodiscard]] std::string code_file() const { return (folder_.path() / "code").string(); }
  [[nodiscard]] Diagnosis with_code() const {
    Diagnosis with = diagnosis();
    with.code_file = code_file();
    return with;
  }
  [[nodiscard]] std::string code() const { return std::string(trim(tests::read(code_file()))); }
  [[nodiscard]] std::string press(const std::string& form, const std::string& fields = "") const {
    return ask(request(form, fields));
  }
  static std::string request(const std::string& form, const std::string& fields = "") {
    return "POST /.selfbuild/act HTTP/1.1\r\nHost: x\r\n" + fields +
           "Content-Length: " + std::to_string(form.size()) + "\r\n\r\n" + form;
  }
  void wait_until_pressed() {
    tests::wait_until([this] {
      bool there = false;
      on_loop([&] { there = static_cast<bool>(waiting_); });
      return there;
    });
  }

  os::TemporaryFolder folder_ = tests::temporary_folder();
  std::string code_;
  std::vector<std::string> pressed_;
  std::optional<Status> outcome_ = Status();  // none: `waiting_` is to be called
  std::function<void(const Status&)> waiting_;
};

TEST_F(SafeModeActs, are_done_for_who_has_the_code) {
  EXPECT_THAT(ask(kRequest), AllOf(HasSubstr("<form method=\"post\" action=\"/.selfbuild/act\">"),
                                   HasSubstr(code_file()), Not(HasSubstr(code_))));
  EXPECT_THAT(press("code=" + code_ + "&act=restart"),
              AllOf(StartsWith("HTTP/1.1 303 See Other\r\n"), HasSubstr("\r\nLocation: /\r\n")));
  EXPECT_THAT(press("act=rollback+2&code=" + code_), StartsWith("HTTP/1.1 303 "));
  EXPECT_EQ(pressed_, (std::vector<std::string>{"web restart 0", "web rollback 2"}));
}

TEST_F(SafeModeActs, are_refused_without_the_code_or_from_elsewhere) {
  EXPECT_THAT(press("code=other&act=restart"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(press("act=restart"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(press("code=&act=restart"), StartsWith("HTTP/1.1 403 "));
  const std::string good = "code=" + code_;
  EXPECT_THAT(press(good + "&act=format"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(press(good + "&act=rollback"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(press(good + "&act=restart", "X-Forwarded-For: 192.0.2.1\r\n"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(press(good + "&act=restart&" + std::string(4096, 'x')), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(ask("GET /.selfbuild/act?" + good + "&act=restart HTTP/1.1\r\nHost: x\r\n\r\n"),
              StartsWith("HTTP/1.1 503 "));
  Diagnosis brief = with_code();
  brief.details = false;
  begin(brief);
  EXPECT_THAT(press(good + "&act=restart"), StartsWith("HTTP/1.1 503 "));
  EXPECT_TRUE(pressed_.empty());
}

TEST_F(SafeModeActs, have_a_code_for_one_safe_mode_only_that_nobody_else_can_read) {
  struct stat info{};
  ASSERT_EQ(::stat(code_file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  begin(with_code());
  EXPECT_EQ(code(), code_) << "it goes on";
  on_loop([this] { safe_mode_->end("web"); });
  EXPECT_FALSE(std::filesystem::exists(code_file()));
  begin(with_code());
  EXPECT_NE(code(), code_);
  EXPECT_THAT(press("code=" + code_ + "&act=restart"), StartsWith("HTTP/1.1 403 "));
}

TEST_F(SafeModeActs, say_why_when_it_cannot_be_done) {
  on_loop([this] { outcome_ = fail(ErrorKind::conflict, "no version before v3 is known to be good"); });
  EXPECT_THAT(press("code=" + code_ + "&act=rollback+2"),
              AllOf(StartsWith("HTTP/1.1 409 "), HasSubstr("no version before v3 is known to be good")));
}

TEST_F(SafeModeActs, may_come_in_pieces_and_be_answered_later) {
  on_loop([this] { outcome_.reset(); });
  const UniqueFd client = tests::connect_to(socket_.address);
  const std::string whole = request("code=" + code_ + "&act=restart");
  for (const char byte : whole) tests::say(client, std::string_view(&byte, 1));
  wait_until_pressed();
  on_loop([this] { waiting_({}); });
  EXPECT_THAT(tests::hear(client), StartsWith("HTTP/1.1 303 "));
}

TEST_F(SafeModeActs, may_end_when_nobody_waits_any_more) {
  on_loop([this] {
    start({.connections = 1});
    outcome_.reset();
  });
  offer();
  begin(with_code());
  const UniqueFd client = tests::connect_to(socket_.address);
  tests::say(client, request("code=" + code() + "&act=restart"));
  wait_until_pressed();
  EXPECT_THAT(ask(kRequest), StartsWith("HTTP/1.1 503 ")) << "takes the other one's place";
  EXPECT_EQ(tests::hear(client), "");
  on_loop([this] { waiting_({}); });
  EXPECT_THAT(ask(kRequest), StartsWith("HTTP/1.1 503 "));
}

TEST_F(SafeModeActs, that_take_long_are_said_to_go_on) {
  on_loop([this] {
    start({.connections = 8, .act = os::Milliseconds(1)});
    outcome_.reset();
  });
  offer();
  begin(with_code());
  EXPECT_THAT(press("code=" + code() + "&act=restart"),
              AllOf(StartsWith("HTTP/1.1 202 "), HasSubstr("it goes on")));
  on_loop([this] { waiting_({}); });
  EXPECT_THAT(ask(kRequest), StartsWith("HTTP/1.1 503 "));
}

TEST_F(SafeModeTest, answers_on_unix_sockets) {
  const os::TemporaryFolder folder = tests::temporary_folder();
  listen({.name = "http", .listen = "unix:" + (folder.path() / "s").string()});
  begin();
  EXPECT_THAT(ask(kRequest), HasSubstr("web v3 cannot be started"));
}

TEST_F(SafeModeTest, leaves_to_the_service_who_comes_after_its_end) {
  begin();
  const UniqueFd before = tests::connect_to(socket_.address);
  tests::say(before, kRequest);
  EXPECT_THAT(tests::hear(before), StartsWith("HTTP/1.1 503 "));
  on_loop([this] { safe_mode_->end("web"); });
  const UniqueFd after = tests::connect_to(socket_.address);
  tests::say(after, kRequest);
  on_loop([] {});
  expect_service_gets(after);
}

TEST_F(SafeModeTest, leaves_to_the_service_who_comes_before_its_end_has_been_heard) {
  begin();
  const UniqueFd news(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  os::Watch ready;
  UniqueFd client;
  on_loop([&] {
    ready = loop_->on_readable(news.get(), [&] {
      ready.reset();
      safe_mode_->end("web");
    });
    // Both are there when the loop looks the next time, the connection first.
    client = tests::connect_to(socket_.address);
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(news.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  });
  on_loop([] {});
  tests::say(client, kRequest);
  expect_service_gets(client);
}

TEST_F(SafeModeTest, finishes_a_conversation_that_began_before_its_end) {
  begin();
  const UniqueFd client = tests::connect_to(socket_.address);
  tests::say(client, "GET / HT");
  // The next one is answered, so this one has been accepted.
  EXPECT_THAT(ask(kRequest), StartsWith("HTTP/1.1 503 "));
  on_loop([this] { safe_mode_->end("web"); });
  tests::say(client, "TP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(tests::hear(client), StartsWith("HTTP/1.1 503 "));
}

TEST_F(SafeModeTest, never_changes_whether_the_socket_of_a_service_blocks) {
  make_blocking();
  begin();
  EXPECT_THAT(ask(kRequest), StartsWith("HTTP/1.1 503 "));
  on_loop([] {});
  EXPECT_EQ(::fcntl(socket_.fd.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(SafeModeTest, leaves_a_socket_that_blocks_to_the_instance_that_starts) {
  make_blocking();
  begin();
  on_loop([this] { safe_mode_->share("web"); });
  const UniqueFd client = tests::connect_to(socket_.address);
  tests::say(client, kRequest);
  on_loop([] {});
  expect_service_gets(client);
}

TEST_F(SafeModeTest, goes_on_beside_an_instance_that_starts_on_a_socket_that_does_not_block) {
  begin();
  on_loop([this] { safe_mode_->share("web"); });
  EXPECT_THAT(ask(kRequest), StartsWith("HTTP/1.1 503 "));
}

TEST_F(SafeModeTest, gives_up_who_takes_too_long) {
  on_loop([this] { start({.connections = 8, .patience = os::Milliseconds(20)}); });
  begin();
  EXPECT_EQ(ask(""), "");
  EXPECT_EQ(ask("GET / HTTP/1.1\r\n"), "");
}

TEST_F(SafeModeTest, gives_up_the_oldest_when_there_are_too_many) {
  on_loop([this] { start({.connections = 2, .patience = os::Milliseconds(600'000)}); });
  begin();
  const UniqueFd first = tests::connect_to(socket_.address);
  const UniqueFd second = tests::connect_to(socket_.address);
  const UniqueFd third = tests::connect_to(socket_.address);
  EXPECT_EQ(tests::hear(first), "");
  tests::say(third, kRequest);
  EXPECT_THAT(tests::hear(third), StartsWith("HTTP/1.1 503 "));
}

}  // namespace
}  // namespace sb::supervise
