#include "tool/selfbuild/receipt.h"

#include <ranges>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace sb::tool {
namespace {

double figure(const Json& of, const char* key) {
  const auto found = of.find(key);
  return found != of.end() && found->is_number() ? found->get<double>() : 0;
}

std::string tally(const Json& of) {
  return fmt::format("{} of {} failed, p99 {:.1f} ms", figure(of, "failed"),
                     figure(of, "served") + figure(of, "failed"), figure(of, "p99_ms"));
}

}  // namespace

Json receipt_of(const std::vector<history::JournalRecord>& journal) {
  for (const history::JournalRecord& record : std::views::reverse(journal)) {
    const Json detail = parse_json(record.detail).value_or(Json::object());
    if (detail.is_object() && detail.contains("receipt")) return detail["receipt"];
  }
  return nullptr;
}

std::vector<ReceiptLine> receipt_lines(const Json& receipt) {
  if (!receipt.is_object()) return {};
  std::vector<ReceiptLine> lines;
  const Json nothing = Json::object();
  const double served = figure(receipt, "served");
  const double failed = figure(receipt, "failed");
  if (served + failed > 0) {
    lines.push_back(
        {.label = "users",
         .text = fmt::format("{} requests, {} failed, longest gap {} ms, p99 {:.1f} ms before and "
                             "{:.1f} ms during",
                             served + failed, failed, figure(receipt, "longest_gap_ms"),
                             figure(receipt.value("before", nothing), "p99_ms"),
                             figure(receipt.value("during", nothing), "p99_ms"))});
  }
  const std::string mode = json_string_or(receipt, "mode", "").value_or("");
  if (!mode.empty() && mode != "no sockets") lines.push_back({.label = "switch", .text = mode});
  for (const Json& step : receipt.value("canary", Json::array())) {
    lines.push_back(
        {.label = "canary",
         .text = fmt::format("{} at {}%: {}; of the live version {}",
                             json_string_or(step, "service", "").value_or(""), figure(step, "percent"),
                             tally(step.value("new", nothing)), tally(step.value("live", nothing)))});
  }
  return lines;
}

}  // namespace sb::tool
