// Programs that a benchmark runs and times. One that fails ends the benchmark: a figure without it is none.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "support/program.h"

namespace sb::bench {

tests::Finished must(const std::string& what, tests::Finished finished);

struct Timed {
  tests::Finished finished;
  double ms = 0;  // from the start of the process to its end
};
// Fails as must() does.
[[nodiscard]] Timed timed(const std::vector<std::string>& argv, const std::filesystem::path& directory,
                          const tests::Environment& environment);

[[nodiscard]] double median(std::vector<double> values);

// What each edge that Ninja ran says of itself, sorted: `printed` is what it printed with
// kNinjaStatusOfEdges. CMake that Ninja runs again is no edge of the project.
[[nodiscard]] std::vector<std::string> edges_run(std::string_view printed);
inline constexpr const char* kNinjaStatusOfEdges = "[%f/%t/%r] ";

// The command line of a benchmark: its own "--name value" pairs, which are taken out, and what
// Records::finish() reads.
class Arguments {
 public:
  Arguments(int argc, char** argv) : argv_(argv, argv + argc) {}
  [[nodiscard]] std::string take(std::string_view name, std::string otherwise);
  [[nodiscard]] int take(std::string_view name, int otherwise);
  [[nodiscard]] int count() const { return static_cast<int>(argv_.size()); }
  [[nodiscard]] char** values() { return argv_.data(); }

 private:
  std::vector<char*> argv_;
};

}  // namespace sb::bench
