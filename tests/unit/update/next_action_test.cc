// What a worker does with a cycle, for every step at which a crash may have left it.
#include "update/next_action.h"

#include <gtest/gtest.h>

namespace sb::update {
namespace {

using history::Step;

struct Row {
  std::optional<Step> last;
  Action action;
};

constexpr Row kTable[] = {
    {std::nullopt, Action::run},
    {Step::planned, Action::run},
    {Step::staging, Action::run},
    {Step::staged, Action::run},
    {Step::building, Action::run},
    {Step::built, Action::run},
    {Step::testing, Action::run},
    {Step::tested, Action::run},
    {Step::probing, Action::run},
    {Step::probed, Action::run},
    {Step::swapping, Action::await_activation},
    {Step::started, Action::await_activation},
    {Step::pointed, Action::await_activation},
    {Step::verifying, Action::await_activation},
    {Step::rolling_back, Action::await_activation},
    {Step::kept, Action::finish},
    {Step::rolled_back, Action::finish},
    {Step::rejected, Action::finish},
    {Step::failed, Action::finish},
    {Step::done, Action::nothing},
};

TEST(NextAction, is_decided_for_every_step_of_the_journal) {
  for (const Row& row : kTable) {
    EXPECT_EQ(next_action(row.last), row.action)
        << "after " << (row.last ? history::to_string(*row.last) : "an empty journal") << ": expected "
        << to_string(row.action) << ", found " << to_string(next_action(row.last));
  }
  EXPECT_EQ(std::size(kTable), 20U) << "a step without a row here has no tested answer";
}

}  // namespace
}  // namespace sb::update
