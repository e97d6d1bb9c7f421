// CTest's JUnit file, well-formed and hostile.
#include "testrun/junit.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/files.h"
#include "support/result_matchers.h"
#include "testrun/transcript.h"

namespace sb::testrun::tests {
namespace {

constexpr std::string_view kOfCtest = R"xml(<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="(empty)" tests="5" failures="1">
  <testcase name="good" status="run"><system-out>fine</system-out></testcase>
  <testcase name="bad" status="fail"><failure message=""/><system-out>one
two
</system-out></testcase>
  <testcase name="missing" status="notrun"><skipped message="Unable to find executable"/></testcase>
  <testcase name="off" status="disabled"><system-out>Disabled</system-out></testcase>
  <testcase name="skip" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>
</testsuite>)xml";

TEST(Junit, counts_what_ctest_writes) {
  ASSERT_OK(const Tally tally, parse_junit(kOfCtest));
  EXPECT_EQ(tally.tests, 5);
  EXPECT_EQ(tally.failed, 2);
  EXPECT_EQ(tally.skipped, 2);
  ASSERT_EQ(tally.failures.size(), 2U);
  EXPECT_EQ(tally.failures[0].name, "bad");
  EXPECT_EQ(tally.failures[0].output, "one\ntwo\n");
  EXPECT_EQ(tally.failures[1].name, "missing");
  EXPECT_EQ(tally.failures[1].output, "Unable to find executable\n");
}

TEST(Junit, believes_the_cases_and_not_the_totals) {
  ASSERT_OK(
      const Tally tally,
      parse_junit("<testsuite tests='1000' failures='0'><testcase name='x' status='fail'/></testsuite>"));
  EXPECT_EQ(tally.tests, 1);
  EXPECT_EQ(tally.failed, 1);
}

TEST(Junit, refuses_what_is_no_document) {
  EXPECT_ERROR(ErrorKind::corrupt, parse_junit(""));
  EXPECT_ERROR(ErrorKind::corrupt, parse_junit("<testsuite><testcase"));
  EXPECT_ERROR(ErrorKind::corrupt, parse_junit("<html/>"));
  EXPECT_ERROR(ErrorKind::corrupt, parse_junit(std::string("\0\0\0\0", 4)));
}

TEST(Junit, survives_deep_nesting_and_entities) {
  std::string deep = "<testsuite><testcase name='x' status='run'>";
  for (int i = 0; i < 200'000; ++i) deep += "<a>";
  EXPECT_FALSE(parse_junit(deep).has_value());
  ASSERT_OK(const Tally tally, parse_junit("<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
                                           "<testsuite><testcase name='&a;' status='fail'/></testsuite>"));
  EXPECT_EQ(tally.failures.at(0).name, "&a;");
}

TEST(Junit, keeps_names_and_outputs_short_and_harmless) {
  const std::string name = std::string(10'000, 'n') + "&#27;[2J\n";
  const std::string output = "\xff&#27;]0;title&#7;" + std::string(100'000, 'o');
  std::string text = "<testsuite>";
  for (int i = 0; i < 300; ++i) {
    text.append("<testcase name='").append(name).append("' status='fail'><system-out>");
    text.append(output).append("</system-out></testcase>");
    if (text.size() > 30U << 20U) break;
  }
  ASSERT_OK(const Tally tally, parse_junit(text + "</testsuite>"));
  EXPECT_GE(tally.failed, 101);
  EXPECT_EQ(tally.failures.size(), 100U);
  for (const FailedTest& failure : tally.failures) {
    EXPECT_LE(failure.name.size(), 200U);
    EXPECT_LE(failure.output.size(), 8192U);
    EXPECT_EQ(failure.name.find('\x1b'), std::string::npos);
    EXPECT_EQ(failure.name.find('\n'), std::string::npos);
  }
}

TEST(Junit, reads_only_a_regular_file) {
  const auto folder = sb::tests::temporary_folder();
  const auto path = folder.path() / "junit.xml";
  EXPECT_ERROR(ErrorKind::not_found, read_junit(path));
  std::filesystem::create_symlink("/dev/zero", path);
  EXPECT_ERROR(ErrorKind::corrupt, read_junit(path));
  std::filesystem::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_ERROR(ErrorKind::corrupt, read_junit(path));
  std::filesystem::remove(path);
  sb::tests::write(path, "");
  std::filesystem::resize_file(path, 100U << 20U);  // sparse
  EXPECT_ERROR(ErrorKind::refused, read_junit(path));
}

TEST(Printable, keeps_text_and_drops_what_steers_a_terminal) {
  EXPECT_EQ(printable("a\tb\nc", 100), "a\tb\nc");
  EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x99\x82", 100),
            "gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x99\x82");
  EXPECT_EQ(printable("\x1b[31m\r\x7f\xc2\x9b", 100), "?[31m???");
  EXPECT_EQ(printable("\xc3(\xff", 100), "?(?");
  EXPECT_EQ(printable("0123456789", 4), "6789");
}

TEST(Transcript, passes_whole_lines_and_keeps_the_end) {
  const auto folder = sb::tests::temporary_folder();
  std::vector<std::string> lines;
  ASSERT_OK(Transcript transcript,
            Transcript::open(folder.path() / "new" / "log",
                             [&](std::string_view line) { lines.emplace_back(line); }));
  transcript.take("one\ntw");
  transcript.take("o\nthree");
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two"}));
  transcript.end();
  EXPECT_EQ(lines.back(), "three");
  EXPECT_EQ(transcript.last(2), "two\nthree\n");
  EXPECT_EQ(sb::tests::read(folder.path() / "new" / "log"), "one\ntwo\nthree");
}

}  // namespace
}  // namespace sb::testrun::tests
