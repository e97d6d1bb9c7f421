// HalfRequest: an HTTP request of which a service has the beginning when it is told to end. Whether it is
// answered tells what the service does with what it has begun.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "supervise/probe.h"
#include "supervise/service_spec.h"

namespace sb::testrun {

class HalfRequest {
 public:
  // To what this probe asks; nothing when that is no HTTP, or does not take the connection at once. The
  // sockets have to outlive it. Nothing here blocks.
  [[nodiscard]] static std::optional<HalfRequest> begin(const supervise::ProbeSpec& probe,
                                                        const std::vector<supervise::BoundSocket>& sockets);
  [[nodiscard]] bool accepted() const;  // by the service
  void finish();                        // sends the rest
  // It was answered as a healthy service does (true), or otherwise, or will not be (false), or is not known
  // yet.
  [[nodiscard]] std::optional<bool> answered();

 private:
  HalfRequest(UniqueFd fd, int listener) : fd_(std::move(fd)), listener_(listener) {}
  UniqueFd fd_;
  int listener_;
  std::string answer_;  // its beginning
};

}  // namespace sb::testrun
