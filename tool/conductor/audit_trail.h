// AuditTrail: what of all that the conductor is asked goes into the audit log: every method but those that
// only read, and what it was about.
#pragma once

#include <string>

#include "audit/recorder.h"
#include "base/json.h"
#include "http/server.h"
#include "os/clock.h"
#include "rpc/server.h"

namespace sb::tool {

class AuditTrail {
 public:
  AuditTrail(audit::Recorder& recorder, const os::Clock& clock) : recorder_(recorder), clock_(clock) {}

  // For rpc::Server::set_witness.
  [[nodiscard]] rpc::Outcome witness(const std::string& method, const rpc::Request& request) const;
  // What came another way. via: "http", or "safe mode", where nobody knows who it was.
  void act(const std::string& via, const http::Client& client, const std::string& act,
           const std::string& subject, const Result<Json>& result) const;

 private:
  audit::Recorder& recorder_;
  const os::Clock& clock_;
};

}  // namespace sb::tool
