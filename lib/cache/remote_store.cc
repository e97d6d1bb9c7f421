#include "cache/remote_store.h"

namespace sb::cache {

Result<std::unique_ptr<RemoteStore>> open_remote(const RemoteSettings& settings, const RemoteLimits& limits) {
  SB_TRY(RemoteAddress address, parse_remote_url(settings.url));
  SB_TRY(std::string secret, read_secret(settings));
  if (address.kind == RemoteAddress::Kind::redis) {
    if (!secret.empty()) address.password = std::move(secret);
    return make_redis_store(std::move(address), limits);
  }
  // With a user the secret is that user's password.
  if (!secret.empty() && !address.user.empty()) address.password = std::exchange(secret, {});
  return make_http_store(std::move(address), std::move(secret), limits);
}

}  // namespace sb::cache
