#include "bench/commands.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include <fmt/format.h>

namespace sb::bench {

tests::Finished must(const std::string& what, tests::Finished finished) {
  if (finished.code == 0) return finished;
  fmt::print(stderr, "{} ended with {}:\n{}\n", what, finished.code, finished.all());
  std::exit(1);
}

Timed timed(const std::vector<std::string>& argv, const std::filesystem::path& directory,
            const tests::Environment& environment) {
  const auto start = std::chrono::steady_clock::now();
  tests::Finished finished = tests::run_program(argv, directory, environment);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  return {.finished = must(argv.front(), std::move(finished)), .ms = took.count()};
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::vector<std::string> edges_run(std::string_view printed) {
  std::vector<std::string> edges;
  while (!printed.empty()) {
    const std::size_t end = std::min(printed.find('\n'), printed.size());
    const std::string_view line = printed.substr(0, end);
    printed.remove_prefix(std::min(end + 1, printed.size()));
    const std::size_t status = line.find("] ");
    if (!line.starts_with('[') || status == std::string_view::npos) continue;
    const std::string_view counters = line.substr(1, status - 1);
    if (counters.find_first_not_of("0123456789/") != std::string_view::npos ||
        std::ranges::count(counters, '/') != 2)
      continue;
    const std::string_view edge = line.substr(status + 2);
    if (edge.starts_with("Re-running CMake") || edge.starts_with("Re-checking globbed")) continue;
    edges.emplace_back(edge);
  }
  std::ranges::sort(edges);
  return edges;
}

std::string Arguments::take(std::string_view name, std::string otherwise) {
  const auto at = std::ranges::find_if(argv_, [&](const char* word) { return name == word; });
  if (at == argv_.end() || at + 1 == argv_.end()) return otherwise;
  std::string value = *(at + 1);
  argv_.erase(at, at + 2);
  return value;
}

int Arguments::take(std::string_view name, int otherwise) {
  const std::string value = take(name, std::string());
  return value.empty() ? otherwise : std::atoi(value.c_str());
}

}  // namespace sb::bench
