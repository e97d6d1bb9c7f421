// Request: what somebody asked a cycle to do. Kept as JSON in build_history.improvement_plan and carried by
// the task.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "artifacts/object_store.h"
#include "base/result.h"

namespace sb::update {

struct Request {
  std::string project;
  std::string repository;                      // absolute path of the work tree
  std::string commit;                          // 40 hex digits
  std::optional<artifacts::ObjectId> patch{};  // in the object store
  std::string patch_name;                      // how the user called it
  std::string title;                           // one line for history
  int jobs = 0;                                // for Ninja; 0: its default
  std::string rollout = "{}";  // how it goes into service: see cycle.begin in lib/rpc/METHODS.md
};

[[nodiscard]] std::string to_json_text(const Request& request);
[[nodiscard]] Result<Request> request_from_json(std::string_view text);

}  // namespace sb::update
