// ProgressLine: shows a build's progress to a person. On a terminal one line that is rewritten; elsewhere
// (CI, a file) plain lines, few enough to read afterwards. Writes to the stream it is given, which must
// outlive it.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "build/builder.h"

namespace sb::build {

class ProgressLine {
 public:
  // `columns` is the width of the terminal; 0 means 80. NO_COLOR in the environment turns colour off.
  ProgressLine(std::FILE* out, bool terminal, int columns);
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine();  // finish()

  void update(const Progress& progress);
  // Prints a whole line of other text without mixing it into the progress line.
  void print(std::string_view line);
  // Clears the progress line, so that what follows starts at the left edge. May be called more than once.
  void finish();

 private:
  void rewrite(const Progress& progress);
  void plain(const Progress& progress);

  std::FILE* out_;
  bool terminal_;
  bool colour_;
  int columns_;
  bool drawn_ = false;    // a progress line is on the screen
  std::string last_;      // as drawn
  bool started_[2] = {};  // per phase: its first plain line was written
  int tenths_ = 0;        // plain: the last multiple of 10% that was written
};

}  // namespace sb::build
