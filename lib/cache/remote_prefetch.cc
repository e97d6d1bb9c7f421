// The half of RemoteTier before Ninja: what other machines know about the edges that miss here is brought,
// and what those made.
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_map>

#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "cache/build_state.h"
#include "cache/remote_record.h"
#include "cache/remote_tier.h"

namespace sb::cache {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr std::uint64_t kChunk = 64 << 20;          // packed bytes in memory at a time
constexpr std::size_t kFewestToUnpack = 8;          // that are worth a thread
constexpr std::uint64_t kLargestInput = 256 << 20;  // of the host, that a foreign list may make us read

// Whatever a hostile list names is looked at, and hashed: only files that a compiler may well have read.
class Inputs {
 public:
  explicit Inputs(const Places& places) : places_(places), normal_(places) {}
  bool are_good(const std::vector<std::string>& list) {
    return std::ranges::all_of(list, [&](const std::string& path) {
      const auto [known, fresh] = known_.try_emplace(path);
      if (fresh) known->second = is_good(path);
      return known->second;
    });
  }

 private:
  [[nodiscard]] bool is_good(const std::string& path) const {
    const std::string absolute = places_.absolute(normal_.here(path));
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
  NormalForm normal_;
  std::unordered_map<std::string, bool> known_;
};

// Exactly the files that the edge makes, in that order, and links that stay in the stage.
bool is_of(const PlannedEdge& edge, const BuildCache::State& state, const RemoteResult& each) {
  if (each.list.has_value() != edge.facts.discovers) return false;
  if (each.result.outputs.size() != edge.facts.outputs.size()) return false;
  for (std::size_t i = 0; i < each.result.outputs.size(); ++i) {
    const Output& output = each.result.outputs[i];
    const std::string& path = state.files.path(edge.facts.outputs[i]);
    if (state.normal.here(output.path) != path || output.kind == Output::Kind::folder) return false;
    if (has_bytes(output)) {
      if (each.blobs[i].sha256.empty() || each.blobs[i].name.empty()) return false;
    } else if (output.link.starts_with('/') || !state.request.places.in_stage(Places::absolute(
                                                   output.link, path.substr(0, path.rfind('/'))))) {
      return false;
    }
  }
  return true;
}

struct Promised {
  artifacts::PooledId id;
  const std::string* sha256;
};
enum class Arrival : std::uint8_t { missing, bad, good };

// Unpacks what arrives into the pool, on the other processors while the next is received. What is not as
// promised does not get there.
class Unpacking {
 public:
  Unpacking(const artifacts::OutputPool& pool, const std::vector<Promised>& promised)
      : pool_(pool), promised_(promised), arrivals_(promised.size(), Arrival::missing) {
    const std::size_t processors = std::max(1U, std::thread::hardware_concurrency());
    const std::size_t useful = std::min(processors, promised.size() / kFewestToUnpack + 1);
    helpers_.reserve(useful - 1);
    for (std::size_t i = 1; i < useful; ++i) helpers_.emplace_back([this] { work(); });
  }
  Unpacking(const Unpacking&) = delete;
  Unpacking& operator=(const Unpacking&) = delete;
  ~Unpacking() { end(); }
  void add(std::size_t position, std::string packed) {
    {
      const std::lock_guard lock(mutex_);
      pending_.emplace_back(position, std::move(packed));
    }
    changed_.notify_one();
  }
  // Takes part, and returns what became of each.
  std::vector<Arrival> finish() {
    end();
    work();
    helpers_.clear();
    return std::move(arrivals_);
  }

 private:
  void end() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
  }
  void work() {
    while (true) {
      std::pair<std::size_t, std::string> next;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return ended_ || !pending_.empty(); });
        if (pending_.empty()) return;
        next = std::move(pending_.front());
        pending_.pop_front();
      }
      const auto& [position, packed] = next;
      const Promised& promised = promised_[position];
      const Result<std::string> bytes = unpack(packed, promised.id.size);
      const bool good =
          bytes && sha256_hex(*bytes) == *promised.sha256 && pool_.put_bytes(promised.id, *bytes);
      arrivals_[position] = good ? Arrival::good : Arrival::bad;
    }
  }

  const artifacts::OutputPool& pool_;
  const std::vector<Promised>& promised_;
  std::vector<Arrival> arrivals_;  // each written by one thread
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<std::size_t, std::string>> pending_;
  bool ended_ = false;
  std::vector<std::jthread> helpers_;
};

}  // namespace

class Prefetch {
 public:
  Prefetch(RemoteTier& tier, BuildCache::State& state)
      : tier_(tier), state_(state), inputs_(state.request.places) {}

  Status run() {
    SB_CHECK(look());
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
  Status look() {
    const ActionStore::Reading reading(state_.store);
    return decide(state_);
  }

  Status bring(const std::vector<std::size_t>& missing) {
    start_ = steady_clock::now();
    const auto allowance = [&](std::int64_t took_ms) {
      return RemoteTier::allowance(missing.size(), took_ms, tier_.limits_.bringing);
    };
    if (!get_bundles(missing, start_ + allowance(0))) return {};
    SB_CHECK(take_over());
    for (const auto& [question, each] : found_)
      took_.try_emplace(question.edge, each.result.took_ms);  // of the newest
    std::int64_t took = 0;
    for (const auto& [edge, ms] : took_) took += ms;
    allowed_ = allowance(took);
    while (true) {
      state_.forget_outputs();
      SB_CHECK(look());
      const std::vector<artifacts::PooledId> wanted = wanted_files();
      if (wanted.empty() || !get_files(wanted) || !more_may_follow()) return {};
    }
  }

  // An edge may have waited for the text of what came now.
  [[nodiscard]] bool more_may_follow() const {
    return std::ranges::any_of(state_.edges, [](const PlannedEdge& edge) {
      return edge.verdict == Verdict::miss || edge.verdict == Verdict::waits;
    });
  }

  struct Question {
    std::size_t edge;  // its position
    Key action;
  };

  bool get_bundles(const std::vector<std::size_t>& missing, Deadline deadline) {
    std::vector<Question> questions;
    std::vector<Wanted> wanted;
    questions.reserve(missing.size());
    const auto ask = [&](std::size_t edge, const Key& action) {
      questions.push_back({.edge = edge, .action = action});
      wanted.push_back(
          {.name = {.shelf = Shelf::results, .sha256 = bundle_name(action)}, .largest = kLargestBundle});
    };
    wanted.reserve(missing.size());
    for (const std::size_t i : missing) {
      const EdgeFacts& facts = state_.edges[i].facts;
      if (facts.portable) ask(i, *facts.portable);
      ask(i, facts.action);
    }
    tier_.use_.asked += static_cast<int>(missing.size());
    const Status done =
        tier_.store_->get_many(wanted, deadline, [&](std::size_t i, const std::string& packed) {
          const Question& question = questions[i];
          const Result<std::string> bytes = unpack(packed, kLargestRecord);
          Result<Bundle> bundle =
              bytes ? bundle_from(*bytes, question.action) : Result<Bundle>(fail(bytes.error()));
          if (!bundle) {
            ++tier_.use_.refused;
          } else {
            accept(question, *bundle);
          }
        });
    if (!done) {
      tier_.failed(done.error());
      return false;
    }
    tier_.worked();
    return true;
  }

  void accept(const Question& question, Bundle& bundle) {
    const PlannedEdge& edge = state_.edges[question.edge];
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
      found_.emplace_back(question, std::move(each));
    }
  }

  // Into the local store, as if they had been built here: deciding needs nothing new.
  Status take_over() {
    SB_CHECK(state_.store.begin_writing());
    const Status written = [&]() -> Status {
      // The oldest first: the newest is tried first.
      for (auto it = found_.rbegin(); it != found_.rend(); ++it)
        SB_CHECK(take_over(it->first.action, it->second));
      return {};
    }();
    SB_CHECK(state_.store.end_writing());
    return written;
  }

  Status take_over(const Key& action, const RemoteResult& each) {
    SB_TRY(const std::optional<ActionResult> mine, state_.store.result(each.key, state_.request.owner));
    if (mine && std::ranges::all_of(mine->outputs, [&](const Output& output) {
          return !has_bytes(output) || state_.pool.find(output.id);
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
      if (!has_bytes(output) || state_.pool.find(output.id)) continue;
      state_.arriving.insert(output.id);
      blobs_.try_emplace(output.id, each.blobs[i]);
    }
    SB_CHECK(state_.store.record(action, list, each.key, state_.request.owner, each.result,
                                 state_.request.now_ms));
    return {};
  }

  // Of all that are hits now, and what having them saves.
  std::vector<artifacts::PooledId> wanted_files() {
    std::vector<artifacts::PooledId> wanted;
    for (const PlannedEdge& edge : state_.edges) {
      if (edge.verdict != Verdict::hit) continue;
      for (const Output& output : edge.result.outputs) {
        if (!has_bytes(output) || !state_.arriving.contains(output.id)) continue;
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
      if (!get_chunk(std::span(wanted).subspan(begin, end - begin))) return false;
      begin = end;
    }
    return true;
  }

  bool get_chunk(std::span<const artifacts::PooledId> ids) {
    std::vector<Wanted> wanted;
    std::vector<Promised> promised;
    wanted.reserve(ids.size());
    promised.reserve(ids.size());
    for (const artifacts::PooledId& id : ids) {
      const StoredBlob& blob = blobs_.at(id);
      wanted.push_back({.name = {.shelf = Shelf::blobs, .sha256 = blob.name}, .largest = blob.size});
      promised.push_back({.id = id, .sha256 = &blob.sha256});
    }
    const std::int64_t processors = std::max(1U, std::thread::hardware_concurrency());
    const Deadline deadline = start_ + allowed_ + milliseconds(saved_ms_ / processors);
    Unpacking unpacking(tier_.pool_, promised);
    const Status done = tier_.store_->get_many(
        wanted, deadline, [&](std::size_t i, std::string bytes) { unpacking.add(i, std::move(bytes)); });
    count(ids, unpacking.finish());
    if (!done) tier_.failed(done.error());
    return done.has_value();
  }

  void count(std::span<const artifacts::PooledId> ids, const std::vector<Arrival>& arrivals) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      state_.arriving.erase(ids[i]);
      if (arrivals[i] == Arrival::good) {
        ++tier_.use_.files;
        saved_ms_ += saves_[ids[i]];
      } else if (arrivals[i] == Arrival::bad) {
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
  std::vector<std::pair<Question, RemoteResult>> found_;  // lists in lists_
  std::vector<std::vector<std::string>> lists_;
  std::map<std::size_t, std::int64_t> took_;  // by edge
  std::map<artifacts::PooledId, StoredBlob> blobs_;
  std::map<artifacts::PooledId, std::int64_t> saves_;  // ms
};

Status RemoteTier::prefetch(BuildCache::State& state) {
  if (left_alone_) return {};
  return Prefetch(*this, state).run();
}

}  // namespace sb::cache
