// When the conductor answers in a service's place, and when it stops doing so.
#include <algorithm>
#include <utility>

#include "supervise/service.h"
#include "supervise/service_log.h"

namespace sb::supervise {
namespace {

// Shorter gaps are bridged by the backlog of the sockets: those who wait there get a real answer.
constexpr os::Milliseconds kPatience{1'000};
constexpr std::size_t kOutputLines = 20;

}  // namespace

void Service::start_failed(bool was_ready) {
  const os::Milliseconds now = around_.timers.clock().monotonic();
  if (!down_since_) down_since_ = now;
  if (!was_ready) failed_start_ = true;
  // A long wait is known beforehand; several short ones, or a start that hangs, only in the end.
  const bool long_wait = restart_timer_ && restart_at_ - now >= kPatience;
  if (answering_ || long_wait) return answer_in_its_place();
  if (!failed_start_ || patience_) return;
  patience_ = around_.timers.after(std::max(kPatience - (now - *down_since_), os::Milliseconds(0)), [this] {
    patience_.reset();
    if (down_since_ && may_start()) answer_in_its_place();
  });
}

void Service::answer_in_its_place() {
  patience_.reset();
  const std::vector<int> sockets = sockets_.open_ones(deployment_.spec);
  if (!may_start() || deployment_.spec.safe_mode == SafeModeKind::none || sockets.empty()) return;
  if (!std::exchange(answering_, true)) log("safe mode: the conductor answers for it");
  around_.safe_mode.begin(name(), sockets, diagnosis());
  if (live_ || incoming_ || !leaving_.empty()) around_.safe_mode.share(name());
}

std::string Service::code_file() const {
  return around_.home.service(name()) / "safe-mode.code";
}

Diagnosis Service::diagnosis() const {
  Diagnosis diagnosis{.service = name(),
                      .project = deployment_.project,
                      .version = deployment_.version,
                      .trouble = trouble_text_,
                      .last_exit = last_exit_,
                      .restarts = restarts_,
                      .next_start_ms = 0,
                      .output = log_tail(around_.home.service(name()), kOutputLines),
                      .versions = around_.versions(deployment_.project),
                      .remedy = {},
                      .code_file = code_file(),
                      .details = deployment_.spec.safe_mode == SafeModeKind::details};
  if (restart_timer_) {
    const os::Clock& clock = around_.timers.clock();
    diagnosis.next_start_ms = clock.unix_ms() + (restart_at_ - clock.monotonic()).count();
  }
  diagnosis.remedy = remedy_for(diagnosis);
  return diagnosis;
}

void Service::answers_itself() {
  down_since_.reset();
  failed_start_ = false;
  patience_.reset();
  if (!std::exchange(answering_, false)) return;
  around_.safe_mode.end(name());
  log("safe mode has ended");
}

}  // namespace sb::supervise
