#include "build/verification.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifacts/output_pool.h"
#include "base/unique_fd.h"
#include "build/ninja.h"
#include "build/second_folder.h"
#include "build/tool_runner.h"
#include "cache/action_store.h"
#include "cache/places.h"
#include "os/file_system.h"

namespace sb::build {
namespace {

namespace fs = std::filesystem;

constexpr int kWhole = 100;  // percent
constexpr std::size_t kLongestCommand = 256 << 10;

// In build order.
std::vector<std::size_t> choose(std::size_t hits, const Sample& sample) {
  std::vector<std::size_t> all;
  all.reserve(hits);
  for (std::size_t hit = 0; hit < hits; ++hit) all.push_back(hit);
  const auto share = static_cast<std::size_t>(std::clamp(sample.percent, 1, kWhole));
  const std::size_t wanted = (hits * share + kWhole - 1) / kWhole;
  std::vector<std::size_t> chosen;
  chosen.reserve(wanted);
  std::mt19937_64 random(sample.seed);
  std::ranges::sample(all, std::back_inserter(chosen), static_cast<std::ptrdiff_t>(wanted), random);
  return chosen;
}

std::string text_of(const artifacts::PooledId& id) {
  return fmt::format("{}-{}", id.digest.hex(), id.size);
}

std::string text_of_link(const std::string& target) {
  return "-> " + target;
}

class Verification {
 public:
  Verification(BuildRequest request, const BuildReport& report, const ProgressSink& progress,
               std::stop_token stop)
      : hits_(report.hits), copy_(std::move(request)), progress_(progress), stop_(std::move(stop)) {
    verified_.hits = static_cast<int>(hits_.size());
    copy_.list_edges = false;
  }

  Result<Verified> run(const Sample& sample) {
    const std::vector<std::size_t> chosen = choose(hits_.size(), sample);
    verified_.checked = static_cast<int>(chosen.size());
    if (chosen.empty()) return std::move(verified_);
    SB_TRY(const SecondFolder folder, SecondFolder::make(copy_.cache));
    SB_CHECK(move_to(folder.path()));
    SB_TRY(ToolRunner tools, ToolRunner::make(copy_, stop_));
    SB_TRY(const States first, build_again(tools, chosen));
    const std::vector<std::size_t> suspects = find_suspects(first);
    if (suspects.empty()) return std::move(verified_);
    // What differs between two runs here says nothing about the cache.
    SB_TRY(const States second, build_again(tools, suspects));
    std::vector<std::size_t> wrong;
    for (const std::size_t hit : suspects) {
      const bool reproducible = first.at(hit) == second.at(hit);
      if (reproducible) wrong.push_back(hit);
      (reproducible ? verified_.wrong : verified_.unreproducible).push_back(hits_[hit].output);
    }
    SB_CHECK(drop(wrong));
    return std::move(verified_);
  }

 private:
  using States = std::map<std::size_t, std::vector<std::string>>;  // by hit: of each of its outputs

  // The copy lies there, and the commands see it where they see the stage.
  Status move_to(const fs::path& folder) {
    const fs::path stage = copy_.view->folder;
    for (fs::path* part : {&copy_.source, &copy_.build}) {
      const fs::path name = part->lexically_relative(stage);
      if (name.empty() || *name.begin() == "..")
        return fail(ErrorKind::bug, fmt::format("{} does not lie in {}", part->string(), stage.string()));
      // The one may lie in the other.
      std::error_code code;
      if (!fs::exists(folder / name, code)) SB_CHECK(copy_tree(*part, folder / name));
      *part = folder / name;
    }
    copy_.view->folder = folder.string();
    places_ = {.source = copy_.view->seen(copy_.source).string(),
               .build = copy_.view->seen(copy_.build).string(),
               .view = copy_.view};
    return {};
  }

  // Ninja runs the edges whose outputs are missing, and what lies between them.
  Result<States> build_again(ToolRunner& tools, const std::vector<std::size_t>& chosen) {
    for (const std::size_t hit : chosen) {
      for (const cache::Output& output : hits_[hit].outputs) SB_CHECK(remove(output));
    }
    copy_.targets.clear();
    std::size_t bytes = 0;
    for (const std::size_t hit : chosen) {
      bytes += hits_[hit].output.size();
      copy_.targets.push_back(hits_[hit].output);
      if (bytes < kLongestCommand && hit != chosen.back()) continue;
      SB_CHECK(doing("building once more what came from the cache", run_ninja(copy_, tools, progress_)));
      copy_.targets.clear();
      bytes = 0;
    }
    States states;
    for (const std::size_t hit : chosen) {
      for (const cache::Output& output : hits_[hit].outputs) {
        SB_TRY(std::string state, state_of(output));
        states[hit].push_back(std::move(state));
      }
    }
    return states;
  }

  Status remove(const cache::Output& output) const {
    const std::string seen = places_.absolute(output.path);
    if (!places_.stays_in_stage(seen.substr(0, seen.rfind('/'))))
      return fail(ErrorKind::conflict, fmt::format("{} leads out of the stage", seen));
    if (::unlink(places_.real(seen).c_str()) == 0 || errno == ENOENT) return {};
    return fail(errno_error(fmt::format("cannot remove {}", places_.real(seen))));
  }

  [[nodiscard]] Result<std::string> state_of(const cache::Output& output) const {
    const std::string path = places_.real(places_.absolute(output.path));
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0 || (!S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode)))
      return std::string("no file");
    if (S_ISLNK(info.st_mode)) {
      SB_TRY(const fs::path target, os::read_link(path));
      return text_of_link(target.string());
    }
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file) return fail(errno_error(fmt::format("cannot read {}", path)));
    SB_TRY(const artifacts::PooledId id, artifacts::digest_of_file(file.get()));
    return text_of(id);
  }

  [[nodiscard]] static bool is_as_stored(const cache::Hit& hit, const std::vector<std::string>& states) {
    return std::ranges::equal(hit.outputs, states, {}, [](const cache::Output& output) {
      return output.kind == cache::Output::Kind::symlink ? text_of_link(output.link) : text_of(output.id);
    });
  }

  // Those that differ although all that they read is the same.
  std::vector<std::size_t> find_suspects(const States& states) {
    std::vector<std::size_t> suspects;
    std::set<std::size_t> others;  // what they made may not be what the cache had
    for (std::size_t hit = 0; hit < hits_.size(); ++hit) {
      const bool reads_others =
          std::ranges::any_of(hits_[hit].makers, [&](std::size_t maker) { return others.contains(maker); });
      const auto rebuilt = states.find(hit);
      const bool differs =
          rebuilt == states.end() ? reads_others : !is_as_stored(hits_[hit], rebuilt->second);
      if (!differs) continue;
      others.insert(hit);
      if (rebuilt == states.end()) continue;
      if (reads_others) {
        verified_.made_of_these.push_back(hits_[hit].output);
      } else {
        suspects.push_back(hit);
      }
    }
    return suspects;
  }

  Status drop(const std::vector<std::size_t>& wrong) const {
    if (wrong.empty()) return {};
    SB_TRY(cache::ActionStore store, cache::ActionStore::open(copy_.cache / "actions.db"));
    SB_CHECK(store.begin_writing());
    const Status dropped = [&]() -> Status {
      for (const std::size_t hit : wrong) SB_CHECK(store.reject(hits_[hit].key, hits_[hit].outputs));
      return {};
    }();
    SB_CHECK(store.end_writing());
    return dropped;
  }

  const std::vector<cache::Hit>& hits_;
  BuildRequest copy_;
  const ProgressSink& progress_;
  std::stop_token stop_;
  cache::Places places_;
  Verified verified_;
};

}  // namespace

Status check_verifiable(const BuildRequest& request) {
  if (request.view) return {};
  const Result<std::string> mechanism = sandbox::view_mechanism();
  return fail(ErrorKind::environment,
              "results cannot be verified on this host: each stage has a path of its own" +
                  (mechanism ? std::string() : ": " + one_line(mechanism.error())),
              "selfbuild doctor");
}

Result<Verified> verify_hits(const BuildRequest& request, const BuildReport& report, const Sample& sample,
                             const ProgressSink& progress, const std::stop_token& stop) {
  SB_CHECK(check_verifiable(request));
  Result<Verified> verified = Verification(request, report, progress, stop).run(sample);
  if (!verified && stop.stop_requested())  // whatever it did to Ninja
    return fail(ErrorKind::interrupted, "verifying was stopped");
  return verified;
}

}  // namespace sb::build
