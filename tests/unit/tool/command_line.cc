#include "command_line.h"

#include <cstdlib>
#include <ctime>

#include <gtest/gtest.h>

#include "support/files.h"

namespace sb::tool::tests {

void add_all(Program& program) {
  for (const auto add : {add_init,   add_build,     add_test,    add_update, add_promote,    add_rollback,
                         add_hold,   add_pin,       add_nightly, add_status, add_history,    add_show,
                         add_log,    add_logs,      add_explain, add_audit,  add_gc,         add_cache,
                         add_doctor, add_conductor, add_worker,  add_help,   add_completions}) {
    add(program);
  }
}

CommandLine::CommandLine() : temporary_(sb::tests::temporary_folder()) {
  std::filesystem::create_directories(folder());
  ::setenv("SELFBUILD_HOME", home().c_str(), 1);
  ::setenv("TZ", "UTC", 1);
  ::tzset();
}

CommandLine::~CommandLine() {
  ::unsetenv("SELFBUILD_HOME");
  ::unsetenv("TZ");
}

Ran CommandLine::run(const std::vector<std::string>& arguments) const {
  std::vector<std::string> words = {"selfbuild", "-C", folder().string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Ran ran;
  {
    Program program;
    add_all(program);
    ran.code = program.run(static_cast<int>(argv.size()), argv.data());
  }
  ran.out = testing::internal::GetCapturedStdout();
  ran.err = testing::internal::GetCapturedStderr();
  return ran;
}

}  // namespace sb::tool::tests
