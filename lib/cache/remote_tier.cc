#include "cache/remote_tier.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <map>
#include <thread>
#include <unordered_map>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/text.h"
#include "cache/build_state.h"
#include "cache/remote_record.h"
#include "cache/wire.h"
#include "os/file_system.h"

namespace sb::cache {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr milliseconds kMost{30'000};
constexpr milliseconds kOfUnknown{5};  // a tenth of the 50 ms that an edge takes at least
constexpr std::int64_t kFirstBackoffMs = 30'000;
constexpr std::int64_t kLastBackoffMs = 600'000;
constexpr std::uint64_t kChunk = 64 << 20;          // packed bytes in memory at a time
constexpr std::uint64_t kLargestInput = 256 << 20;  // of the host, that a foreign list may make us read
constexpr std::size_t kLargestOutbox = 256 << 20;
constexpr std::string_view kOutboxFormat = "selfbuild outbox 1\n";

bool is_file(const Output& output) {
  return output.kind == Output::Kind::shared || output.kind == Output::Kind::copied;
}

milliseconds share_of(std::int64_t took_ms, milliseconds least) {
  const std::int64_t processors = std::max(1U, std::thread::hardware_concurrency());
  return std::clamp(milliseconds(took_ms / 10 / processors), std::min(least, kMost), kMost);
}

// Whatever a hostile list names is looked at, and hashed: only files that a compiler may well have read.
class Inputs {
 public:
  explicit Inputs(const Places& places) : places_(places) {}
  bool are_good(const std::vector<std::string>& list) {
    return std::ranges::all_of(list, [&](const std::string& path) {
      const auto [known, fresh] = known_.try_emplace(path);
      if (fresh) known->second = is_good(path);
      return known->second;
    });
  }

 private:
  [[nodiscard]] bool is_good(const std::string& path) const {
    const std::string absolute = places_.absolute(path);
    if (places_.in_stage(absolute)) return true;
    if (!path.starts_with('/')) return false;
    for (const std::string_view folder : {"/proc", "/sys", "/dev", "/run"}) {
      if (is_below(absolute, folder)) return false;
    }
    const std::string real = places_.real(absolute);
    struct stat info{};
    return ::stat(real.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
           static_cast<std::uint64_t>(info.st_size) <= kLargestInput && ::access(real.c_str(), R_OK) == 0;
  }
  const Places& places_;
  std::unordered_map<std::string, bool> known_;
};

// Exactly the files that the edge makes, in that order, and links that stay in the stage.
bool is_of(const PlannedEdge& edge, const BuildCache::State& state, const RemoteResult& each) {
  if (each.list.has_value() != edge.facts.discovers) return false;
  if (each.result.outputs.size() != edge.facts.outputs.size()) return false;
  for (std::size_t i = 0; i < each.result.outputs.size(); ++i) {
    const Output& output = each.result.outputs[i];
    const std::string& path = state.files.path(edge.facts.outputs[i]);
    if (output.path != path || output.kind == Output::Kind::folder) return false;
    if (is_file(output)) {
      if (each.blobs[i].sha256.empty() || each.blobs[i].name.empty()) return false;
    } else if (output.link.starts_with('/') || !state.request.places.in_stage(Places::absolute(
                                                   output.link, path.substr(0, path.rfind('/'))))) {
      return false;
    }
  }
  return true;
}

}  // namespace

// The half before Ninja.
class Prefetch {
 public:
  Prefetch(RemoteTier& tier, BuildCache::State& state)
      : tier_(tier), state_(state), inputs_(state.request.places) {}

  Status run() {
    SB_CHECK(decide(state_));
    std::vector<std::size_t> missing;
    for (std::size_t i = 0; i < state_.edges.size(); ++i) {
      const Verdict verdict = state_.edges[i].verdict;
      if (verdict == Verdict::miss || verdict == Verdict::waits) missing.push_back(i);
    }
    Status done;
    if (!missing.empty() && tier_.usable()) done = bring(missing);
    state_.arriving.clear();
    state_.forget_outputs();
    return done;
  }

 private:
  Status bring(const std::vector<std::size_t>& missing) {
    const milliseconds unknown = tier_.limits_.bringing + kOfUnknown * missing.size();
    start_ = steady_clock::now();
    if (!get_bundles(missing, start_ + std::min(unknown, kMost))) return {};
    SB_CHECK(take_over());
    for (const auto& [edge, each] : found_) took_.try_emplace(edge, each.result.took_ms);  // of the newest
    std::int64_t took = 0;
    for (const auto& [edge, ms] : took_) took += ms;
    allowed_ = share_of(took, unknown);
    while (true) {
      state_.forget_outputs();
      SB_CHECK(decide(state_));
      const std::vector<artifacts::PooledId> wanted = wanted_files();
      if (wanted.empty() || !get_files(wanted)) return {};
    }
  }

  bool get_bundles(const std::vector<std::size_t>& missing, Deadline deadline) {
    std::vector<Wanted> wanted;
    wanted.reserve(missing.size());
    for (const std::size_t i : missing)
      wanted.push_back(
          {.name = {.shelf = Shelf::results, .sha256 = bundle_name(state_.edges[i].facts.action)},
           .largest = kLargestBundle});
    tier_.use_.asked += static_cast<int>(wanted.size());
    const Status done =
        tier_.store_->get_many(wanted, deadline, [&](std::size_t i, const std::string& packed) {
          const Result<std::string> bytes = unpack(packed, kLargestRecord);
          Result<Bundle> bundle = bytes ? bundle_from(*bytes, state_.edges[missing[i]].facts.action)
                                        : Result<Bundle>(fail(bytes.error()));
          if (!bundle) {
            ++tier_.use_.refused;
          } else {
            accept(missing[i], *bundle);
          }
        });
    if (!done) {
      tier_.failed(done.error());
      return false;
    }
    tier_.worked();
    return true;
  }

  void accept(std::size_t position, Bundle& bundle) {
    const PlannedEdge& edge = state_.edges[position];
    for (RemoteResult& each : bundle.results) {
      if (!is_of(edge, state_, each) || (each.list && !inputs_.are_good(bundle.lists[*each.list]))) {
        ++tier_.use_.refused;
        continue;
      }
      for (Output& output : each.result.outputs) {
        if (output.kind == Output::Kind::shared && !edge.shares_outputs) output.kind = Output::Kind::copied;
      }
      ++tier_.use_.results;
      if (each.list) lists_.push_back(bundle.lists[*each.list]);
      each.list = each.list ? std::optional(lists_.size() - 1) : std::nullopt;
      found_.emplace_back(position, std::move(each));
    }
  }

  // Into the local store, as if they had been built here: deciding needs nothing new.
  Status take_over() {
    SB_CHECK(state_.store.begin_writing());
    const Status written = [&]() -> Status {
      // The oldest first: the newest is tried first.
      for (auto it = found_.rbegin(); it != found_.rend(); ++it) SB_CHECK(take_over(it->first, it->second));
      return {};
    }();
    SB_CHECK(state_.store.end_writing());
    return written;
  }

  Status take_over(std::size_t position, const RemoteResult& each) {
    const PlannedEdge& edge = state_.edges[position];
    SB_TRY(const std::optional<ActionResult> mine, state_.store.result(each.key, state_.request.owner));
    if (mine && std::ranges::all_of(mine->outputs, [&](const Output& output) {
          return !is_file(output) || state_.pool.find(output.id);
        }))
      return {};
    std::optional<ActionStore::ListId> list;
    if (each.list) {
      std::vector<ActionStore::PathId> ids;
      for (const std::string& path : lists_[*each.list]) {
        SB_TRY(const ActionStore::PathId id, state_.store.path_id(path));
        ids.push_back(id);
      }
      SB_TRY(list, state_.store.list_id(ids));
    }
    for (std::size_t i = 0; i < each.result.outputs.size(); ++i) {
      const Output& output = each.result.outputs[i];
      if (!is_file(output) || state_.pool.find(output.id)) continue;
      state_.arriving.insert(output.id);
      blobs_.try_emplace(output.id, each.blobs[i]);
    }
    return state_.store.record(edge.facts.action, list, each.key, state_.request.owner, each.result,
                               state_.request.now_ms);
  }

  // Of all that are hits now, and what having them saves.
  std::vector<artifacts::PooledId> wanted_files() {
    std::vector<artifacts::PooledId> wanted;
    for (const PlannedEdge& edge : state_.edges) {
      if (edge.verdict != Verdict::hit) continue;
      for (const Output& output : edge.result.outputs) {
        if (!is_file(output) || !state_.arriving.contains(output.id)) continue;
        const auto share = edge.result.took_ms / static_cast<std::int64_t>(edge.result.outputs.size());
        if (saves_.emplace(output.id, share).second) wanted.push_back(output.id);
      }
    }
    return wanted;
  }

  bool get_files(const std::vector<artifacts::PooledId>& wanted) {
    for (std::size_t begin = 0; begin < wanted.size();) {
      std::size_t end = begin;
      std::uint64_t bytes = 0;
      while (end < wanted.size() &&
             (end == begin || bytes + blobs_.at(wanted[end]).size + wanted[end].size / 4 <= kChunk)) {
        bytes += blobs_.at(wanted[end]).size + wanted[end].size / 4;
        ++end;
      }
      if (!get_chunk({wanted.begin() + static_cast<std::ptrdiff_t>(begin),
                      wanted.begin() + static_cast<std::ptrdiff_t>(end)}))
        return false;
      begin = end;
    }
    return true;
  }

  bool get_chunk(const std::vector<artifacts::PooledId>& ids) {
    std::vector<Wanted> wanted;
    for (const artifacts::PooledId& id : ids) {
      const StoredBlob& blob = blobs_.at(id);
      wanted.push_back({.name = {.shelf = Shelf::blobs, .sha256 = blob.name}, .largest = blob.size});
    }
    std::vector<std::string> packed(ids.size());
    const std::int64_t processors = std::max(1U, std::thread::hardware_concurrency());
    const Deadline deadline = start_ + allowed_ + milliseconds(saved_ms_ / processors);
    const Status done = tier_.store_->get_many(
        wanted, deadline, [&](std::size_t i, std::string bytes) { packed[i] = std::move(bytes); });
    unpack_all(ids, packed);
    if (!done) tier_.failed(done.error());
    return done.has_value();
  }

  // On every processor. What is not as promised is not there.
  void unpack_all(const std::vector<artifacts::PooledId>& ids, std::vector<std::string>& packed) {
    std::atomic<std::size_t> next{0};
    std::vector<char> good(ids.size(), 0);
    const auto work = [&] {
      for (std::size_t i = next++; i < ids.size(); i = next++) {
        if (packed[i].empty()) continue;
        const Result<std::string> bytes = unpack(packed[i], ids[i].size);
        if (!bytes || sha256_hex(*bytes) != blobs_.at(ids[i]).sha256 ||
            !tier_.pool_.put_bytes(ids[i], *bytes))
          continue;
        good[i] = 1;
        packed[i].clear();
      }
    };
    {
      std::vector<std::jthread> threads;
      const std::size_t most = std::max(1U, std::thread::hardware_concurrency());
      for (std::size_t i = 1; i < std::min(most, ids.size() / 8 + 1); ++i) threads.emplace_back(work);
      work();
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
      state_.arriving.erase(ids[i]);
      if (good[i] != 0) {
        ++tier_.use_.files;
        saved_ms_ += saves_[ids[i]];
      } else if (!packed[i].empty()) {
        ++tier_.use_.refused;
        tier_.damaged_.insert(blobs_.at(ids[i]).name);
      }
    }
  }

  RemoteTier& tier_;
  BuildCache::State& state_;
  Inputs inputs_;
  steady_clock::time_point start_;
  milliseconds allowed_{0};
  std::int64_t saved_ms_ = 0;
  std::vector<std::pair<std::size_t, RemoteResult>> found_;  // by position of the edge; lists in lists_
  std::vector<std::vector<std::string>> lists_;
  std::map<std::size_t, std::int64_t> took_;  // by edge
  std::map<artifacts::PooledId, StoredBlob> blobs_;
  std::map<artifacts::PooledId, std::int64_t> saves_;  // ms
};

// The half after Ninja.
class Sending {
 public:
  Sending(RemoteTier& tier, std::vector<Publication> made) : tier_(tier), made_(std::move(made)) {}

  Status run() {
    std::int64_t took = 0;
    for (const Publication& each : made_) took += each.result.took_ms;
    deadline_ = steady_clock::now() +
                share_of(took, tier_.limits_.sending + kOfUnknown * static_cast<std::int64_t>(made_.size()));
    bundles_.resize(made_.size());
    SB_CHECK(get_bundles());
    SB_TRY(const std::vector<bool> known, whole_results());
    for (std::size_t i = 0; i < made_.size(); ++i) {
      if (!known[i]) pack_files(i);
      if (bytes_ >= kChunk) SB_CHECK(flush());
    }
    return flush();
  }

 private:
  Status get_bundles() {
    std::vector<Wanted> wanted;
    wanted.reserve(made_.size());
    for (const Publication& each : made_)
      wanted.push_back(
          {.name = {.shelf = Shelf::results, .sha256 = bundle_name(each.action)}, .largest = kLargestBundle});
    return tier_.store_->get_many(wanted, deadline_, [&](std::size_t i, const std::string& packed) {
      const Result<std::string> bytes = unpack(packed, kLargestRecord);
      if (!bytes) return;
      Result<Bundle> bundle = bundle_from(*bytes, made_[i].action);
      if (bundle) bundles_[i] = *std::move(bundle);
    });
  }

  // What was seen to be damaged is written again.
  Result<std::vector<bool>> good_ones(const std::vector<RemoteName>& names) {
    SB_TRY(std::vector<bool> have, tier_.store_->have_many(names, deadline_));
    for (std::size_t i = 0; i < names.size(); ++i)
      have[i] = have[i] && !tier_.damaged_.contains(names[i].sha256);
    return have;
  }

  // Those whose result is there already, with its files.
  Result<std::vector<bool>> whole_results() {
    std::vector<RemoteName> names;
    std::vector<std::size_t> users;
    std::vector<bool> whole(made_.size());
    for (std::size_t i = 0; i < made_.size(); ++i) {
      for (const RemoteResult& each : bundles_[i].results) {
        if (each.key != made_[i].key) continue;
        whole[i] = true;
        for (const StoredBlob& blob : each.blobs) {
          if (blob.name.empty()) continue;
          names.push_back({.shelf = Shelf::blobs, .sha256 = blob.name});
          users.push_back(i);
        }
      }
    }
    SB_TRY(const std::vector<bool> have, good_ones(names));
    for (std::size_t i = 0; i < users.size(); ++i) {
      if (!have[i]) whole[users[i]] = false;
    }
    return whole;
  }

  // A file that is no longer in the pool, or too large, leaves its result out.
  void pack_files(std::size_t i) {
    RemoteResult record;
    record.key = made_[i].key;
    record.result = made_[i].result;
    if (made_[i].list) record.list = 0;
    std::vector<Offered> files;
    for (const Output& output : made_[i].result.outputs) {
      StoredBlob& blob = record.blobs.emplace_back();
      if (output.kind == Output::Kind::folder) return;
      if (!is_file(output)) continue;
      const Result<std::string> bytes = os::read_file(tier_.pool_.path_of(output.id), kLargestFile);
      if (!bytes || bytes->size() != output.id.size || key_of(*bytes) != output.id.digest) return;
      Result<std::string> packed = pack(*bytes);
      if (!packed) return;
      blob = {.sha256 = sha256_hex(*bytes), .name = sha256_hex(*packed), .size = packed->size()};
      bytes_ += packed->size();
      files.push_back({.name = {.shelf = Shelf::blobs, .sha256 = blob.name}, .bytes = *std::move(packed)});
    }
    add_result(bundles_[i], record, made_[i].list.value_or(std::vector<std::string>()));
    Result<std::string> packed = pack(to_bytes(bundles_[i], made_[i].action));
    if (!packed || packed->size() > kLargestBundle) return;
    results_.push_back({.name = {.shelf = Shelf::results, .sha256 = bundle_name(made_[i].action)},
                        .bytes = *std::move(packed)});
    std::ranges::move(files, std::back_inserter(files_));
  }

  // The files first: no result is to be seen before them.
  Status flush() {
    std::vector<RemoteName> names;
    names.reserve(files_.size());
    for (const Offered& each : files_) names.push_back(each.name);
    SB_TRY(const std::vector<bool> have, good_ones(names));
    std::vector<Offered> fresh;
    for (std::size_t i = 0; i < files_.size(); ++i) {
      if (!have[i]) fresh.push_back(std::move(files_[i]));
    }
    SB_CHECK(tier_.store_->put_many(fresh, deadline_));
    SB_CHECK(tier_.store_->put_many(results_, deadline_));
    tier_.use_.sent_files += static_cast<int>(fresh.size());
    tier_.use_.sent_results += static_cast<int>(results_.size());
    files_.clear();
    results_.clear();
    bytes_ = 0;
    return {};
  }

  RemoteTier& tier_;
  std::vector<Publication> made_;
  std::vector<Bundle> bundles_;  // one for each that was made
  Deadline deadline_;
  std::vector<Offered> files_;
  std::vector<Offered> results_;
  std::uint64_t bytes_ = 0;  // in files_
};

namespace {

fs::path folder_in(const fs::path& cache) {
  return cache / "remote";
}

fs::path outbox(const fs::path& folder, std::int64_t owner) {
  return folder / fmt::format("outbox-{}", owner);
}

// Results wait here for the verdict on their cycle.
std::string outbox_text(const RemoteSettings& settings, const std::vector<Publication>& made) {
  std::string text(kOutboxFormat);
  put_text(text, settings.url);
  put_text(text, settings.secret_environment);
  put_text(text, settings.secret_file);
  put_number(text, made.size());
  for (const Publication& each : made) {
    Bundle bundle;
    RemoteResult result{.key = each.key, .list = std::nullopt, .result = each.result, .blobs = {}};
    if (each.list) result.list = 0;
    add_result(bundle, result, each.list.value_or(std::vector<std::string>()));
    text += each.action.bytes();
    put_text(text, to_bytes(bundle, each.action));
  }
  return text;
}

std::optional<std::pair<RemoteSettings, std::vector<Publication>>> outbox_from(std::string_view text) {
  if (!text.starts_with(kOutboxFormat)) return std::nullopt;
  WireReader reader(text.substr(kOutboxFormat.size()));
  RemoteSettings settings;
  settings.url = reader.text(reader.number());
  settings.secret_environment = reader.text(reader.number());
  settings.secret_file = reader.text(reader.number());
  std::vector<Publication> made;
  const std::uint64_t count = reader.number();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    Publication& each = made.emplace_back();
    each.action = Key::from_bytes(reader.text(16));
    Result<Bundle> bundle = bundle_from(reader.text(reader.number()), each.action);
    if (!bundle || bundle->results.size() != 1) return std::nullopt;
    RemoteResult& result = bundle->results.front();
    each.key = result.key;
    each.result = std::move(result.result);
    if (result.list) each.list = std::move(bundle->lists[*result.list]);
  }
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return std::pair(std::move(settings), std::move(made));
}

struct Backoff {
  std::int64_t until_ms = 0;
  std::int64_t delay_ms = 0;
};

Backoff read_backoff(const fs::path& file) {
  Backoff backoff;
  std::ifstream in(file);
  if (!(in >> backoff.until_ms >> backoff.delay_ms)) return {};
  return backoff;
}

}  // namespace

RemoteTier::RemoteTier(RemoteSettings settings, fs::path cache, const artifacts::OutputPool& pool,
                       std::int64_t now_ms, const RemoteLimits& limits)
    : settings_(std::move(settings)),
      folder_(folder_in(cache)),
      pool_(pool),
      now_ms_(now_ms),
      limits_(limits) {
  const Result<RemoteAddress> address = parse_remote_url(settings_.url);
  shown_ = address ? address->shown : "of this project";
}

fs::path RemoteTier::backoff_file() const {
  return folder_ / ("left-alone-" + key_of(settings_.url).hex());
}

void RemoteTier::note(std::string text) {
  if (use_.note.empty()) use_.note = fmt::format("the remote cache {} {}", shown_, std::move(text));
}

bool RemoteTier::usable() {
  if (left_alone_) return false;
  if (store_) return true;
  const Backoff backoff = read_backoff(backoff_file());
  // A clock that was set back must not make it wait for ever.
  if (now_ms_ < backoff.until_ms && backoff.until_ms - now_ms_ <= kLastBackoffMs) {
    left_alone_ = true;
    note(fmt::format("is left alone for another {}: it failed before",
                     human_duration(milliseconds(backoff.until_ms - now_ms_))));
    return false;
  }
  Result<std::unique_ptr<RemoteStore>> store = open_remote(settings_, limits_);
  if (!store) {
    left_alone_ = true;
    note("is not used: " + one_line(store.error()));
    return false;
  }
  store_ = *std::move(store);
  return true;
}

void RemoteTier::failed(const Error& error) {
  left_alone_ = true;
  const bool slow = error.kind == ErrorKind::interrupted && store_->answers() > 0;
  store_.reset();
  if (slow) {
    note(fmt::format("is used no further in this build: {}", one_line(error)));
    return;
  }
  const Backoff before = read_backoff(backoff_file());
  const std::int64_t delay =
      std::clamp(std::min(before.delay_ms, kLastBackoffMs) * 2, kFirstBackoffMs, kLastBackoffMs);
  note(fmt::format("is left alone for {}: {}", human_duration(milliseconds(delay)), one_line(error)));
  if (!os::make_folders(folder_)) return;
  std::ofstream(backoff_file()) << now_ms_ + delay << ' ' << delay << '\n';
}

void RemoteTier::worked() {
  std::error_code ignored;
  fs::remove(backoff_file(), ignored);
}

Status RemoteTier::prefetch(BuildCache::State& state) {
  if (left_alone_) return {};
  return Prefetch(*this, state).run();
}

void RemoteTier::offer(std::vector<Publication> made, std::int64_t owner) {
  if (made.empty() || !settings_.write) return;
  if (owner != 0) {
    const Status kept = [&]() -> Status {
      SB_CHECK(os::make_folders(folder_));
      os::RealFileSystem files;
      return files.write_durably(outbox(folder_, owner), outbox_text(settings_, made), 0600);
    }();
    if (!kept) note("does not get what was built: " + one_line(kept.error()));
    return;
  }
  if (!usable()) return;
  const Status sent = Sending(*this, std::move(made)).run();
  if (sent) {
    worked();
  } else {
    failed(sent.error());
  }
}

std::string settle_remote(const fs::path& cache, const artifacts::OutputPool& pool, std::int64_t owner,
                          bool kept, std::int64_t now_ms) {
  const fs::path file = outbox(folder_in(cache), owner);
  const Result<std::string> text = os::read_file(file, kLargestOutbox);
  std::error_code ignored;
  fs::remove(file, ignored);
  if (!kept || !text || owner == 0) return {};
  auto waiting = outbox_from(*text);
  if (!waiting) return {};
  RemoteTier tier(std::move(waiting->first), cache, pool, now_ms);
  tier.offer(std::move(waiting->second), 0);
  return tier.use().note;
}

}  // namespace sb::cache
