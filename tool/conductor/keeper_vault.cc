#include "tool/conductor/keeper_vault.h"

#include "base/digest.h"
#include "keeper/keeper.h"

namespace sb::tool {
namespace {

// The keeper's names are short and have no spaces; a Unix socket's path may be neither.
std::string key(const std::string& name) {
  if (name.size() <= keeper::kMaxName && name.find_first_of(" \n") == std::string::npos) return name;
  return "sha256:" + sha256_hex(name).substr(0, 40);
}

}  // namespace

KeeperVault::KeeperVault(keeper::KeeperLink& keeper, std::function<void(const std::string&)> log)
    : keeper_(keeper), log_(std::move(log)) {
  for (auto& [name, fd] : keeper_.take_all()) held_[name] = std::move(fd);
}

void KeeperVault::put(const std::string& name, int fd) {
  const Status kept = keeper_.put(key(name), fd);
  if (!kept) log_("the keeper does not keep " + name + ": " + one_line(kept.error()));
}

void KeeperVault::drop(const std::string& name) {
  const Status dropped = keeper_.drop(key(name));
  if (!dropped) log_("the keeper does not drop " + name + ": " + one_line(dropped.error()));
}

UniqueFd KeeperVault::take(const std::string& name) {
  const auto found = held_.find(key(name));
  if (found == held_.end()) return {};
  UniqueFd fd = std::move(found->second);
  held_.erase(found);
  return fd;
}

void KeeperVault::drop_untaken() {
  for (const auto& [name, fd] : held_) (void)keeper_.drop(name);
  held_.clear();
}

}  // namespace sb::tool
