#include "tool/conductor/kept_processes.h"

namespace sb::tool {
namespace {

// The keeper answers within a millisecond; an exit code is not worth more of a restart's time than this.
constexpr os::Milliseconds kPatience{100};
constexpr std::size_t kMaxTold = 256;

}  // namespace

KeptProcesses::KeptProcesses(os::EventLoop& loop, keeper::KeeperLink& keeper)
    : loop_(loop), keeper_(keeper), real_(loop) {
  if (keeper_.connected()) readable_ = loop_.on_readable(keeper_.fd(), [this] { read_exits(); });
}

os::Watch KeptProcesses::on_exit(const os::Process& process, std::function<void(os::Exit)> callback) {
  const pid_t pid = process.pid;
  auto ended = [this, pid, callback = std::move(callback)](const os::Exit& exit) {
    if (exit.known || !keeper_.connected()) return callback(exit);
    if (const auto told = told_.find(pid); told != told_.end()) {
      const os::Exit known = told->second;
      told_.erase(told);
      return callback(known);
    }
    waiting_[pid] = Waiting{.callback = callback,
                            .patience = loop_.after(kPatience, [this, pid] { deliver(pid, os::Exit{}); })};
  };
  auto watch = std::make_shared<os::Watch>(real_.on_exit(process, std::move(ended)));
  return os::Watch([this, pid, watch] {
    watch->reset();
    waiting_.erase(pid);
  });
}

void KeptProcesses::read_exits() {
  for (const keeper::OrphanExit& one : keeper_.read_exits()) {
    if (waiting_.contains(one.pid)) {
      deliver(one.pid, one.exit);
    } else {
      if (told_.size() >= kMaxTold) told_.clear();  // grandchildren that nobody asks about
      told_[one.pid] = one.exit;
    }
  }
  if (!keeper_.connected()) readable_.reset();
}

void KeptProcesses::deliver(pid_t pid, const os::Exit& exit) {
  const auto found = waiting_.find(pid);
  if (found == waiting_.end()) return;
  const Waiting waiting = std::move(found->second);
  waiting_.erase(found);
  waiting.callback(exit);
}

}  // namespace sb::tool
