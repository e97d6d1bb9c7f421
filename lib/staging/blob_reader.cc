#include "staging/blob_reader.h"

#include <utility>

#include "staging/tree_listing.h"

namespace sb::staging {
namespace {

constexpr std::size_t kMostBytes = 32 << 20;  // read and not yet asked for; one blob may be larger

}  // namespace

BlobReader::BlobReader(const Repository::Handle& handle, std::vector<Wanted> wanted)
    : handle_(handle), wanted_(std::move(wanted)), thread_([this] { read_ahead(); }) {}

BlobReader::~BlobReader() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

void BlobReader::read_ahead() {
  for (const Wanted& wanted : wanted_) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopped_ || bytes_ < kMostBytes; });
      if (stopped_) return;
    }
    Result<std::string> blob = read_blob_by_id(handle_, wanted.id, wanted.path);
    const std::lock_guard lock(mutex_);
    bytes_ += blob ? blob->size() : 0;
    ready_.push_back(std::move(blob));
    changed_.notify_all();
  }
}

Result<std::string> BlobReader::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !ready_.empty(); });
  Result<std::string> blob = std::move(ready_.front());
  ready_.pop_front();
  bytes_ -= blob ? blob->size() : 0;
  changed_.notify_all();
  return blob;
}

}  // namespace sb::staging
