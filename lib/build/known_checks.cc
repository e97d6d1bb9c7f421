#include "build/known_checks.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "build/script_lines.h"

namespace sb::build {
namespace {

namespace fs = std::filesystem;

Json json_of(const Key& key) {
  return {key.high, key.low};
}

Key key_from(const Json& json) {
  return {.high = json.at(0).get<std::uint64_t>(), .low = json.at(1).get<std::uint64_t>()};
}

}  // namespace

Key KnownChecks::key_of(const std::vector<Script>& scripts, ScriptLines& lines) {
  KeyBuilder key;
  for (const Script& script : scripts) {
    const std::vector<std::string>* text = lines.of(script.path);
    key.add(script.path);
    for (std::size_t i = 0; text != nullptr && i < std::min(script.lines, text->size()); ++i)
      key.add((*text)[i]);
  }
  return key.finish();
}

KnownChecks KnownChecks::still_true(const cache::Places& places) const {
  ScriptLines lines(places);
  KnownChecks known;
  for (const Check& check : checks_) {
    if (key_of(check.scripts, lines) != check.texts) break;
    known.checks_.push_back(check);
  }
  known.variables_ = variables_;
  return known;
}

// "//help", "NAME:TYPE=VALUE"; NAME-ADVANCED goes with NAME.
std::string KnownChecks::entries(std::string_view cache, const cache::Places& places) const {
  std::set<std::string, std::less<>> names;
  for (const Check& check : checks_) names.insert(check.names.begin(), check.names.end());
  std::string kept;
  std::string help;
  for (const std::string_view line : split_lines(cache)) {
    if (line.starts_with("//")) {
      help.append(line).append("\n");
      continue;
    }
    std::string_view name = line.substr(0, line.find(':'));
    const bool of_checks = name.find("FLAGS") != std::string_view::npos ||
                           name.find("INCLUDE") != std::string_view::npos ||
                           name.find("REQUIRED") != std::string_view::npos;
    if (of_checks && (line.find(places.source) != std::string_view::npos ||
                      line.find(places.build) != std::string_view::npos))
      return {};
    for (const std::string_view property : {"-ADVANCED", "-STRINGS"}) {
      if (name.ends_with(property)) name.remove_suffix(property.size());
    }
    if (names.contains(name)) kept.append(help).append(line).append("\n");
    help.clear();
  }
  return kept;
}

std::vector<std::string> KnownChecks::files(const std::vector<fs::path>& inputs) const {
  std::vector<std::string> files;
  for (const fs::path& input : inputs) {
    if (cache::is_below(input.native(), cmake_) && !elsewhere_.contains(input.native()))
      files.push_back(input.native());
  }
  return files;
}

std::string KnownChecks::to_text() const {
  Json checks = Json::array();
  for (const Check& check : checks_) {
    Json scripts = Json::array();
    for (const Script& script : check.scripts) scripts.push_back({script.path, script.lines});
    checks.push_back({{"state", json_of(check.state)},
                      {"names", check.names},
                      {"scripts", std::move(scripts)},
                      {"texts", json_of(check.texts)}});
  }
  return dump_json(Json{{"checks", std::move(checks)}, {"variables", variables_}});
}

Result<KnownChecks> KnownChecks::from_text(std::string_view text) {
  SB_TRY(const Json json, parse_json(text));
  KnownChecks known;
  try {
    for (const Json& each : json.at("checks")) {
      Check check;
      check.state = key_from(each.at("state"));
      check.names = each.at("names").get<std::vector<std::string>>();
      check.texts = key_from(each.at("texts"));
      for (const Json& script : each.at("scripts"))
        check.scripts.push_back(
            {.path = script.at(0).get<std::string>(), .lines = script.at(1).get<std::size_t>()});
      known.checks_.push_back(std::move(check));
    }
    known.variables_ = json.at("variables").get<std::set<std::string>>();
  } catch (const Json::exception& error) {
    return fail(ErrorKind::corrupt, error.what());
  }
  return known;
}

}  // namespace sb::build
