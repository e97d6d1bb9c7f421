// Golden files: text that people read (help pages, error screens) compared with tests/golden/<path>.
//
// When such a text changes on purpose, run the failing test again with SELFBUILD_ACCEPT=1: it rewrites the
// file, and git shows the change for review.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sb::tests {

// Fails the running test (without ending it) when text is not what tests/golden/<path> holds; the failure
// shows the first lines that differ and the command that accepts them. With SELFBUILD_ACCEPT=1 in the
// environment it writes the file instead, and passes. path is relative: "help/update.txt".
void expect_golden(std::string_view path, std::string_view text);

// Replaces what differs from run to run, so that the rest can be compared to the letter:
//
//   each literal of `names`        its replacement, longest literal first ({folder.path(), "<home>"})
//   digests, 32, 40 or 64 hex      <xxh3> <commit> <sha256>
//   times, 2026-11-20T05:15:24Z    <time>
//   durations, "1.5 s", "12 ms", "2 min 05 s"    <duration>; not "10s", which is how a manifest writes one
//   "pid 4711", "pid: 4711"        pid <pid>
//   127.0.0.1:40123, [::1]:40123   127.0.0.1:<port>, [::1]:<port>
[[nodiscard]] std::string normalised(std::string text,
                                     std::vector<std::pair<std::string, std::string>> names = {});

// What expect_golden prints: the lines around the first difference, "-" expected and "+" found. Empty when
// equal.
[[nodiscard]] std::string difference(std::string_view expected, std::string_view found);

}  // namespace sb::tests
