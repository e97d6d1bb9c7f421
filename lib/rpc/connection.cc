#include "rpc/connection.h"

#include <array>
#include <cerrno>
#include <utility>

#include <sys/socket.h>

#include "base/json.h"

namespace sb::rpc {

void Connection::start(Handlers handlers) {
  handlers_ = std::move(handlers);
  readable_ = loop_.on_readable(fd_.get(), [this] { read(); });
  if (!readable_) end();
}

void Connection::read() {
  std::array<char, 64 * 1024> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init): recv fills it
  const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  // The end of the peer's sending counts as its end: a client that died and one that only half-closed look
  // the same.
  if (got <= 0) {
    end();
    return;
  }
  std::size_t searched = in_.size();
  in_.append(bytes.data(), static_cast<std::size_t>(got));
  std::size_t begin = 0;
  while (!finishing_ && !ended_) {
    const std::size_t newline = in_.find('\n', searched);
    const std::size_t length = (newline == std::string::npos ? in_.size() : newline) - begin;
    if (length > kMaxJsonBytes) {
      handlers_.on_too_long();
      return;
    }
    if (newline == std::string::npos) break;
    handlers_.on_line(std::string_view(in_).substr(begin, length));
    begin = searched = newline + 1;
  }
  if (!ended_) in_.erase(0, begin);
}

void Connection::send(std::string text) {
  if (ended_) return;
  if (out_.size() - sent_ + text.size() > kMaxUnsent) {
    end();
    return;
  }
  // Only once half of it is gone: moving the rest at every answer would cost a slow reader's backlog squared.
  if (sent_ > out_.size() / 2) out_.erase(0, std::exchange(sent_, 0));
  out_ += text;
  out_ += '\n';
  write();
}

void Connection::write() {
  while (sent_ < out_.size()) {
    const ssize_t count =
        ::send(fd_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      if (!writable_) writable_ = loop_.on_writable(fd_.get(), [this] { write(); });
      return;
    }
    if (count < 0) {
      end();
      return;
    }
    sent_ += static_cast<std::size_t>(count);
  }
  out_.clear();
  sent_ = 0;
  writable_.reset();
  if (finishing_) end();
}

void Connection::finish() {
  finishing_ = true;
  readable_.reset();
  if (out_.empty()) end();
}

// The owner hears of it from the loop and not from here: it may be in the middle of answering many.
void Connection::end() {
  if (std::exchange(ended_, true)) return;
  readable_.reset();
  writable_.reset();
  in_.clear();
  out_.clear();
  ending_ = loop_.after(os::Milliseconds{0}, [this] {
    // This object is destroyed in the call.
    const std::function<void()> on_end = std::move(handlers_.on_end);
    on_end();
  });
}

}  // namespace sb::rpc
