// What a promotion is judged by and what its receipt says: questions that were asked, and how they were
// answered. No clock and no sockets: numbers only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/json.h"
#include "supervise/health_probe.h"

namespace sb::activation {

// Answers to one question.
struct Tally {
  int served = 0;
  int failed = 0;
  std::vector<std::chrono::microseconds> took{};  // of those served
  std::string last_failure{};

  void count(const supervise::Timed& answer);
  [[nodiscard]] int asked() const { return served + failed; }
  // The nearest rank; 0 without an answer.
  [[nodiscard]] double quantile_ms(double part) const;
};
[[nodiscard]] Json to_json(const Tally& tally);  // {served, failed, p50_ms, p99_ms}

// Why the new version is worse than the live one, which was asked in the same time; empty when it is not.
// Worse: fails 2 points more often, and twice at least; or has more than twice its median plus 5 ms; or more
// than thrice its p99 plus 20 ms.
[[nodiscard]] std::string objection(const Tally& live, const Tally& fresh);
// Parts of it. `other`: what the one that it is compared with is called.
[[nodiscard]] std::string error_objection(const Tally& live, const Tally& fresh, std::string_view other);
[[nodiscard]] std::string median_objection(const Tally& live, const Tally& fresh, std::string_view other);

// One service on probation, and the version before; see comparison.h.
struct Compared {
  std::string service{};
  Tally before{};
  Tally after{};
  std::uint64_t memory_before = 0;  // resident bytes; 0: not known
  std::uint64_t memory_after = 0;
};
// More than twice as much, and 64 MiB.
[[nodiscard]] std::string memory_objection(const Compared& compared);
[[nodiscard]] Json to_json(const Compared& compared);

// One step of a canary, of one service.
struct CanaryStep {
  std::string service;
  int percent = 0;
  Tally live{};
  Tally fresh{};
};

// Answers to the users' own question while one version took over from another.
struct Receipt {
  Tally before{};
  Tally during{};
  std::int64_t longest_gap_ms = 0;  // between two good answers, once there was one
  std::string mode{};               // steered | shared socket | no sockets
  std::string digest{};             // SHA-256 of the version's files, as they were before the start; or empty
  std::vector<std::string> proofs{};  // what was asked of it before any user reached it
  std::vector<CanaryStep> canary{};
  std::vector<Compared> compared{};
  bool interrupted = false;  // the conductor was started again meanwhile: later figures only
};
[[nodiscard]] Json to_json(const Receipt& receipt);

}  // namespace sb::activation
