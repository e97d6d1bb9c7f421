#include "activation/evidence.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace sb::activation {
namespace {

constexpr double kMoreFailures = 0.02;
constexpr int kFewestFailures = 2;
constexpr double kMedianFactor = 2;
constexpr double kMedianSlackMs = 5;
constexpr double kP99Factor = 3;
constexpr double kP99SlackMs = 20;
constexpr std::uint64_t kMemoryFactor = 2;
constexpr std::uint64_t kMemorySlack = 64U << 20U;
constexpr std::size_t kMostKept = 100'000;  // of answers, for the quantiles

double failure_rate(const Tally& tally) {
  return tally.asked() == 0 ? 0 : static_cast<double>(tally.failed) / tally.asked();
}

double rounded(double ms) {
  return std::round(ms * 1000) / 1000;
}

bool slower(const Tally& live, const Tally& fresh, double part, double factor, double slack) {
  return live.served > 0 && fresh.served > 0 &&
         fresh.quantile_ms(part) > live.quantile_ms(part) * factor + slack;
}

std::string compared(const char* what, const Tally& live, const Tally& fresh, double part,
                     std::string_view other) {
  return fmt::format("{} {:.1f} ms, of the {} {:.1f} ms", what, fresh.quantile_ms(part), other,
                     live.quantile_ms(part));
}

}  // namespace

double Tally::quantile_ms(double part) const {
  if (took.empty()) return 0;
  std::vector<std::chrono::microseconds> sorted = took;
  const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(sorted.size())));
  const auto at =
      sorted.begin() + static_cast<std::ptrdiff_t>(std::clamp<std::size_t>(rank, 1, sorted.size()) - 1);
  std::ranges::nth_element(sorted, at);
  return static_cast<double>(at->count()) / 1000;
}

Json to_json(const Tally& tally) {
  return {{"served", tally.served},
          {"failed", tally.failed},
          {"p50_ms", rounded(tally.quantile_ms(0.5))},
          {"p99_ms", rounded(tally.quantile_ms(0.99))}};
}

void Tally::count(const supervise::Timed& answer) {
  if (answer.status) {
    ++served;
    if (took.size() < kMostKept) took.push_back(answer.took);
  } else {
    ++failed;
    last_failure = one_line(answer.status.error());
  }
}

std::string objection(const Tally& live, const Tally& fresh) {
  constexpr std::string_view kOther = "live version";
  std::string why = error_objection(live, fresh, kOther);
  if (why.empty()) why = median_objection(live, fresh, kOther);
  if (why.empty() && slower(live, fresh, 0.99, kP99Factor, kP99SlackMs))
    why = compared("p99", live, fresh, 0.99, kOther);
  return why;
}

std::string error_objection(const Tally& live, const Tally& fresh, std::string_view other) {
  if (fresh.failed < kFewestFailures || failure_rate(fresh) <= failure_rate(live) + kMoreFailures) return {};
  return fmt::format("{} of {} requests failed, of the {} {} of {}: {}", fresh.failed, fresh.asked(), other,
                     live.failed, live.asked(), fresh.last_failure);
}

std::string median_objection(const Tally& live, const Tally& fresh, std::string_view other) {
  return slower(live, fresh, 0.5, kMedianFactor, kMedianSlackMs) ? compared("median", live, fresh, 0.5, other)
                                                                 : "";
}

std::string memory_objection(const Compared& compared) {
  const std::uint64_t before = compared.memory_before;
  const std::uint64_t after = compared.memory_after;
  if (before == 0 || after <= kMemoryFactor * before || after <= before + kMemorySlack) return {};
  return fmt::format("{} of memory, of the version before {}", human_bytes(after), human_bytes(before));
}

Json to_json(const Compared& compared) {
  return {{"service", compared.service},
          {"before", to_json(compared.before)},
          {"after", to_json(compared.after)},
          {"memory_before", compared.memory_before},
          {"memory_after", compared.memory_after}};
}

Json to_json(const Receipt& receipt) {
  Json canary = Json::array();
  for (const CanaryStep& step : receipt.canary) {
    canary.push_back({{"service", step.service},
                      {"percent", step.percent},
                      {"live", to_json(step.live)},
                      {"new", to_json(step.fresh)}});
  }
  Json compared = Json::array();
  for (const Compared& one : receipt.compared) compared.push_back(to_json(one));
  return {{"mode", receipt.mode},
          {"served", receipt.before.served + receipt.during.served},
          {"failed", receipt.before.failed + receipt.during.failed},
          {"longest_gap_ms", receipt.longest_gap_ms},
          {"before", to_json(receipt.before)},
          {"during", to_json(receipt.during)},
          {"digest", receipt.digest},
          {"proofs", receipt.proofs},
          {"canary", std::move(canary)},
          {"compared", std::move(compared)},
          {"interrupted", receipt.interrupted}};
}

}  // namespace sb::activation
