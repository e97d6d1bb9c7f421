// Drawing of progress: the erase sequence of ECMA-48 and nothing else, so that any terminal can show it.
#include "build/progress_line.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "base/text.h"

namespace sb::build {
namespace {

constexpr std::string_view kErase = "\r\x1b[K";
constexpr int kDefaultColumns = 80;

bool no_color() {
  const char* value =
      std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): nobody changes the environment
  return value != nullptr && *value != '\0';
}

}  // namespace

ProgressLine::ProgressLine(std::FILE* out, bool terminal, int columns)
    : out_(out),
      terminal_(terminal),
      colour_(terminal && !no_color()),
      columns_(columns > 0 ? columns : kDefaultColumns) {}

ProgressLine::~ProgressLine() {
  finish();
}

void ProgressLine::update(const Progress& progress) {
  if (terminal_) {
    rewrite(progress);
  } else {
    plain(progress);
  }
}

void ProgressLine::rewrite(const Progress& progress) {
  const bool configuring = progress.phase == Progress::Phase::configuring;
  const std::string counters =
      configuring ? std::string("configuring") : fmt::format("[{}/{}]", progress.done, progress.total);
  // One column stays free: writing into the last one makes some terminals wrap.
  std::string line = cut_to_columns(fmt::format("{} {}", counters, progress.edge), columns_ - 1);
  if (line == last_ && drawn_) return;
  last_ = line;
  drawn_ = true;
  if (colour_ && line.size() > counters.size())
    line = fmt::format("\x1b[1m{}\x1b[0m{}", counters, line.substr(counters.size()));
  fmt::print(out_, "{}{}", kErase, line);
  std::fflush(out_);
}

void ProgressLine::plain(const Progress& progress) {
  bool& started = started_[progress.phase == Progress::Phase::configuring ? 0 : 1];
  if (!started) {
    started = true;
    fmt::print(out_, "{}\n", progress.phase == Progress::Phase::configuring ? "configuring" : "building");
    std::fflush(out_);
  }
  if (progress.phase == Progress::Phase::configuring || progress.total <= 0) return;
  const int tenths = std::clamp(progress.done * 10 / progress.total, 0, 10);
  if (tenths <= tenths_) return;
  tenths_ = tenths;
  fmt::print(out_, "building {}% [{}/{}]\n", tenths * 10, progress.done, progress.total);
  std::fflush(out_);
}

void ProgressLine::print(std::string_view line) {
  finish();
  fmt::print(out_, "{}\n", line);
  std::fflush(out_);
}

void ProgressLine::finish() {
  if (!drawn_) return;
  drawn_ = false;
  fmt::print(out_, "{}", kErase);
  std::fflush(out_);
}

}  // namespace sb::build
