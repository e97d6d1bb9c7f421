// MemoFiles: what one build leaves to the next so that it need not find it out again; one file each, in a
// folder of the cache. Any may be missing; one that is damaged counts as missing.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace sb::cache {

class MemoFiles {
 public:
  // What a build finds out that nobody trusts is not for others: with `writes` false nothing is kept.
  MemoFiles(std::filesystem::path folder, bool writes) : folder_(std::move(folder)), writes_(writes) {}

  [[nodiscard]] std::optional<std::string> load(std::string_view name) const;
  // Without waiting for the disk. What cannot be written is found out again. Those that were not used for the
  // longest time go when all take more than 128 MiB.
  void save(std::string_view name, std::string_view bytes) const;
  [[nodiscard]] bool writes() const { return writes_; }

 private:
  void drop_old() const;

  std::filesystem::path folder_;
  bool writes_;
};

}  // namespace sb::cache
