#include "http/connection.h"

#include <array>
#include <cerrno>

#include <sys/socket.h>

namespace sb::http {
namespace {

constexpr std::size_t kMostIgnored = 256UL * 1024;  // of what a client sends after its last answer
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

void Connection::start(Handlers handlers) {
  handlers_ = std::move(handlers);
  arrange();
  deadline_ = loop_.after(limits_.idle, [this] { time_is_up(); });
}

void Connection::read() {
  std::array<char, 16UL * 1024> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init): recv fills it
  const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0 || (got == 0 && (streaming_ || finishing_ || (!busy_ && out_.empty())))) return end();
  if (got == 0) {
    // It may only have ended its sending, and wait for what it has asked for.
    input_ended_ = true;
    return arrange();
  }
  const auto size = static_cast<std::size_t>(got);
  if (streaming_ || finishing_) {
    // Read, so that the answer is not cut off by the reset that unread bytes cause.
    ignored_ += size;
    if (ignored_ > kMostIgnored) end();
    return;
  }
  in_.append(bytes.data(), size);
  proceed();
}

void Connection::proceed() {
  if (proceeding_) return;
  proceeding_ = true;
  while (!ended_ && !busy_ && !finishing_ && out_.empty()) {
    if (!framing_ && (in_.empty() || !take_head())) break;
    if (finishing_ || in_.size() < framing_->body) break;
    std::string body = in_.substr(0, framing_->body);
    in_.erase(0, framing_->body);
    dispatch(std::move(body));
  }
  proceeding_ = false;
  arrange();
}

// False when it is not complete, or was refused.
bool Connection::take_head() {
  std::size_t used = 0;
  const RequestHead::State state = head_.take(in_, used);
  in_.erase(0, used);
  switch (state) {
    case RequestHead::State::incomplete:
      return false;
    case RequestHead::State::not_http:
      end();
      return false;
    case RequestHead::State::malformed:
      refuse({.status = 400, .why = "the request is not as RFC 9112 has it"});
      return false;
    case RequestHead::State::too_long:
      refuse({.status = 414, .why = "a request line above 4096 bytes"});
      return false;
    case RequestHead::State::too_large:
      refuse({.status = 431, .why = "more than 64 header fields, or than 8192 bytes of them"});
      return false;
    case RequestHead::State::complete:
      break;
  }
  const auto framing = framing_of(head_, limits_.body);
  if (!framing) {
    refuse(framing.error());
    return false;
  }
  framing_ = *framing;
  if (framing_->expects_continue && in_.empty()) {
    out_ += kContinue;
    write();
  }
  return true;
}

void Connection::dispatch(std::string body) {
  Request request{.method = head_.method(),
                  .path = head_.target(),
                  .query = {},
                  .name = {},
                  .fields = head_.fields(),
                  .body = std::move(body),
                  .client = client_};
  if (const std::size_t mark = request.path.find('?'); mark != std::string::npos) {
    request.query = request.path.substr(mark + 1);
    request.path.resize(mark);
  }
  busy_ = true;
  ++requests_;
  is_head_ = request.method == "HEAD";
  keep_alive_ = framing_->keep_alive;
  framing_.reset();
  head_ = {};
  handlers_.on_request(std::make_shared<Exchange>(weak_from_this(), std::move(request)));
}

void Connection::answer(const Response& response) {
  if (!busy_ || streaming_ || ended_) return;
  busy_ = false;
  finishing_ = !keep_alive_;
  out_ += to_bytes(response, is_head_ ? BodyKind::none_for_head : BodyKind::whole, keep_alive_);
  write();
  proceed();
}

// What follows a request that is not understood is not understood either: the connection ends.
void Connection::refuse(const Refusal& refusal) {
  const bool without_body = head_.method() == "HEAD";
  finishing_ = true;
  in_.clear();
  out_ +=
      to_bytes(refusal_response(refusal), without_body ? BodyKind::none_for_head : BodyKind::whole, false);
  write();
}

void Connection::begin_stream(const Response& head) {
  if (!busy_ || streaming_ || ended_) return;
  if (is_head_) {
    keep_alive_ = false;
    return answer(head);
  }
  streaming_ = true;
  in_.clear();
  out_ += to_bytes(head, BodyKind::stream, false);
  write();
  arrange();
}

void Connection::send(std::string_view text) {
  if (!streaming_ || ended_) return;
  if (out_.size() - sent_ + text.size() > limits_.unsent) return end();
  out_ += text;
  write();
}

void Connection::when_gone(std::function<void()> gone) {
  gone_ = std::move(gone);
  if (ended_ && gone_) loop_.post(std::exchange(gone_, nullptr));
}

void Connection::write() {
  while (sent_ < out_.size()) {
    const ssize_t count =
        ::send(fd_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return arrange();
    if (count < 0) return end();
    sent_ += static_cast<std::size_t>(count);
    deadline_.reset();  // it reads: its time begins anew
  }
  out_.clear();
  sent_ = 0;
  if (finishing_) {
    if (input_ended_) return end();
    ::shutdown(fd_.get(), SHUT_WR);  // the client closes when it has read all
  }
  if (!proceeding_ && !busy_ && !finishing_) return proceed();
  arrange();
}

Connection::Phase Connection::phase_now() const {
  if (!out_.empty()) return Phase::sending;
  if (finishing_) return Phase::lingering;
  if (streaming_) return Phase::streaming;
  if (busy_) return Phase::handling;
  return head_.begun() || framing_ ? Phase::receiving : Phase::idle;
}

// Watches what has to happen next, and for how long.
void Connection::arrange() {
  if (ended_ || proceeding_) return;
  const Phase phase = phase_now();
  if (input_ended_ && (phase == Phase::idle || phase == Phase::receiving)) return end();
  const bool reads = !input_ended_ && (phase != Phase::handling) && (phase != Phase::sending || streaming_);
  if (!reads) {
    readable_.reset();
  } else if (!readable_) {
    readable_ = loop_.on_readable(fd_.get(), [this] { read(); });
  }
  const bool writes = phase == Phase::sending || (streaming_ && !out_.empty());
  if (!writes) {
    writable_.reset();
  } else if (!writable_) {
    writable_ = loop_.on_writable(fd_.get(), [this] { write(); });
  }
  if (phase == phase_ && timed_request_ == requests_ && deadline_) return;
  phase_ = phase;
  timed_request_ = requests_;
  if (phase == Phase::handling || phase == Phase::streaming) return deadline_.reset();
  const os::Milliseconds patience = phase == Phase::idle        ? limits_.idle
                                    : phase == Phase::receiving ? limits_.request
                                    : phase == Phase::sending   ? limits_.stalled
                                                                : limits_.linger;
  deadline_ = loop_.after(patience, [this] { time_is_up(); });
}

void Connection::time_is_up() {
  if (phase_ != Phase::receiving) return end();
  refuse({.status = 408, .why = "the request did not come in time"});
}

// The owner hears of it from the loop and not from here: it may be in the middle of serving others.
void Connection::end() {
  if (std::exchange(ended_, true)) return;
  readable_.reset();
  writable_.reset();
  deadline_.reset();
  in_.clear();
  out_.clear();
  ending_ = loop_.after(os::Milliseconds{0}, [this] {
    const std::shared_ptr<Connection> until_done = shared_from_this();
    if (gone_) std::exchange(gone_, nullptr)();
    const std::function<void()> on_end = std::move(handlers_.on_end);
    on_end();
  });
}

}  // namespace sb::http
