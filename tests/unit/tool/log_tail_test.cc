// What is added to a service's log, across its rotation.
#include "tool/selfbuild/log_tail.h"

#include <fstream>

#include <gtest/gtest.h>

#include "os/file_system.h"
#include "supervise/service_log.h"
#include "support/files.h"

namespace sb::tool {
namespace {

class Tail : public testing::Test {
 protected:
  void print(const std::string& text) const { std::ofstream(folder_.path() / "log", std::ios::app) << text; }
  void rotate() const { supervise::cap_service_log(folder_.path(), 1); }
  os::TemporaryFolder folder_ = sb::tests::temporary_folder();
};

TEST_F(Tail, begins_with_the_last_lines_and_goes_on_with_what_comes) {
  LogTail tail(folder_.path());
  EXPECT_EQ(tail.last(5), "");
  EXPECT_EQ(tail.next(), "");
  print("one\ntwo\nthree\n");
  LogTail second(folder_.path());
  EXPECT_EQ(second.last(2), "two\nthree\n");
  EXPECT_EQ(second.next(), "");
  print("four\n");
  EXPECT_EQ(second.next(), "four\n");
  EXPECT_EQ(tail.next(), "one\ntwo\nthree\nfour\n");
}

TEST_F(Tail, loses_nothing_when_the_log_is_rotated) {
  LogTail tail(folder_.path());
  print("one\n");
  EXPECT_EQ(tail.next(), "one\n");
  print("two\n");
  rotate();
  EXPECT_EQ(tail.next(), "two\n");
  print("three\n");
  EXPECT_EQ(tail.next(), "three\n");
  rotate();
  print("4\n");
  EXPECT_EQ(tail.next(), "4\n");
}

TEST_F(Tail, takes_lines_from_before_the_rotation_when_there_are_too_few_since) {
  print("one\ntwo\n");
  rotate();
  print("three\n");
  EXPECT_EQ(LogTail(folder_.path()).last(2), "two\nthree\n");
  EXPECT_EQ(LogTail(folder_.path()).last(0), "");
}

}  // namespace
}  // namespace sb::tool
