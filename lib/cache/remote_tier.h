// RemoteTier: one build's use of the remote cache (remote_prefetch.cc, remote_sending.cc). Before the edges
// are decided about, prefetch() brings what other machines know about those that miss here: one batch for all
// their actions, then the files of those that are hits thereby, in one batch for each step that needs the
// text of a generated file. Afterwards offer() sends what Ninja made here, when the build is trusted; else it
// waits for the verdict on the cycle.
//
// The remote may be slow, broken or hostile, and changes nothing but speed:
//   A connection has 300 ms, and any silence ends at 500 ms.
//   Bringing may cost a tenth of what the missing edges took when they last ran (an edge of which that is not
//   known yet counts as 50 ms), at least 500 ms and at most 30 s, plus the time that it has saved so far.
//   Sending may cost a tenth of what the edges took, at least 1 s and at most 30 s.
//   After a failure the remote is left alone for the rest of the build, and by this machine for 30 s, after
//   the next one 60 s, up to 10 min. The first good answer ends that. A result is taken when it is of exactly
//   the files that its edge makes; a file when its SHA-256 and then its XXH3-128 and length are those of the
//   record. All else is counted and dropped.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "artifacts/output_pool.h"
#include "base/result.h"
#include "cache/build_cache.h"
#include "cache/remote_settings.h"
#include "cache/remote_store.h"

namespace sb::cache {

// What an edge made here.
struct Publication {
  Key action;
  std::optional<std::vector<std::string>> list;  // the inputs that it discovered
  Key key;
  ActionResult result;
};

struct RemoteUse {
  int asked = 0;    // about so many edges
  int results = 0;  // known there, and believed
  int files = 0;    // brought
  int refused = 0;  // results and files that are not what they should be
  int sent_results = 0;
  int sent_files = 0;
  std::string note;  // why it was not used, or not fully
};

class RemoteTier {
 public:
  // `cache`: the folder that the build cache lies in. Connects to nobody yet.
  RemoteTier(RemoteSettings settings, std::filesystem::path cache, const artifacts::OutputPool& pool,
             std::int64_t now_ms, const RemoteLimits& limits = {});

  // An error is of the local store.
  [[nodiscard]] Status prefetch(BuildCache::State& state);
  void offer(std::vector<Publication> made, std::int64_t owner);
  [[nodiscard]] const RemoteUse& use() const { return use_; }

 private:
  friend class Prefetch;
  friend class Sending;
  [[nodiscard]] bool usable();
  [[nodiscard]] Status send(std::vector<Publication> made);
  // How long a build may wait for it: a tenth of what so many edges took, but `least` and 5 ms for each, and
  // at most 30 s.
  [[nodiscard]] static std::chrono::milliseconds allowance(std::size_t edges, std::int64_t took_ms,
                                                           std::chrono::milliseconds least);
  void failed(const Error& error);
  void note(std::string text);
  void worked();
  [[nodiscard]] std::filesystem::path backoff_file() const;

  RemoteSettings settings_;
  std::filesystem::path folder_;
  const artifacts::OutputPool& pool_;
  std::int64_t now_ms_;
  RemoteLimits limits_;
  std::string shown_;
  std::unique_ptr<RemoteStore> store_;
  bool left_alone_ = false;
  std::set<std::string> damaged_;  // names of files that are there, but not what they should be
  RemoteUse use_;
};

// The verdict on a cycle: kept, what it made goes to the remote; else it is forgotten. What went wrong, or an
// empty text.
[[nodiscard]] std::string settle_remote(const std::filesystem::path& cache, const artifacts::OutputPool& pool,
                                        std::int64_t owner, bool kept, std::int64_t now_ms);

}  // namespace sb::cache
