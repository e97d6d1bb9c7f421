// HalfRequest: an HTTP request of which a service has the beginning when it is told to end. Whether it is
// answered tells what the service does with what it has begun.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "supervise/probe.h"
#include "supervise/service_spec.h"

namespace sb::testrun {

class HalfRequest {
 public:
  // To what this probe asks; nothing when that is no HTTP, or cannot be reached. Does not block for long: the
  // socket is one of ours, on this host.
  [[nodiscard]] static std::optional<HalfRequest> begin(const supervise::ProbeSpec& probe,
                                                        const std::vector<supervise::BoundSocket>& sockets);
  void finish();  // sends the rest
  // An answer has begun (true), there will be none (false), or it is not known yet.
  [[nodiscard]] std::optional<bool> answered();

 private:
  explicit HalfRequest(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  std::optional<bool> answered_;
};

}  // namespace sb::testrun
