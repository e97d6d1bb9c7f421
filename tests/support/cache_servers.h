// Real servers for tests of the remote cache, each on a free port of 127.0.0.1 with a folder of its own.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "os/file_system.h"
#include "support/program.h"

namespace sb::tests {

class CacheServer {
 public:
  virtual ~CacheServer() = default;
  // "redis://127.0.0.1:port", "http://127.0.0.1:port/cache"; with another port where something stands
  // between.
  [[nodiscard]] virtual std::string url(int port = 0) const = 0;
  [[nodiscard]] int port() const { return port_; }
  // Of what is stored: "ac/<sha256>", "cas/<sha256>".
  [[nodiscard]] virtual std::vector<std::string> names() const = 0;
  virtual void kill() = 0;

 protected:
  int port_ = 0;
};

// `password`: what Redis asks for, or the bearer token that nginx wants; empty: nothing. Null when the
// program is not installed: the test is to be skipped.
[[nodiscard]] std::unique_ptr<CacheServer> start_redis(const std::string& password = {});
[[nodiscard]] std::unique_ptr<CacheServer> start_nginx(const std::string& password = {});

// A port that nobody listens on.
[[nodiscard]] int free_port();

}  // namespace sb::tests
