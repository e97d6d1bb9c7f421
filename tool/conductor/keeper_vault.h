// KeeperVault: listening sockets kept by the keeper, so that they outlive this process.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "keeper/keeper_link.h"
#include "supervise/surroundings.h"

namespace sb::tool {

class KeeperVault final : public supervise::SocketVault {
 public:
  // Takes over what the keeper held for the conductor before.
  KeeperVault(keeper::KeeperLink& keeper, std::function<void(const std::string&)> log);

  void put(const std::string& name, int fd) override;
  void drop(const std::string& name) override;
  [[nodiscard]] UniqueFd take(const std::string& name) override;

  // What the keeper held and nobody has taken yet.
  [[nodiscard]] const std::map<std::string, UniqueFd>& held() const { return held_; }
  // Has the keeper forget what nobody took: sockets of services that are gone.
  void drop_untaken();

 private:
  keeper::KeeperLink& keeper_;
  std::function<void(const std::string&)> log_;
  std::map<std::string, UniqueFd> held_;
};

}  // namespace sb::tool
