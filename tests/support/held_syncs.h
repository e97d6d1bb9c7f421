// A disk that does not answer: as long as a file is there, fsync and fdatasync wait. Takes over these calls
// of the C library, also those that SQLite makes, in whatever program links sb_slow_disk or is started with
// libslow_disk.so in LD_PRELOAD.
#pragma once

#include <filesystem>
#include <string>

namespace sb::tests {

// The environment variable with the path of that file.
inline constexpr const char* kHeldSyncs = "SELFBUILD_TEST_HELD_SYNCS";

class HeldSyncs {
 public:
  // From now on, in all programs that know this path.
  explicit HeldSyncs(std::filesystem::path file);
  ~HeldSyncs();
  HeldSyncs(const HeldSyncs&) = delete;
  HeldSyncs& operator=(const HeldSyncs&) = delete;

 private:
  std::filesystem::path file_;
};

}  // namespace sb::tests
