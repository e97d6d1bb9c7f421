// RemoteSettings: which remote cache a project uses, as its manifest says (selfbuild.yaml, spec.build.cache).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sb::cache {

struct RemoteSettings {
  std::string url;    // "redis://host:6379/0", "https://host/path"; empty: no remote
  bool write = true;  // results of trusted builds go there
  // Where this machine has the password or bearer token; at most one is set. Never its text.
  std::string secret_environment;
  std::string secret_file;
  friend bool operator==(const RemoteSettings&, const RemoteSettings&) = default;
};

// The variables that a manifest may name: a change must not send another secret of ours to a host it chooses.
inline constexpr std::string_view kSecretPrefix = "SELFBUILD_CACHE_";

struct RemoteAddress {
  enum class Kind : std::uint8_t { redis, http };
  Kind kind = Kind::redis;
  std::string connect;  // "http://host:port", for the connection
  std::string base;     // of http: the URL without user, password and final slash
  int database = 0;     // of redis
  std::string user;
  std::string password;
  std::string shown;  // without user and password: what may be printed
};

// usage: neither redis nor http(s), a part that has no meaning (query, fragment), or not a database's number.
// The message never has the URL in it: there may be a password in that.
[[nodiscard]] Result<RemoteAddress> parse_remote_url(const std::string& url);

// The text of the secret, or an empty one where none is named. environment: it is named, and not there.
[[nodiscard]] Result<std::string> read_secret(const RemoteSettings& settings);

}  // namespace sb::cache
