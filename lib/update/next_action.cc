#include "update/next_action.h"

namespace sb::update {

using history::Step;

std::string_view to_string(Action action) {
  switch (action) {
    case Action::run:
      return "run";
    case Action::await_activation:
      return "await_activation";
    case Action::finish:
      return "finish";
    case Action::nothing:
      return "nothing";
  }
  return "nothing";
}

Action next_action(std::optional<Step> last) {
  if (!last) return Action::run;
  switch (*last) {
    case Step::planned:
    case Step::staging:
    case Step::staged:
    case Step::building:
    case Step::built:
    case Step::testing:
    case Step::tested:
    case Step::probing:
    case Step::probed:
      return Action::run;
    case Step::swapping:
    case Step::started:
    case Step::pointed:
    case Step::verifying:
    case Step::rolling_back:
    case Step::canary:
    case Step::baking:
    case Step::committed:
    case Step::paused:
    case Step::resumed:
      return Action::await_activation;
    case Step::kept:
    case Step::rejected:
    case Step::failed:
    case Step::rolled_back:
      return Action::finish;
    case Step::done:
      return Action::nothing;
  }
  return Action::nothing;
}

}  // namespace sb::update
