// Diagnosis: what is known about a service that cannot be started, and how it is told to whoever asks the
// service's own socket for something: a page for people, JSON for programs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sb::supervise {

// A version that could be put into service.
struct KnownVersion {
  int number = 0;
  std::string state;         // as history says: known_good, rolled_back, …
  bool is_laid_out = false;  // to run
};

struct Diagnosis {
  std::string service;
  std::string project;  // empty: of none
  int version = 0;      // that cannot be started; 0: none of any project
  std::string trouble;  // one line
  std::string last_exit;
  int restarts = 0;
  std::int64_t next_start_ms = 0;  // since the epoch; 0: it is being started
  std::string output;              // the last lines that it printed, whatever is in them
  std::vector<KnownVersion> versions;
  std::string remedy;       // a command
  std::string code_file{};  // has what the page's buttons ask for; empty: there are none
  bool details = true;      // false: nobody is told more than that it does not work
};

// Where the page's form is posted to: code=…&act=restart, or act=rollback and a number.
inline constexpr std::string_view kActPath = "/.selfbuild/act";

// The command that is most likely to help.
[[nodiscard]] std::string remedy_for(const Diagnosis& diagnosis);

struct Answer {
  std::string content_type;
  std::string body;
};
// Nothing but the fact when `details` is false, since the rest may be nobody else's business. Whatever the
// service printed is shown as text and nothing else. buttons: among the details, a form for kActPath.
[[nodiscard]] Answer as_page(const Diagnosis& diagnosis, bool details, bool buttons = false);
[[nodiscard]] Answer as_json(const Diagnosis& diagnosis, bool details);

}  // namespace sb::supervise
