// ConductorLink: how the command line and the worker reach the conductor, across its restarts.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "os/home.h"
#include "rpc/client.h"

namespace sb::update {

class ConductorLink {
 public:
  // If nobody answers: wait for `patience` for one that is coming up.
  explicit ConductorLink(const os::Home& home,
                         std::chrono::milliseconds patience = std::chrono::milliseconds(0))
      : home_(home), patience_(patience) {}

  // Starts `conductor run` in the background unless one answers, and waits until it does. The program is
  // $SELFBUILD_CONDUCTOR, the one beside this program, or the one in PATH; environment when there is none.
  [[nodiscard]] Status start_if_needed();
  [[nodiscard]] bool answers();
  // Asks it to end, with or without its services, and waits until it and its keeper are gone: whoever starts
  // the next one at once must not be told that one runs already. One that is just being started again is
  // waited for; one that does not come up is ended by a signal to its keeper. False: there was none.
  // environment when it stays, or when services that were to be stopped could not be.
  [[nodiscard]] Result<bool> stop(bool services);

  // Calls on the open connection, or on a new one. The call is sent again when the connection was lost before
  // its answer came, as often as patience allows: only for methods that may be repeated.
  [[nodiscard]] Result<Json> call(const std::string& method, const Json& params);
  // One try on the open connection (or a new one); interrupted when it is lost.
  [[nodiscard]] Result<Json> call_once(const std::string& method, const Json& params);
  void close() { client_.reset(); }

 private:
  [[nodiscard]] Status connect();
  [[nodiscard]] bool lives() const;  // it, or its keeper
  void terminate() const;
  const os::Home& home_;
  std::chrono::milliseconds patience_;
  std::optional<rpc::Client> client_;
};

}  // namespace sb::update
