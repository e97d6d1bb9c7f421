#include "activation/questioner.h"

#include <utility>

namespace sb::activation {

using supervise::ProbeSpec;

std::optional<ProbeSpec> question_for(const supervise::ServiceSpec& spec) {
  for (const ProbeSpec* probe : {&spec.health, &spec.ready}) {
    if (probe->kind == ProbeSpec::Kind::http || probe->kind == ProbeSpec::Kind::tcp) return *probe;
  }
  if (spec.sockets.empty()) return std::nullopt;
  ProbeSpec accepts;
  accepts.kind = ProbeSpec::Kind::tcp;
  accepts.address = spec.sockets.front().name;
  return accepts;
}

Questioner::Questioner(os::Timers& timers, supervise::HealthProbe& probe, os::Milliseconds pace, What what,
                       Heard heard)
    : timers_(timers), probe_(probe), pace_(pace), what_(std::move(what)), heard_(std::move(heard)) {
  next_ = timers_.after(os::Milliseconds(0), [this] { ask(); });
}

void Questioner::ask() {
  const std::optional<Question> question = what_();
  if (!question) return ask_later();
  probe_.ask(question->probe, question->sockets, question->directory,
             [this, alive = std::weak_ptr<int>(alive_)](const supervise::Timed& answer) {
               if (alive.expired()) return;
               ask_later();
               // That the host could not ask says nothing about the service.
               if (answer.status || answer.status.error().kind != ErrorKind::environment) heard_(answer);
             });
}

void Questioner::ask_later() {
  next_ = timers_.after(pace_, [this] { ask(); });
}

}  // namespace sb::activation
