#include "tool/selfbuild/log_tail.h"

#include <algorithm>

#include <fcntl.h>
#include <unistd.h>

#include "base/text.h"
#include "base/unique_fd.h"

namespace sb::tool {
namespace {

constexpr std::uint64_t kAtOnce = 1U << 20U;

std::uint64_t size_of(const std::filesystem::path& path) {
  std::error_code code;
  const std::uint64_t size = std::filesystem::file_size(path, code);
  return code ? 0 : size;
}

}  // namespace

std::string LogTail::read_from(const std::filesystem::path& path, std::uint64_t offset) const {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  std::string text(kAtOnce, '\0');
  const ssize_t got = ::pread(fd.get(), text.data(), text.size(), static_cast<off_t>(offset));
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return text;
}

std::string LogTail::last(std::size_t lines) {
  const std::uint64_t size = size_of(folder_ / "log");
  std::string text = read_from(folder_ / "log", size - std::min(size, kAtOnce));
  offset_ = size - std::min(size, kAtOnce) + text.size();
  if (static_cast<std::size_t>(std::ranges::count(text, '\n')) < lines && size < kAtOnce) {
    const std::uint64_t old = size_of(folder_ / "log.1");
    text.insert(0, read_from(folder_ / "log.1", old - std::min(old, kAtOnce)));
  }
  if (lines == 0) return {};
  std::string result = last_lines(text, lines);
  if (!result.empty() && !result.ends_with('\n')) result += '\n';
  return result;
}

// What was written to it between the last look and its rotation.
std::string LogTail::rest_of_the_old() const {
  return size_of(folder_ / "log.1") > offset_ ? read_from(folder_ / "log.1", offset_) : std::string();
}

std::string LogTail::next() {
  std::string text;
  if (size_of(folder_ / "log") < offset_) {
    text = rest_of_the_old();
    offset_ = 0;
  }
  const std::string more = read_from(folder_ / "log", offset_);
  offset_ += more.size();
  return text + more;
}

}  // namespace sb::tool
