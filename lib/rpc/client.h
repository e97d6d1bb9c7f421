// Client: blocking JSON-RPC 2.0 (https://www.jsonrpc.org/specification) to the conductor, over its Unix
// socket, one JSON text per line. One call at a time; not thread-safe.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "base/json.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace sb::rpc {

class Client {
 public:
  // environment when nobody listens.
  [[nodiscard]] static Result<Client> connect(const std::filesystem::path& socket);

  // Sends a request and waits for its answer. No timeout: no limit. A JSON-RPC error becomes an Error with
  // the kind, what, while_doing and next that the server put into `data`. A lost connection, and a timeout,
  // are ErrorKind::interrupted; after either the Client is of no more use.
  [[nodiscard]] Result<Json> call(const std::string& method, const Json& params,
                                  std::optional<std::chrono::milliseconds> timeout = {});
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit Client(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  std::string buffer_;
  long long next_id_ = 1;
};

}  // namespace sb::rpc
