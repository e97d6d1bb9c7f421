#include "tool/selfbuild/service_checkup.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/suggestion.h"
#include "base/text.h"
#include "os/file_system.h"
#include "testrun/examiner.h"
#include "tool/selfbuild/table.h"
#include "update/conductor_link.h"

namespace sb::tool {
namespace {

using std::chrono::milliseconds;
using supervise::ServiceSpec;
using testrun::Cooperation;

struct LiveService {
  history::Version version;
  ServiceSpec spec;
  bool steered = false;
};

Result<LiveService> find_subject(const os::Home& home, history::History& past, const std::string& name) {
  SB_TRY(const Json status, update::ConductorLink(home).call_once("conductor.status", Json::object()));
  std::vector<std::string> known;
  for (const Json& service : status.value("services", Json::array())) {
    SB_TRY(known.emplace_back(), json_string(service, "name"));
    if (known.back() != name) continue;
    SB_TRY(const std::string project, json_string(service, "project"));
    SB_TRY(const std::string steering, json_string_or(service, "steering", ""));
    SB_TRY(const std::int64_t number, json_integer_or(service, "version", 0));
    if (number == 0)
      return fail(ErrorKind::not_found, fmt::format("service {} is of no version of any project", name),
                  "selfbuild status");
    SB_TRY(history::Version version, past.version(project, static_cast<int>(number)));
    SB_TRY(const Json list, parse_json(version.services_json));
    SB_TRY(std::vector<ServiceSpec> services, supervise::services_from_json(list));
    const auto one = std::ranges::find(services, name, &ServiceSpec::name);
    if (one != services.end()) {
      return LiveService{
          .version = std::move(version), .spec = std::move(*one), .steered = steering == "steered"};
    }
    return fail(ErrorKind::corrupt, fmt::format("{} of {} has no service {}",
                                                history::version_name(version.number), project, name));
  }
  const std::optional<std::string> meant = nearest(name, known);
  return fail(ErrorKind::not_found,
              fmt::format("the conductor keeps no service \"{}\"{}", name,
                          meant ? fmt::format("; did you mean \"{}\"?", *meant) : ""),
              "selfbuild status");
}

Result<Cooperation> examine(const os::Home& home, const LiveService& subject,
                            const sandbox::Envelope& envelope) {
  if (subject.spec.may_bind()) return testrun::unseen(subject.spec);
  SB_TRY(const os::TemporaryFolder folder, os::TemporaryFolder::make("selfbuild-doctor"));
  const testrun::ProbeRequest request{
      .service = subject.spec,
      .version = home.version(subject.version.project, subject.version.number),
      .envelope = envelope,
      .log = folder.path() / "log"};
  SB_TRY(const testrun::Verdict verdict, testrun::probe_candidate(request, {}));
  if (verdict.cooperation) return *verdict.cooperation;
  if (verdict.passed)
    return fail(ErrorKind::unhealthy, "run aside, it ended before it was told to",
                "selfbuild logs " + subject.spec.name);
  Error error = make_error(ErrorKind::unhealthy, "run aside, it does not come up: " + verdict.reason);
  error.next = "selfbuild logs " + subject.spec.name;
  if (!verdict.failures.empty()) error.log = verdict.failures.front().output;
  return fail(std::move(error));
}

std::string answer_words(const Cooperation& cooperation) {
  if (!cooperation.answered) return "";
  return *cooperation.answered ? "; a request that was half sent by then was answered"
                               : "; a request that was half sent by then was not answered";
}

std::string page(const LiveService& subject, const Cooperation& cooperation, const Console& console) {
  std::string text;
  const auto line = [&](std::string_view label, const std::string& words) {
    text += paragraph(fmt::format("{:<11}", label), words, console.columns);
  };
  line("service", fmt::format("{} {} of {}", subject.spec.name, history::version_name(subject.version.number),
                              subject.version.project));
  line(to_string(cooperation.level), "it " + testrun::behaviour(cooperation));
  if (!subject.spec.may_bind()) {
    line("boot", human_duration(cooperation.boot) + " until it was ready");
    line("drain",
         fmt::format("{} from SIGTERM to its end ({}){}", human_duration(cooperation.drain),
                     cooperation.end.empty() ? "killed" : cooperation.end, answer_words(cooperation)));
  }
  line("a swap", "costs its users " + testrun::cost(cooperation, subject.spec, subject.steered));
  return text;
}

}  // namespace

Result<int> check_service(Program& program, const std::string& name, const sandbox::Envelope& envelope) {
  SB_TRY(const os::Home* home, program.home());
  SB_TRY(history::History * past, program.history());
  SB_TRY(const LiveService subject, find_subject(*home, *past, name));
  SB_TRY(const Cooperation cooperation, examine(*home, subject, envelope));
  if (program.json()) {
    Json value = testrun::to_json(cooperation);
    value["project"] = subject.version.project;
    value["version"] = subject.version.number;
    value["behaviour"] = testrun::behaviour(cooperation);
    value["cost"] = testrun::cost(cooperation, subject.spec, subject.steered);
    Console::json(value);
  } else {
    Console::data(page(subject, cooperation, program.console()));
  }
  return kDone;
}

}  // namespace sb::tool
