// The receipt of a promotion: what a user would have seen while one version took over from another.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "history/types.h"

namespace sb::tool {

// Of the newest record that has one; null without.
[[nodiscard]] Json receipt_of(const std::vector<history::JournalRecord>& journal);

// Label and what it says, line by line; empty for null.
struct ReceiptLine {
  std::string label;
  std::string text;
};
[[nodiscard]] std::vector<ReceiptLine> receipt_lines(const Json& receipt);

}  // namespace sb::tool
