// BlobReader: the bytes of many blobs, in order, read ahead by a thread of its own: unpacking them and
// writing them out take about as long as each other.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "staging/repository.h"

namespace sb::staging {

class BlobReader {
 public:
  struct Wanted {
    std::string id;
    std::string path;  // for the error's words
  };
  // Until the reader is destroyed, nobody else may use the repository.
  BlobReader(const Repository::Handle& handle, std::vector<Wanted> wanted);
  BlobReader(const BlobReader&) = delete;
  BlobReader& operator=(const BlobReader&) = delete;
  ~BlobReader();  // what was not asked for is not read

  // Of the next one, as read_blob_by_id() gives it; not to be called more often than blobs were wanted.
  [[nodiscard]] Result<std::string> next();

 private:
  void read_ahead();

  const Repository::Handle& handle_;
  const std::vector<Wanted> wanted_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Result<std::string>> ready_;
  std::size_t bytes_ = 0;  // in ready_
  bool stopped_ = false;
  std::jthread thread_;
};

}  // namespace sb::staging
