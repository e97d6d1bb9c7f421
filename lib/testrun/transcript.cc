#include "testrun/transcript.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"
#include "os/file_system.h"

namespace sb::testrun {
namespace {

constexpr std::size_t kTail = 64UL * 1024;
constexpr std::size_t kLongestLine = 16UL * 1024;

// The length of the valid UTF-8 sequence at the start of text; 0 when there is none. Overlong forms pass:
// nothing here is compared with anything.
std::size_t sequence_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xc2 ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0U) != 0x80U) return 0;
  }
  return length;
}

}  // namespace

Result<Transcript> Transcript::open(const std::filesystem::path& log, LineSink lines) {
  if (log.empty()) return Transcript(UniqueFd(), std::move(lines));
  if (log.has_parent_path()) SB_CHECK(os::make_folders(log.parent_path()));
  UniqueFd fd(::open(log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
  if (!fd) return fail(errno_error(fmt::format("cannot write the log {}", log.string())));
  return Transcript(std::move(fd), std::move(lines));
}

void Transcript::take(std::string_view piece) {
  for (std::string_view rest = piece; log_ && !rest.empty();) {
    const ssize_t written = ::write(log_.get(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;  // a full disk must not change the verdict
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  tail_ += piece;
  if (tail_.size() > 2 * kTail) tail_.erase(0, tail_.size() - kTail);
  if (!lines_) return;
  line_ += piece;
  std::size_t begin = 0;
  for (std::size_t stop = line_.find('\n'); stop != std::string::npos; stop = line_.find('\n', begin)) {
    lines_(std::string_view(line_).substr(begin, stop - begin));
    begin = stop + 1;
  }
  line_.erase(0, begin);
  if (line_.size() > kLongestLine) end();
}

void Transcript::end() {
  if (!line_.empty() && lines_) lines_(line_);
  line_.clear();
}

std::string Transcript::last(std::size_t lines) const {
  return printable(last_lines(tail_, lines), kTail);
}

std::string printable(std::string_view text, std::size_t max_bytes) {
  if (text.size() > max_bytes) text.remove_prefix(text.size() - max_bytes);
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    // C1 controls (0xc2 0x80–0x9f) steer terminals like ESC does.
    const bool c1 = length == 2 && first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;
    const bool control = length == 1 && (first < 0x20 || first == 0x7f) && first != '\n' && first != '\t';
    if (length == 0 || control || c1) {
      clean += '?';
    } else {
      clean += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return clean;
}

}  // namespace sb::testrun
