#include "update/candidate_record.h"

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace sb::update {

Result<std::vector<testrun::Cooperation>> cooperation_of(history::History& history,
                                                         const history::Version& version) {
  std::vector<testrun::Cooperation> all;
  SB_TRY(const std::vector<history::JournalRecord> records, history.journal(version.cycle));
  for (const history::JournalRecord& record : records) {
    if (record.step != history::Step::probed) continue;
    SB_TRY(const Json detail, parse_json(record.detail));
    all.clear();  // the last one counts
    for (const Json& one : detail.value("cooperation", Json::array())) {
      SB_TRY(testrun::Cooperation cooperation, testrun::cooperation_from_json(one));
      all.push_back(std::move(cooperation));
    }
  }
  return all;
}

}  // namespace sb::update
