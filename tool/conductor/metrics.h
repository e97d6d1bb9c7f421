// GET /metrics: what Prometheus scrapes. Names follow https://prometheus.io/docs/practices/naming/.
#pragma once

#include <string>

#include "base/json.h"

namespace sb::tool {

struct Swaps {
  std::int64_t kept = 0;
  std::int64_t rolled_back = 0;
  std::int64_t failed = 0;
};

// status: conductor.status.
[[nodiscard]] std::string metrics_text(const Json& status, const Swaps& swaps);

}  // namespace sb::tool
