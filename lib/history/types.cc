#include "history/types.h"

#include <array>
#include <charconv>

#include <fmt/format.h>

namespace sb::history {
namespace {

using enum Step;

constexpr std::array kSteps = {planned,     staging, staged, building,  built,   testing,
                               tested,      probing, probed, swapping,  started, pointed,
                               verifying,   kept,    done,   rejected,  failed,  rolling_back,
                               rolled_back, canary,  baking, committed, paused,  resumed};
constexpr std::array kStatuses = {BuildStatus::queued,     BuildStatus::building,  BuildStatus::testing,
                                  BuildStatus::swapping,   BuildStatus::completed, BuildStatus::failed,
                                  BuildStatus::rolled_back};
constexpr std::array kStates = {VersionState::candidate, VersionState::known_good, VersionState::rejected,
                                VersionState::rolled_back};
constexpr std::array kKinds = {CycleKind::update, CycleKind::promote, CycleKind::rollback};

template <typename Word, std::size_t N>
Result<Word> parse_word(std::string_view text, std::string_view noun, const std::array<Word, N>& words) {
  for (const Word word : words) {
    if (to_string(word) == text) return word;
  }
  return fail(ErrorKind::corrupt, fmt::format("the history holds an unknown {} \"{}\"", noun, text));
}

// A positive decimal number without sign, zeros in front or anything behind.
template <typename Number>
Result<Number> parse_name(std::string_view text, std::string_view prefix, std::string_view noun,
                          std::string_view example) {
  std::string_view digits = text;
  if (digits.starts_with(prefix)) digits.remove_prefix(prefix.size());
  Number number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (number > 0 && fmt::to_string(number) == digits) return number;
  Error error = make_error(ErrorKind::usage, fmt::format("\"{}\" is not a {}", text, noun));
  error.expected = std::string(example);
  error.found = std::string(text);
  return fail(std::move(error));
}

}  // namespace

std::string cycle_name(std::int64_t cycle) {
  return fmt::format("c-{}", cycle);
}
std::string version_name(int number) {
  return fmt::format("v{}", number);
}

Result<std::int64_t> parse_cycle(std::string_view text) {
  return parse_name<std::int64_t>(text, "c-", "cycle", "a cycle's number, like c-118");
}
Result<int> parse_version(std::string_view text) {
  return parse_name<int>(text, "v", "version", "a version's number, like v3");
}

std::string_view to_string(Step step) {
  switch (step) {
    case planned:
      return "planned";
    case staging:
      return "staging";
    case staged:
      return "staged";
    case building:
      return "building";
    case built:
      return "built";
    case testing:
      return "testing";
    case tested:
      return "tested";
    case probing:
      return "probing";
    case probed:
      return "probed";
    case swapping:
      return "swapping";
    case started:
      return "started";
    case pointed:
      return "pointed";
    case verifying:
      return "verifying";
    case kept:
      return "kept";
    case done:
      return "done";
    case rejected:
      return "rejected";
    case failed:
      return "failed";
    case rolling_back:
      return "rolling_back";
    case rolled_back:
      return "rolled_back";
    case canary:
      return "canary";
    case baking:
      return "baking";
    case committed:
      return "committed";
    case paused:
      return "paused";
    case resumed:
      return "resumed";
  }
  return "?";
}

std::string_view to_string(BuildStatus status) {
  switch (status) {
    case BuildStatus::queued:
      return "queued";
    case BuildStatus::building:
      return "building";
    case BuildStatus::testing:
      return "testing";
    case BuildStatus::swapping:
      return "swapping";
    case BuildStatus::completed:
      return "completed";
    case BuildStatus::failed:
      return "failed";
    case BuildStatus::rolled_back:
      return "rolled_back";
  }
  return "?";
}

std::string_view to_string(VersionState state) {
  switch (state) {
    case VersionState::candidate:
      return "candidate";
    case VersionState::known_good:
      return "known_good";
    case VersionState::rejected:
      return "rejected";
    case VersionState::rolled_back:
      return "rolled_back";
  }
  return "?";
}

std::string_view to_string(CycleKind kind) {
  switch (kind) {
    case CycleKind::update:
      return "update";
    case CycleKind::promote:
      return "promote";
    case CycleKind::rollback:
      return "rollback";
  }
  return "?";
}

Result<Step> parse_step(std::string_view text) {
  return parse_word(text, "step", kSteps);
}
Result<BuildStatus> parse_build_status(std::string_view text) {
  return parse_word(text, "build status", kStatuses);
}
Result<VersionState> parse_version_state(std::string_view text) {
  return parse_word(text, "version state", kStates);
}
Result<CycleKind> parse_cycle_kind(std::string_view text) {
  return parse_word(text, "kind of cycle", kKinds);
}

}  // namespace sb::history
