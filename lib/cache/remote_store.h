// RemoteStore: blobs by name on a machine that others use, too: Redis, or plain HTTP (PUT, GET and HEAD, as
// nginx's WebDAV, bazel-remote and the HTTP back end of ccache speak it).
//
// Many at once: a batch is sent before its answers are read, so that it costs one round trip and not one per
// blob. What comes is hostile until proved otherwise: nothing longer than was asked for is taken, and nothing
// is waited for beyond a deadline, nor when the other side is silent.
//
// One layout for all: blobs/<name> is "cas", results/<name> is "ac". By HTTP <url>/cas/<sha256> and
// <url>/ac/<sha256>; in Redis selfbuild:cas:<sha256> and selfbuild:ac:<sha256>. A blob's name is the SHA-256
// of what is stored, as bazel-remote demands; its check of /ac/ has to be off (--disable_http_ac_validation).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/remote_settings.h"

namespace sb::cache {

using Deadline = std::chrono::steady_clock::time_point;

struct RemoteLimits {
  std::chrono::milliseconds connect{300};
  std::chrono::milliseconds silence{500};   // without a byte in either direction
  std::chrono::milliseconds bringing{500};  // what a build may spend on it at least
  std::chrono::milliseconds sending{1000};
};

enum class Shelf : std::uint8_t { results, blobs };

struct RemoteName {
  Shelf shelf = Shelf::blobs;
  std::string sha256;  // 64 hex digits
};
struct Wanted {
  RemoteName name;
  std::uint64_t largest = 0;  // bytes; a longer one is not taken
};
struct Offered {
  RemoteName name;
  std::string bytes;
};

// One thread. An error ends the batch: interrupted when the deadline passed or the other side was silent,
// environment for everything else. What was handed over before is good, and the next call connects anew.
class RemoteStore {
 public:
  using Sink = std::function<void(std::size_t index, std::string bytes)>;
  virtual ~RemoteStore() = default;
  // Calls `sink` for each that is there, in any order.
  [[nodiscard]] virtual Status get_many(std::span<const Wanted> wanted, Deadline deadline,
                                        const Sink& sink) = 0;
  [[nodiscard]] virtual Status put_many(std::span<const Offered> offered, Deadline deadline) = 0;
  // Which are there, by their place in `names`.
  [[nodiscard]] virtual Result<std::vector<bool>> have_many(std::span<const RemoteName> names,
                                                            Deadline deadline) = 0;
  // How many answers came since the store was opened: tells a slow one from a dead one.
  [[nodiscard]] virtual std::uint64_t answers() const = 0;
};

// Connects to nobody yet. usage: the URL; environment: the secret is not there.
[[nodiscard]] Result<std::unique_ptr<RemoteStore>> open_remote(const RemoteSettings& settings,
                                                               const RemoteLimits& limits);
[[nodiscard]] std::unique_ptr<RemoteStore> make_redis_store(RemoteAddress address,
                                                            const RemoteLimits& limits);
// `bearer`: a token, or empty.
[[nodiscard]] std::unique_ptr<RemoteStore> make_http_store(RemoteAddress address, std::string bearer,
                                                           const RemoteLimits& limits);

}  // namespace sb::cache
