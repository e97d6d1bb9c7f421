// Makes writes of this process below one folder fail, as a full or a broken disk would: the calls of the C
// library that change files are taken over by whatever program links this, also those that SQLite makes.
// Children are left alone. One at a time; any thread's writes count.
#pragma once

#include <filesystem>
#include <string>

namespace sb::tests {

class FailingWrites {
 public:
  enum class Lasts { once, from_then_on };
  // The nth write (from 1) fails with `error` (ENOSPC, EIO); 0: none, they are only counted.
  FailingWrites(std::filesystem::path below, int nth, int error, Lasts lasts);
  ~FailingWrites();
  FailingWrites(const FailingWrites&) = delete;
  FailingWrites& operator=(const FailingWrites&) = delete;

  [[nodiscard]] int writes() const;  // so far
  [[nodiscard]] std::string failed()
      const;  // the first one that did, as "fsync of …/actions.db-wal"; or empty
};

}  // namespace sb::tests
