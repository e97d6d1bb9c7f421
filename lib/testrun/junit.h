// CTest's JUnit file, read as what it is: a file in reach of the code under test.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "testrun/examiner.h"

namespace sb::testrun {

struct Tally {
  int tests = 0;  // all that the file names
  int failed = 0;
  int skipped = 0;                   // disabled, or skipped by their own decision
  std::vector<FailedTest> failures;  // at most 100
};

// A test that CTest could not run (its program is missing, its fixture failed) counts as failed. corrupt when
// the text is not a JUnit document.
[[nodiscard]] Result<Tally> parse_junit(std::string_view text);
// Only a regular file of at most 32 MiB is read; symlinks and pipes are refused. not_found when there is
// none.
[[nodiscard]] Result<Tally> read_junit(const std::filesystem::path& file);

}  // namespace sb::testrun
