#include "update/request.h"

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace sb::update {

std::string to_json_text(const Request& request) {
  Json value{{"project", request.project},
             {"repository", request.repository},
             {"commit", request.commit},
             {"title", request.title},
             {"jobs", request.jobs}};
  value["patch"] = request.patch ? Json(request.patch->to_string()) : Json(nullptr);
  value["patch_name"] = request.patch_name;
  value["rollout"] = parse_json(request.rollout).value_or(Json::object());
  return dump_json(value);
}

Result<Request> request_from_json(std::string_view text) {
  SB_TRY(const Json value, doing("reading the request of a cycle", parse_json(text)));
  Request request;
  SB_TRY(request.project, json_string(value, "project"));
  SB_TRY(request.repository, json_string(value, "repository"));
  SB_TRY(request.commit, json_string(value, "commit"));
  SB_TRY(request.title, json_string_or(value, "title", ""));
  SB_TRY(request.patch_name, json_string_or(value, "patch_name", ""));
  SB_TRY(const long long jobs, json_integer_or(value, "jobs", 0));
  request.jobs = static_cast<int>(jobs);
  request.rollout = dump_json(value.value("rollout", Json::object()));
  SB_TRY(const std::string patch, json_string_or(value, "patch", ""));
  if (!patch.empty()) {
    SB_TRY(request.patch, artifacts::ObjectId::parse(patch));
  }
  return request;
}

}  // namespace sb::update
