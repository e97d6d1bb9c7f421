#include "update/known_tree.h"

#include <fmt/format.h>

#include "update/live.h"

namespace sb::update {

using Answer = KnownTree::Answer;

Result<KnownTree> look_up_tree(const os::Home& home, history::History& history, const std::string& project,
                               const std::string& tree, std::int64_t cycle) {
  SB_TRY(const std::optional<int> live, live_version(home, project));
  if (live) {
    // Asked first: the same tree may have a newer version, too, which is not live.
    Result<history::Version> version = history.version(project, *live);
    if (!version && version.error().kind != ErrorKind::not_found) return fail(std::move(version.error()));
    if (version && version->tree == tree) {
      return KnownTree{.answer = Answer::live, .version = std::move(*version)};
    }
  }
  SB_TRY(std::optional<history::Version> judged, history.judged_version_of_tree(project, tree));
  if (!judged || (cycle != 0 && judged->cycle == cycle)) return KnownTree{};
  const bool good = judged->state == history::VersionState::known_good;
  return KnownTree{.answer = good ? Answer::swap_in : Answer::refuse, .version = std::move(judged)};
}

Error refusal_of(const history::Version& version) {
  const std::string name = history::version_name(version.number);
  return make_error(ErrorKind::refused,
                    fmt::format("this tree is {}, which was {}: {}", name, history::to_string(version.state),
                                version.state_reason),
                    fmt::format("selfbuild promote {} --force", name));
}

}  // namespace sb::update
