// .ninja_deps: what is kept, and files that no Ninja has just written.
#include "ninja/deps_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::ninja {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class DepsLogFile : public testing::Test {
 protected:
  Result<DepsLog> load(const std::string& bytes) {
    tests::write(file(), bytes);
    return DepsLog::load(folder_.path());
  }
  [[nodiscard]] std::filesystem::path file() const { return folder_.path() / ".ninja_deps"; }
  // Two outputs and the headers of each; as bytes.
  std::string two_outputs() {
    DepsLog log;
    log.set("a.o", {.mtime_ns = 1, .paths = {log.intern("a.c"), log.intern("x.h")}});
    log.set("b.o", {.mtime_ns = -2, .paths = {log.intern("x.h")}});
    EXPECT_TRUE(log.save(folder_.path()).has_value());
    return tests::read(file());
  }
  os::TemporaryFolder folder_ = tests::temporary_folder();
};

std::string number(std::uint32_t value) {
  return {reinterpret_cast<const char*>(&value), 4};
}

std::vector<std::string> headers(const DepsLog& log, std::string_view output) {
  const DepsLog::Deps* const deps = log.find(output);
  if (deps == nullptr) return {"(none)"};
  std::vector<std::string> names;
  for (const DepsLog::PathId path : deps->paths) names.push_back(log.path(path));
  return names;
}

TEST_F(DepsLogFile, is_empty_when_there_is_none) {
  ASSERT_OK(const DepsLog none, DepsLog::load(folder_.path()));
  EXPECT_EQ(none.path_count(), 0U);
  ASSERT_OK(const DepsLog nothing, load(""));
  EXPECT_EQ(nothing.path_count(), 0U);
}

TEST_F(DepsLogFile, keeps_outputs_and_their_headers) {
  ASSERT_OK(DepsLog log, load(two_outputs()));
  EXPECT_THAT(headers(log, "a.o"), ElementsAre("a.c", "x.h"));
  EXPECT_EQ(log.find("a.o")->mtime_ns, 1);
  EXPECT_THAT(headers(log, "b.o"), ElementsAre("x.h"));
  EXPECT_EQ(log.find("b.o")->mtime_ns, -2);
  EXPECT_EQ(log.find("x.h"), nullptr);
  EXPECT_EQ(log.find("nobody"), nullptr);

  log.set("a.o", {.mtime_ns = 3, .paths = {}});
  log.erase("b.o");
  log.erase("nobody");
  ASSERT_GOOD(log.save(folder_.path()));
  ASSERT_OK(const DepsLog again, DepsLog::load(folder_.path()));
  EXPECT_THAT(headers(again, "a.o"), IsEmpty());
  EXPECT_EQ(again.find("b.o"), nullptr);
  EXPECT_EQ(again.path_count(), 1U);  // what nothing names any more is not written
}

TEST_F(DepsLogFile, is_written_record_by_record) {
  DepsLog log;
  log.set("out", {.mtime_ns = 0x100000002, .paths = {log.intern("five5")}});
  ASSERT_GOOD(log.save(folder_.path()));
  using namespace std::string_literals;
  EXPECT_EQ(tests::read(file()), "# ninjadeps\n" + number(4) +                    //
                                     number(8) + "out\0"s + number(~0U) +         //
                                     number(12) + "five5\0\0\0"s + number(~1U) +  //
                                     number(0x80000010) + number(0) + number(2) + number(1) + number(1));
}

TEST_F(DepsLogFile, what_follows_a_damaged_record_is_dropped) {
  const std::string good = two_outputs();
  const auto expect_no_more_than = [&](const std::string& tail) {
    ASSERT_OK(const DepsLog log, load(good + tail + good.substr(16)));
    EXPECT_EQ(log.path_count(), 4U);
    EXPECT_THAT(headers(log, "a.o"), ElementsAre("a.c", "x.h"));
  };
  expect_no_more_than("");                                          // a path that is there already
  expect_no_more_than(number(8) + "newh" + number(~7U));            // a number that is not the next one
  expect_no_more_than(number(4) + number(~4U));                     // a path without a name
  expect_no_more_than(number(7) + "new" + number(~4U));             // a length that is not whole
  expect_no_more_than(number(0x7fffffff));                          // a length beyond all limits
  expect_no_more_than(number(0x80000008) + number(0) + number(0));  // dependencies without an mtime
  expect_no_more_than(number(0x8000000C) + number(99) + number(0) + number(0));             // of no path
  expect_no_more_than(number(0x80000010) + number(0) + number(0) + number(0) + number(4));  // on no path
}

TEST_F(DepsLogFile, a_record_that_is_cut_off_is_dropped) {
  const std::string good = two_outputs();
  ASSERT_OK(const DepsLog log, load(good.substr(0, good.size() - 1)));
  EXPECT_THAT(headers(log, "a.o"), ElementsAre("a.c", "x.h"));
  EXPECT_EQ(log.find("b.o"), nullptr);
}

TEST_F(DepsLogFile, another_version_is_named) {
  for (const std::string& start :
       {"# ninjadeps\n" + number(3), std::string("# ninjadeps\n\4"), std::string("x")}) {
    const Result<DepsLog> log = load(start);
    ASSERT_FALSE(log.has_value());
    EXPECT_EQ(log.error().kind, ErrorKind::environment);
    EXPECT_THAT(log.error().what, testing::HasSubstr(".ninja_deps is of version "));
  }
}

TEST_F(DepsLogFile, records_that_are_too_long_for_ninja_are_left_out) {
  DepsLog log;
  log.set("many", {.mtime_ns = 1, .paths = std::vector<DepsLog::PathId>(200'000, log.intern("x.h"))});
  log.set("long", {.mtime_ns = 1, .paths = {log.intern(std::string(600'000, 'x'))}});
  log.set("good", {.mtime_ns = 1, .paths = {log.intern("x.h")}});
  ASSERT_GOOD(log.save(folder_.path()));
  ASSERT_OK(const DepsLog again, DepsLog::load(folder_.path()));
  EXPECT_EQ(again.find("many"), nullptr);
  EXPECT_EQ(again.find("long"), nullptr);
  EXPECT_THAT(headers(again, "good"), ElementsAre("x.h"));
}

}  // namespace
}  // namespace sb::ninja
