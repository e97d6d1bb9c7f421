// What history says of a tree that is to be put into service: whether an update has to build it, or knows it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "history/history.h"
#include "os/home.h"

namespace sb::update {

struct KnownTree {
  enum class Answer {
    build,    // nobody knows it, or nobody has come to a verdict
    live,     // it is live: there is nothing to do
    swap_in,  // it was good in service, and its files are there: nothing is built, but it is to be made live
    refuse,   // it was rejected or rolled back
  };
  Answer answer = Answer::build;
  std::optional<history::Version> version{};  // but for build
};

// `cycle` is the one that asks, 0 for none: what it made itself is no answer to it.
[[nodiscard]] Result<KnownTree> look_up_tree(const os::Home& home, history::History& history,
                                             const std::string& project, const std::string& tree,
                                             std::int64_t cycle = 0);

// Why an update to the tree of this version is refused, and how to have it all the same.
[[nodiscard]] Error refusal_of(const history::Version& version);

}  // namespace sb::update
