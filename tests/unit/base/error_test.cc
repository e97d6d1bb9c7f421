// How an error reads, on a terminal and in one line.
#include "base/error.h"

#include <cerrno>

#include <gtest/gtest.h>

#include "base/result.h"
#include "base/unique_fd.h"
#include "support/result_matchers.h"

namespace sb {
namespace {

TEST(Error, reads_as_what_failed_then_the_context_then_the_comparison_then_the_log_then_the_next_command) {
  Error error = make_error(ErrorKind::build_failed, "cannot build v7 of demo", "selfbuild log c-118")
                    .doing("running ninja")
                    .doing("running cycle c-118");
  error.expected = "exit code 0";
  error.found = "exit code 1";
  error.log = "main.cc:3:1: error: expected ';'";
  EXPECT_EQ(format_error(error),
            "error: cannot build v7 of demo\n"
            "  while running ninja\n"
            "  while running cycle c-118\n"
            "  expected  exit code 0\n"
            "  found     exit code 1\n"
            "\n"
            "main.cc:3:1: error: expected ';'\n"
            "\n"
            "next:\n"
            "  selfbuild log c-118\n");
}

TEST(Error, without_anything_more_is_one_line) {
  EXPECT_EQ(format_error(make_error(ErrorKind::refused, "no")), "error: no\n");
}

TEST(Error, ends_a_log_that_ends_with_a_newline_with_that_one_only) {
  Error error = make_error(ErrorKind::bug, "x");
  error.log = "a\nb\n";
  EXPECT_EQ(format_error(error), "error: x\n\na\nb\n");
}

TEST(Error, in_one_line_keeps_its_context) {
  EXPECT_EQ(one_line(make_error(ErrorKind::bug, "x failed").doing("doing y").doing("doing z")),
            "x failed (while doing y) (while doing z)");
}

TEST(Error, of_errno_says_the_system_s_words) {
  errno = ENOENT;
  const Error error = errno_error("cannot open x");
  EXPECT_EQ(error.what, "cannot open x: No such file or directory");
  EXPECT_EQ(error.kind, ErrorKind::environment);
  EXPECT_EQ(errno_error("cannot open x", EACCES).what, "cannot open x: Permission denied");
}

TEST(Error, kinds_have_distinct_names) {
  EXPECT_EQ(to_string(ErrorKind::usage), "usage");
  EXPECT_EQ(to_string(ErrorKind::not_found), "not_found");
  EXPECT_EQ(to_string(ErrorKind::conflict), "conflict");
  EXPECT_EQ(to_string(ErrorKind::environment), "environment");
  EXPECT_EQ(to_string(ErrorKind::refused), "refused");
  EXPECT_EQ(to_string(ErrorKind::build_failed), "build_failed");
  EXPECT_EQ(to_string(ErrorKind::test_failed), "test_failed");
  EXPECT_EQ(to_string(ErrorKind::unhealthy), "unhealthy");
  EXPECT_EQ(to_string(ErrorKind::corrupt), "corrupt");
  EXPECT_EQ(to_string(ErrorKind::interrupted), "interrupted");
  EXPECT_EQ(to_string(ErrorKind::bug), "bug");
}

Result<int> twice(Result<int> input) {
  SB_TRY(const int value, std::move(input));
  return 2 * value;
}

Status stop_at(int& reached, int where) {
  reached = 1;
  SB_CHECK(where == 1 ? fail(ErrorKind::conflict, "stopped") : Status{});
  reached = 2;
  return {};
}

TEST(Result, macros_pass_the_error_up_and_the_value_on) {
  ASSERT_OK(const int four, twice(2));
  EXPECT_EQ(four, 4);
  EXPECT_ERROR(ErrorKind::usage, twice(fail(ErrorKind::usage, "no number")));
  int reached = 0;
  EXPECT_ERROR(ErrorKind::conflict, stop_at(reached, 1));
  EXPECT_EQ(reached, 1);
  ASSERT_GOOD(stop_at(reached, 2));
  EXPECT_EQ(reached, 2);
}

TEST(Result, doing_names_the_work_of_a_failed_result_only) {
  EXPECT_EQ(doing("counting", Result<int>(3)), 3);
  const Result<int> failed = doing("counting", Result<int>(fail(ErrorKind::bug, "x")));
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().while_doing, std::vector<std::string>{"counting"});
}

TEST(UniqueFd, closes_once_and_moves) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  UniqueFd reader(ends[0]);
  {
    UniqueFd writer(ends[1]);
    const UniqueFd moved = std::move(writer);
    EXPECT_EQ(moved.get(), ends[1]);
  }
  // The last write end is closed: the reader sees the end.
  char byte = 0;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 0);
  const int raw = reader.release();
  EXPECT_FALSE(reader.valid());
  EXPECT_EQ(::close(raw), 0);
}

}  // namespace
}  // namespace sb
