// The half of RemoteTier after Ninja: what was made here is sent, the files before the results that name
// them.
#include <algorithm>

#include "base/digest.h"
#include "cache/remote_record.h"
#include "cache/remote_tier.h"
#include "os/file_system.h"

namespace sb::cache {

using std::chrono::steady_clock;

namespace {

constexpr std::uint64_t kChunk = 64 << 20;  // packed bytes in memory at a time

}  // namespace

class Sending {
 public:
  Sending(RemoteTier& tier, std::vector<Publication> made) : tier_(tier), made_(std::move(made)) {}

  Status run() {
    std::int64_t took = 0;
    for (const Publication& each : made_) took += each.result.took_ms;
    deadline_ = steady_clock::now() + RemoteTier::allowance(made_.size(), took, tier_.limits_.sending);
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
      if (!has_bytes(output)) continue;
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

Status RemoteTier::send(std::vector<Publication> made) {
  return Sending(*this, std::move(made)).run();
}

}  // namespace sb::cache
