// What the remote holds, as bytes. A *bundle* stands under the name of an action: its newest results, each
// with the list of inputs that it had, so that one batch over all actions brings everything but the files. A
// *blob* is a file, compressed by zstd. Reading takes nothing on trust: every length has a limit, an unpacked
// size is known before a byte is unpacked, and what is left over or out of order makes the whole unreadable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/key.h"
#include "base/result.h"
#include "cache/action_store.h"

namespace sb::cache {

inline constexpr std::size_t kMostResults = 4;             // in a bundle
inline constexpr std::uint64_t kLargestBundle = 4 << 20;   // packed, in bytes
inline constexpr std::uint64_t kLargestRecord = 32 << 20;  // unpacked
inline constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 30U;

// A file's bytes on the remote.
struct StoredBlob {
  std::string sha256;      // of the file, 64 hex digits
  std::string name;        // SHA-256 of what is stored
  std::uint64_t size = 0;  // of what is stored
};

struct RemoteResult {
  Key key;
  std::optional<std::size_t> list;  // in Bundle::lists
  ActionResult result;
  std::vector<StoredBlob> blobs;  // one for each output, empty for a symlink
};

struct Bundle {
  std::vector<std::vector<std::string>> lists;  // inputs that were discovered, as the depfile wrote them
  std::vector<RemoteResult> results;            // newest first
};

// Where an action's bundle stands.
[[nodiscard]] std::string bundle_name(const Key& action);

[[nodiscard]] std::string to_bytes(const Bundle& bundle, const Key& action);
// corrupt: not a bundle, or not that of this action.
[[nodiscard]] Result<Bundle> bundle_from(std::string_view bytes, const Key& action);

// A new result in front; a list that nothing names any more, and what is more than kMostResults, go.
void add_result(Bundle& bundle, const RemoteResult& result, std::vector<std::string> list);

[[nodiscard]] Result<std::string> pack(std::string_view bytes);
// corrupt: not packed bytes, or more than `largest` of them.
[[nodiscard]] Result<std::string> unpack(std::string_view packed, std::uint64_t largest);

}  // namespace sb::cache
