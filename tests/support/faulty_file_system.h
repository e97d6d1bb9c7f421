// FaultyFileSystem: the real file system, until a test tells it to fail. Nothing of a failed call is done.
#pragma once

#include <cerrno>

#include "os/file_system.h"

namespace sb::tests {

class FaultyFileSystem final : public os::FileSystem {
 public:
  // The n-th call from now (1: the next) fails with this errno, once. Which call it is does not matter.
  void fail_call(int n, int code = EIO) {
    countdown_ = n;
    code_ = code;
  }
  [[nodiscard]] int calls() const { return calls_; }

  [[nodiscard]] Status write_durably(const os::fs::path& path, std::string_view bytes,
                                     unsigned mode) override {
    if (due()) return failed("cannot write", path);
    return real_.write_durably(path, bytes, mode);
  }
  [[nodiscard]] Status point_durably(const os::fs::path& link, const os::fs::path& target) override {
    if (due()) return failed("cannot point", link);
    return real_.point_durably(link, target);
  }
  [[nodiscard]] Status rename_durably(const os::fs::path& from, const os::fs::path& to) override {
    if (due()) return failed("cannot rename", from);
    return real_.rename_durably(from, to);
  }

 private:
  bool due() {
    ++calls_;
    if (countdown_ == 0) return false;
    --countdown_;
    return countdown_ == 0;
  }
  [[nodiscard]] Status failed(std::string_view what, const os::fs::path& path) const {
    return fail(errno_error(std::string(what) + " " + path.string(), code_));
  }

  os::RealFileSystem real_;
  int countdown_ = 0;
  int code_ = EIO;
  int calls_ = 0;
};

}  // namespace sb::tests
