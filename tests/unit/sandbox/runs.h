// Small shell commands in the sandbox, and the processes that they leave behind.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "os/process.h"
#include "sandbox/run.h"
#include "support/files.h"
#include "support/result_matchers.h"

namespace sb::sandbox::tests {

inline Command shell(std::string script, std::string directory = "/") {
  return Command{.argv = {"/bin/sh", "-c", std::move(script)},
                 .environment = {"PATH=/usr/local/bin:/usr/bin:/bin"},
                 .directory = std::move(directory)};
}

// No test runs without bounds: what escapes its own limit must still end by itself.
inline Envelope bounded() {
  Envelope envelope;
  envelope.wall = std::chrono::seconds(60);
  envelope.processes = 200;
  envelope.memory_bytes = std::uint64_t{1} << 30U;
  envelope.output_bytes = std::uint64_t{1} << 20U;
  return envelope;
}

struct Outcome {
  Report report;
  std::string output;
};
inline Result<Outcome> run_to_end(const Command& command, const Envelope& envelope = bounded()) {
  Outcome outcome;
  SB_TRY(outcome.report, run(command, envelope, [&](std::string_view piece) { outcome.output += piece; }));
  return outcome;
}

inline const Enforcement* find(const Grant& grant, std::string_view resource) {
  for (const Enforcement& item : grant) {
    if (item.resource == resource) return &item;
  }
  return nullptr;
}

// The pids that a run wrote into a file, one per line.
inline std::vector<pid_t> pids_in(const std::filesystem::path& file) {
  std::vector<pid_t> pids;
  const std::string text = sb::tests::read(file);
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (end > at) pids.push_back(static_cast<pid_t>(std::stol(text.substr(at, end - at))));
    at = end + 1;
  }
  return pids;
}

}  // namespace sb::sandbox::tests
